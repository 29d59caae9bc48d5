"""`models list | pull | add | check`: which weights there are, under which licence, and getting and trying them."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from data.errors import UnknownProfile
from ui.console import err, out, print_json
from ui.text import plain, size_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from data.settings import Settings


def list_all(library: Path | None, as_json: bool) -> None:
    from rich.table import Table

    from data import settings as configuration
    from models import artifacts, registry

    settings = configuration.load(library=library)
    profiles = registry.profiles(settings)
    cache_dir = settings.cache / "models"
    weights: list[dict[str, Any]] = [
        {
            "name": artifact.name,
            "purpose": artifact.purpose,
            "licence": artifact.licence,
            "size_bytes": artifact.size_bytes,
            "sha256": artifact.sha256,
            "source": artifact.requirement,
            "present": artifacts.installed(artifact.name, cache_dir),
        }
        for artifact in artifacts.ARTIFACTS.values()
    ]
    if as_json:
        rows = [
            {
                "name": p.name,
                "description": p.description,
                "extra": p.extra,
                "weights": list(p.artifacts),
                "licences": list(p.licences),
                "installed": p.installed,
                "broken": p.broken,
                "default": p.name == settings.models,
            }
            for p in profiles
        ]
        print_json({"profiles": rows, "weights": weights, "cache": str(cache_dir)})
        return
    console = out()
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    for column in ("profile", "ready", "what it is", "licences"):
        table.add_column(column, overflow="fold", no_wrap=column in ("profile", "ready"))
    for profile in profiles:
        name = profile.name + (" (default)" if profile.name == settings.models else "")
        missing = f"needs secondsight\\[{profile.extra}]" if profile.extra else "weights missing"
        ready = "yes" if profile.installed else "broken" if profile.broken else missing
        table.add_row(name, ready, plain(profile.description or profile.broken), plain("; ".join(profile.licences)))
    console.print(table)
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    for column in ("weights", "here", "size", "licence", "what for"):
        table.add_column(column, overflow="fold", no_wrap=column in ("weights", "here", "size"))
    for row in weights:
        here = "yes" if row["present"] else "no"
        table.add_row(row["name"], here, size_text(row["size_bytes"]), row["licence"], row["purpose"])
    console.print()
    console.print(table)
    console.print(f"\nKept in {plain(cache_dir)}", markup=False, style="dim")


def pull(profile: str | None, library: Path | None, as_json: bool) -> None:
    from data import settings as configuration

    settings = configuration.load(library=library, models=profile)
    console = err()
    if as_json:
        console.quiet = True
    present = pull_weights(settings.models, settings, console)
    if as_json:
        print_json({"profile": settings.models, "weights": {name: str(path) for name, path in present.items()}})
        return
    for name, path in present.items():
        out().print(f"{name}: {plain(path)}", markup=False, soft_wrap=True)
    if not present:
        out().print(f"The profile {plain(settings.models)} needs no weights from outside.", markup=False)


def add(file: Path, library: Path | None, as_json: bool) -> None:
    from data import settings as configuration
    from models import artifacts

    settings = configuration.load(library=library)
    names = artifacts.add(file, settings.cache / "models")
    if as_json:
        print_json({"added": names})
    else:
        out().print(f"Added {', '.join(names)}.", markup=False)


def check(profile: str, against: str, library: Path | None, as_json: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    from data import settings as configuration
    from models import parity, registry

    settings = configuration.load(library=library)
    console = err()
    console.quiet = as_json
    with console.status("Comparing …"):
        rows = parity.compare(registry.load(profile, settings), registry.load(against, settings))
    agree = all(row.good is not False for row in rows)
    if as_json:
        print_json({"profile": profile, "against": against, "agree": agree, "parts": [asdict(row) for row in rows]})
    else:
        table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
        for column in ("part", "compared", "measure", "mean", "worst", "verdict"):
            table.add_column(column, justify="right" if column in ("compared", "mean", "worst") else "left")
        verdicts = {True: "agrees", False: "DIFFERS", None: "not compared"}
        for row in rows:
            numbers = (f"{row.mean:.4f}", f"{row.worst:.4f}") if row.count else ("", "")
            note = f" ({plain(row.note)})" if row.note else ""
            table.add_row(row.part, str(row.count), row.measure, *numbers, Text(f"{verdicts[row.good]}{note}"))
        out().print(table)
    if not agree:
        raise typer.Exit(1)


def pull_weights(profile: str, settings: Settings, console: Console) -> dict[str, Path]:
    """Every artifact of a profile in the cache, fetched with a bar when it is not there; name -> path.

    Raises:
        UnknownProfile: no such profile.
        WeightsUnavailable: they cannot be had.
    """
    from models import artifacts, registry

    cache_dir = settings.cache / "models"
    base_name = profile.partition(":")[0]
    known = {info.name: info.artifacts for info in registry.profiles(settings)}
    if base_name not in known:
        raise UnknownProfile(f"No profile {base_name!r}.", remedy=f"There are: {', '.join(sorted(known))}.")
    needed = known[base_name]
    missing = [name for name in needed if not artifacts.installed(name, cache_dir)]
    if missing:
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), DownloadColumn(), TimeRemainingColumn())
        if not console.is_terminal:
            sizes = ", ".join(f"{name} ({size_text(artifacts.artifact(name).size_bytes)})" for name in missing)
            console.print(f"Fetching weights: {sizes}", markup=False)
        with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
            for name in missing:
                task = bars.add_task(f"Fetching {name}", total=artifacts.artifact(name).size_bytes)
                artifacts.ensure(name, cache_dir, partial(_advance, bars, task))
    return {name: artifacts.path_of(name, cache_dir) for name in needed}


def _advance(bars: Progress, task: TaskID, _name: str, done: int, total: int) -> None:
    bars.update(task, completed=done, total=total or None)
