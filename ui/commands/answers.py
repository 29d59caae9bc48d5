"""`caption`, `summarize`, `ask`: what a model that sees and talks adds to a library."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from data.errors import ModelError, UsageError
from ui.commands.index import stop_politely
from ui.console import EXIT_INTERRUPTED, EXIT_SOME_FAILED, err, out, print_json
from ui.talking import engine_with, lacking, paragraphs, talking
from ui.text import count, failure_text, parse_seconds, path_text, plain, stretch, timecode

if TYPE_CHECKING:
    from rich.console import Console

    from data.settings import Settings
    from indexer.captions import CaptionReport
    from models.base import Captioner
    from models.cache import ResultCache
    from search.ask import Reply
    from search.summarize import Summary

NO_MODEL = (
    "No language model took part: only what 'index --speech --screen' and 'caption' have written down can be quoted. "
    "With one: --models server:http://HOST:PORT/v1, or --models qwen3-vl on a GPU."
)
AROUND_S = 10.0  # what --at looks at, before and after


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
    from models.cache import open_cache

    settings = configuration.load(library=library, models=models, caption_language=language)
    console = err()
    console.quiet = as_json
    brought = talking(settings)
    if brought.captioner is None:
        raise lacking(brought.profile, "describe pictures")
    with open_cache(settings) as cache:
        report = _described(paths, brought.captioner, cache, settings, console, again=retry_failed)
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


def summarize(file: Path, models: str | None, language: str | None, library: Path | None, as_json: bool) -> None:
    from data import settings as configuration
    from data.store.lance import open_reader
    from models.cache import open_cache
    from search.scope import item_at
    from search.summarize import summarize

    settings = configuration.load(library=library, models=models, caption_language=language)
    console = err()
    console.quiet = as_json
    store = open_reader(settings.library)
    try:
        item = item_at(store, file)
        brought = talking(settings)
        if brought.writer is None:
            raise lacking(brought.profile, "write a summary")
        with open_cache(settings) as cache:
            if brought.captioner is not None and not store.stages()[item.media_id].get("caption"):
                report = _described([item.path], brought.captioner, cache, settings, console)
                if report.interrupted:
                    raise typer.Exit(EXIT_INTERRUPTED)
            with counting(console, "Summing up") as on_progress:
                summary = summarize(
                    store, item, brought.writer, cache=cache, language=settings.caption_language,
                    on_progress=on_progress,
                )  # fmt: skip
    finally:
        store.close()
    if as_json:
        chapters = [
            {name: getattr(one, name) for name in ("start_s", "end_s", "title", "text", "failed")}
            for one in summary.chapters
        ]
        told = {"path": str(item.path), "title": summary.title, "text": summary.text, "chapters": chapters}
        print_json({**told, "duration_s": item.info.duration_s, "language": summary.language, "model": summary.model})
    else:
        out().print(as_markdown(summary), markup=False, soft_wrap=True)
    if any(chapter.failed for chapter in summary.chapters):
        raise typer.Exit(EXIT_SOME_FAILED)


def _described(
    paths: Sequence[Path],
    captioner: Captioner,
    cache: ResultCache,
    settings: Settings,
    console: Console,
    *,
    again: bool = False,
) -> CaptionReport:
    """The files' captions, written and made findable, with a bar and a polite stop."""
    from indexer.captions import caption_library
    from models.cache import CachedCaptioner

    with stop_politely(console) as should_stop, counting(console, "Describing") as on_progress:
        report = caption_library(
            paths,
            library=settings.library,
            captioner=CachedCaptioner(captioner, cache),
            settings=settings,
            language=settings.caption_language,
            again=again,
            on_progress=on_progress,
            should_stop=should_stop,
        )
    _embed(settings, console)
    return report


def _embed(settings: Settings, console: Console) -> None:
    """New captions found by what they mean; the library's own models may not be at hand where they are written."""
    from indexer.embed_texts import embed_library

    try:
        embed_library(settings.library, settings)
    except (ModelError, UsageError) as error:
        console.print(f"Found by their words only, until the next 'index': {error}", markup=False)


