"""`index`: progress while it runs, a summary when it ends, and Ctrl-C that loses nothing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from data.media.subtitles import SUFFIXES
from ui.console import EXIT_INTERRUPTED, EXIT_SOME_FAILED, err, out, print_json
from ui.text import count, failure_text, plain, timecode

if TYPE_CHECKING:
    from rich.console import Console

    from data.settings import Settings
    from indexer.pipeline import IndexReport, Progress
    from indexer.sampling import Sampling

EVENT_EVERY_S = 1.0
_SHOWN_WARNINGS = 20
_BESIDE = (*SUFFIXES, ".json")  # what stands beside media is read with them
_VERBS = {"crop": "Looking at parts of", "listen": "Listening to", "read": "Reading", "describe": "Describing"}


def run(
    paths: Sequence[Path],
    library: Path | None,
    models: str | None,
    as_json: bool,
    *,
    sampling: Sampling,
    workers: int | None,
    keep_missing: bool,
    prune: bool,
    retry_failed: bool,
    listen: bool,
    crop: bool,
    read: bool,
    metadata: Sequence[Path],
    key: str,
) -> None:
    from data import settings as configuration
    from indexer import pipeline
    from indexer.sources import expand
    from indexer.tables import read_table

    settings = configuration.load(library=library, models=models, workers=workers)
    call = partial(
        pipeline.index, expand(paths), sampling=sampling, keep_missing=keep_missing, prune=prune,
        retry_failed=retry_failed, listen=listen, crop=crop, read=read,
        metadata=[read_table(table, key) for table in metadata],
    )  # fmt: skip
    report = run_with_progress(call, settings, quiet=as_json, events=as_json)
    if as_json:
        print_json({"event": "report", **as_dict(report)})
    else:
        summarise(report, out())
    if report.interrupted:
        err().print("Stopped: what was finished is kept; run the same command again to take up.")
        raise typer.Exit(EXIT_INTERRUPTED)
    if report.failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def as_dict(report: IndexReport) -> dict[str, object]:
    return {
        "indexed": report.indexed,
        "unchanged": report.unchanged,
        "moved": report.moved,
        "removed": report.removed,
        "failed": [{"path": failure.path, "reason": failure.reason} for failure in report.failed],
        "not_retried": report.not_retried,
        "warnings": [{"path": warning.path, "reason": warning.reason} for warning in report.warnings],
        "texts": report.texts,
        "cropped": report.cropped,
        "told": report.told,
        "interrupted": report.interrupted,
        "ignored": report.ignored,
        "seconds": report.seconds,
    }


def run_with_progress(
    call: Callable[..., IndexReport], settings: Settings, *, quiet: bool = False, events: bool = False
) -> IndexReport:
    """A call of the indexer with the weights fetched, a bar on stderr and an orderly Ctrl-C.

    Args:
        events: where the run stands goes to stdout as JSON, one object a line.
    """
    from models import registry
    from ui.commands.models import pull_weights

    console = err()
    if quiet:
        console.quiet = True
    pull_weights(settings.models, settings, console)
    with console.status("Getting the models ready …"):
        models = registry.load(settings.models, settings)
    showing = _events() if events else _bar(console)
    with stop_politely(console) as should_stop, showing as on_progress:
        return call(
            library=settings.library,
            models=models,
            settings=settings,
            on_progress=on_progress,
            should_stop=should_stop,
        )


@contextmanager
def _events() -> Iterator[Callable[[Progress], None]]:
    """The first at once, then one a second, one whenever the stage changes, and the last."""
    told_s, stage = float("-inf"), ""

    def show(progress: Progress) -> None:
        nonlocal told_s, stage
        if time.monotonic() - told_s >= EVENT_EVERY_S or progress.stage != stage:
            told_s, stage = time.monotonic(), progress.stage
            values = {field.name: getattr(progress, field.name) for field in fields(progress)}
            print_json({"event": "progress", **values})

    yield show


@contextmanager
def _bar(console: Console) -> Iterator[Callable[[Progress], None]]:
    from rich.progress import BarColumn, DownloadColumn, TextColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        DownloadColumn(),
        TextColumn("{task.fields[files]}", markup=False),
        TextColumn("{task.fields[rates]}", markup=False),
        TextColumn("{task.fields[left]}", markup=False),
    )
    with Bars(*columns, console=console, transient=True, disable=console.quiet or not console.is_terminal) as bars:
        task = bars.add_task("Looking at the files …", total=None, files="", rates="", left="")

        def show(progress: Progress) -> None:
            name = plain(Path(progress.path).name, 32) if progress.path else "Looking at the files …"
            if progress.stage in _VERBS:
                name = f"{_VERBS[progress.stage]} {name}"
            bars.update(
                task,
                description=name,
                completed=progress.done_bytes,
                total=progress.total_bytes or None,
                files=f"{progress.done_files:,}/{progress.total_files:,} files",
                rates=_rates(progress),
                left="" if progress.eta_s is None else f"{timecode(progress.eta_s).partition('.')[0]} left",
            )

        yield show


def _rates(progress: Progress) -> str:
    """How fast it goes, and what it waits for most."""
    if not progress.rates:
        return ""
    parts = [f"{progress.rates['pictures']:.0f} pictures/s"]
    if progress.media_s:
        parts.append(f"{progress.rates['media_s']:.0f}x real time")
    slowest = max(progress.busy, key=lambda part: progress.busy[part])
    return ", ".join([*parts, f"{slowest} {progress.busy[slowest]:.0%}"])


@contextmanager
def stop_politely(console: Console) -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C asks the run to end after the batch in hand; the second ends the process at once.

    The library outlives both: a medium is written whole or not at all.
    """
    stopping = False

    def on_interrupt(_signal: int, _frame: object) -> None:
        nonlocal stopping
        if stopping:
            console.show_cursor(True)
            os._exit(EXIT_INTERRUPTED)
        stopping = True
        os.write(2, b"\nStopping after the batch in hand; Ctrl-C again stops at once.\n")

    previous = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield lambda: stopping
    finally:
        # A run that was stopped is about to exit, and says so by its code: no further press may take that away.
        signal.signal(signal.SIGINT, signal.SIG_IGN if stopping else previous)


