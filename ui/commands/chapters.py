"""`chapters`: the shots of a film as a table, JSON or WebVTT."""

from __future__ import annotations

import html
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from data.errors import UsageError
from ui.console import out, print_json
from ui.text import path_text, plain, stretch

if TYPE_CHECKING:
    from data.types import Segment, TextSpan

_MOST_TITLE = 100
_MOST_TAGS = 3


@dataclass(frozen=True, slots=True)
class Chapter:
    """A shot [start_s, end_s) and what the library knows of it; untrusted text."""

    start_s: float
    end_s: float
    caption: str
    speech: str
    screen: str
    tags: list[str]
    colors: list[str]  # "#rrggbb"

    @property
    def title(self) -> str:
        """The first that is known of what is seen, said, written, and named."""
        texts = (self.caption, self.speech, self.screen, ", ".join(self.tags[:_MOST_TAGS]))
        return next((plain(text, _MOST_TITLE) for text in texts if text), "")


def run(file: Path, vtt: bool, library: Path | None, as_json: bool) -> None:
    """Raises:
    MissingMedia: the file is not in the library.
    UsageError: it has no shots, being a still; or two forms were asked for.
    """
    from search.scope import item_at
    from ui.commands.library import open_library

    if vtt and as_json:
        raise UsageError("--vtt and --json are two forms of one answer.", remedy="Give one of them.")
    _, store = open_library(library)
    try:
        item = item_at(store, file)
        if item.info.duration_s is None:
            raise UsageError(f"{str(file)!r} is a still and has no shots.", remedy="Give a video or an animation.")
        shots, texts = store.segments(item.media_id), store.texts(item.media_id)
    finally:
        store.close()
    chapters = [chapter(shot, texts) for shot in shots]
    if as_json:
        print_json(
            {"path": str(item.path), "duration_s": item.info.duration_s, "chapters": [asdict(one) for one in chapters]}
        )
    elif vtt:
        print("\n".join(as_vtt(chapters)))
    else:
        console = out()
        console.print(path_text(item.path), markup=False)
        for number, one in enumerate(chapters, 1):
            console.print(f"{number:>5}  {stretch(one.start_s, one.end_s)}  {one.title}", markup=False)


def chapter(shot: Segment, texts: list[TextSpan]) -> Chapter:
    """A shot with the texts whose middle lies in it."""
    start_s, end_s = shot.start_s or 0.0, shot.end_s or 0.0

    def words(channel: str) -> str:
        return " ".join(
            span.text
            for span in texts
            if span.channel == channel and start_s <= ((span.start_s or 0.0) + (span.end_s or 0.0)) / 2 < end_s
        )

    return Chapter(
        start_s,
        end_s,
        words("caption"),
        words("speech"),
        words("screen"),
        [tag.name for tag in shot.tags],
        [f"#{color.red:02x}{color.green:02x}{color.blue:02x}" for color in shot.colors],
    )


def as_vtt(chapters: list[Chapter]) -> list[str]:
    """W3C WebVTT, chapter cues: one line of text each, with its markup characters escaped."""
    lines = ["WEBVTT", ""]
    for number, one in enumerate(chapters, 1):
        name = html.escape(one.title or f"Shot {number}", quote=False)
        lines += [str(number), f"{_clock(one.start_s)} --> {_clock(one.end_s)}", name, ""]
    return lines


def _clock(seconds: float) -> str:
    millis = round(seconds * 1000)
    return f"{millis // 3_600_000:02d}:{millis // 60_000 % 60:02d}:{millis // 1000 % 60:02d}.{millis % 1000:03d}"
