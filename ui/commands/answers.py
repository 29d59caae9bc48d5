"""`caption`, `summarize`, `ask`: what a model that sees and talks adds to a library."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from data.errors import ModelError
from ui.commands.index import stop_politely
from ui.console import EXIT_INTERRUPTED, EXIT_SOME_FAILED, err, out, print_json
from ui.text import count, failure_text, plain

if TYPE_CHECKING:
    from rich.console import Console

    from data.settings import Settings
    from models.base import ModelSet


def caption(
    paths: Sequence[Path],
    models: str | None,
    language: str | None,
    library: Path | None,
    as_json: bool,
    *,
    retry_failed: bool,
) -> None:
    from data import settings as configuration
    from indexer.captions import caption_library
    from models.cache import CachedCaptioner, open_cache

    settings = configuration.load(library=library, models=models, caption_language=language)
    console = err()
    console.quiet = as_json
    brought = talking(settings)
    if brought.captioner is None:
        raise lacking(brought.profile, "describe pictures")
    with (
        open_cache(settings) as cache,
        stop_politely(console) as should_stop,
        counting(console, "Describing") as on_progress,
    ):
        report = caption_library(
            paths,
            library=settings.library,
            captioner=CachedCaptioner(brought.captioner, cache),
            settings=settings,
            language=settings.caption_language,
            again=retry_failed,
            on_progress=on_progress,
            should_stop=should_stop,
        )
    if as_json:
        failed = [{"path": failure.path, "reason": failure.reason} for failure in report.failed]
        told = {name: getattr(report, name) for name in ("media", "unchanged", "clips", "failed_clips", "spans")}
        print_json({**told, "failed": failed, "interrupted": report.interrupted, "seconds": report.seconds})
    else:
        parts = [f"{count(report.clips - report.failed_clips, 'clip')} of {count(report.media, 'file')} described"]
        parts += [f"{report.unchanged:,} unchanged"] if report.unchanged else []
        parts += [f"{count(report.failed_clips, 'clip')} failed"] if report.failed_clips else []
        out().print(f"{', '.join(parts)}, in {report.seconds:.1f} s.", markup=False)
        for failure in report.failed:
            out().print(f"  {failure_text(failure.path, failure.reason)}", markup=False)
    if report.interrupted:
        err().print("Stopped: what was finished is kept; run the same command again to take up.")
        raise typer.Exit(EXIT_INTERRUPTED)
    if report.failed or report.failed_clips:
        raise typer.Exit(EXIT_SOME_FAILED)


def talking(settings: Settings) -> ModelSet:
    """The profile that was asked for by flag, environment or file; otherwise the one that the library was made with.

    Raises:
        LibraryError: there is no library. ModelError: the profile cannot be had.
    """
    from data.store.manifest import read_manifest
    from models import registry

    profile = settings.models if "models" in settings.model_fields_set else read_manifest(settings.library).profile
    return registry.load(profile, settings)


def lacking(profile: str, what: str) -> ModelError:
    return ModelError(
        f"The profile {plain(profile, 200)!r} has no model to {what}.",
        remedy="Use one that has: --models qwen3-vl on a GPU, or --models server:http://HOST:PORT/v1.",
    )


@contextmanager
def counting(console: Console, verb: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on stderr; yields (path, done, total)."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console, transient=True, disable=console.quiet or not console.is_terminal) as bars:
        task = bars.add_task(f"{verb} …", total=None)
        yield lambda path, done, total: bars.update(
            task, description=f"{verb} {plain(Path(path).name, 32)}", completed=done, total=total
        )