def as_markdown(summary: Summary) -> str:
    """The summary as a page; what models and files say in it cannot be markup."""
    length_s = summary.item.info.duration_s
    lines = [f"# {escaped(summary.title)}", ""]
    lines += [f"{escaped(path_text(summary.item.path))}" + (f", {timecode(length_s)}" if length_s else ""), ""]
    lines += [escaped(summary.text, 5000), ""]
    if length_s is not None:
        lines += ["| from | to | chapter | what happens |", "|-|-|-|-|"]
        for one in summary.chapters:
            title = escaped(one.title) or "(no summary)"
            text = escaped(one.text, 2000) or escaped(one.failed)
            lines.append(f"| {timecode(one.start_s or 0)} | {timecode(one.end_s or 0)} | {title} | {text} |")
    return "\n".join(lines).rstrip()


def escaped(text: object, limit: int = 500) -> str:
    """Untrusted text inside Markdown, on one line: shown as it is."""
    return re.sub(r"([\\`*_\[\]<>|#&])", r"\\\1", plain(text, limit))


def ask(
    question: str,
    inside: Path | None,
    span: tuple[str | None, str | None, str | None],
    models: str | None,
    language: str | None,
    library: Path | None,
    as_json: bool,
    *,
    open_first: bool,
) -> None:
    """Args: span: (at, from, to) as they were written."""
    from data import settings as configuration
    from search.ask import ask as ask_library
    from search.scope import scope_of

    settings = configuration.load(library=library, models=models, caption_language=language)
    start_s, end_s = _span(*span)
    brought = talking(settings)
    with engine_with(brought, settings) as engine:
        scope = scope_of(engine.store, inside, start_s, end_s)
        reply = ask_library(engine, question, answerer=brought.answerer, scope=scope, language=language or "")
    if as_json:
        print_json(reply_dict(reply))
    else:
        _print_reply(reply)
    if open_first and reply.sources:
        from ui import players

        first = reply.sources[0]
        err().print(players.open_at(first.item.path, first.at_s), markup=False, soft_wrap=True)


def reply_dict(reply: Reply) -> dict[str, Any]:
    """The answer as scripts get it."""
    sources = [
        {
            "path": str(source.item.path),
            "media_id": source.item.media_id,
            "kind": source.item.info.kind,
            "at_s": source.at_s,
            "start_s": source.start_s,
            "end_s": source.end_s,
            "quote": source.quote,
            "channel": source.channel,
        }
        for source in reply.sources
    ]
    told = {"question": reply.question, "answered": reply.answered, "text": reply.text, "by_model": reply.by_model}
    return {**told, "sources": sources, "shown": reply.shown}


def _print_reply(reply: Reply) -> None:
    console = out()
    for line in paragraphs(reply.text):
        console.print(line, markup=False, soft_wrap=True)
    if not reply.by_model and not reply.answered:
        err().print(NO_MODEL, style="dim", markup=False, soft_wrap=True)
    for number, source in enumerate(reply.sources, start=1):
        place = f"{number}. {path_text(source.item.path)}"
        if source.at_s is not None:
            place += f" at {timecode(source.at_s)} ({stretch(source.start_s, source.end_s)})"
        if source.quote:
            place += f", {_CHANNELS[source.channel]}: “{plain(source.quote, 400)}”"
        console.print(place, markup=False, soft_wrap=True, style=None if source.quote else "dim")


_CHANNELS = {"speech": "said", "screen": "written", "caption": "described"}


def _span(at: str | None, from_: str | None, to: str | None) -> tuple[float | None, float | None]:
    if at is not None and (from_ is not None or to is not None):
        raise UsageError("--at was given with --from or --to.", remedy="Give one or the other.")
    if at is not None:
        second = parse_seconds(at)
        return max(0.0, second - AROUND_S), second + AROUND_S
    return (None if from_ is None else parse_seconds(from_)), (None if to is None else parse_seconds(to))


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