def summarise(report: IndexReport, console: Console) -> None:
    """What happened in one line, then everything that needs a look."""
    parts = [f"{count(report.indexed, 'file')} indexed"]
    for number, what in ((report.unchanged, "unchanged"), (report.moved, "moved"), (report.removed, "removed")):
        if number:
            parts.append(f"{number:,} {what}")
    if report.texts:
        parts.append(f"{count(report.texts, 'line')} of speech and writing")
    if report.cropped:
        parts.append(f"parts of {report.cropped:,} looked at")
    if report.told:
        parts.append(f"metadata of {report.told:,}")
    if report.failed:
        parts.append(f"{len(report.failed):,} failed")
    if report.not_retried:
        parts[-1] += f" ({report.not_retried:,} as before, not tried again: --retry-failed)"
    nothing = not (report.indexed or report.moved or report.removed or report.failed)
    idle = nothing and not (report.texts or report.cropped or report.told)
    start = "Nothing to do: " if idle and report.unchanged and not report.interrupted else ""
    console.print(f"{start}{', '.join(parts)}, in {report.seconds:.1f} s.", markup=False)
    if nothing and not report.unchanged and not report.interrupted:
        console.print("No images, GIFs or videos were found there.")
    kinds = sorted(((kind, n) for kind, n in report.ignored.items() if kind not in _BESIDE), key=lambda item: -item[1])
    if kinds:
        named = ", ".join(f"{number:,} {plain(kind, 20)}" for kind, number in kinds[:8])
        more = ", …" if len(kinds) > 8 else ""
        console.print(f"Passed over, not media: {named}{more}.", markup=False)
    if report.warnings:
        console.print(f"\nIndexed, with remarks ({len(report.warnings)}):")
        for warning in report.warnings[:_SHOWN_WARNINGS]:
            console.print(f"  {failure_text(warning.path, warning.reason)}", markup=False)
        if len(report.warnings) > _SHOWN_WARNINGS:
            console.print(f"  … and {len(report.warnings) - _SHOWN_WARNINGS} more.")
    if report.failed:
        console.print(f"\nFailed ({len(report.failed)}):")
        for failure in report.failed:
            console.print(f"  {failure_text(failure.path, failure.reason)}", markup=False)
