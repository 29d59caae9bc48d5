"""A long video in a page: notes on its segments -> chapters -> a summary of the whole, each with its seconds.

The notes are what the library holds of it: captions, speech, on-screen text. They are read a window at a time, so that
hours of video need no more of a model than minutes do, and every window's answer is kept: a video that was cut off
goes on where it stopped, and what did not change is not written again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from data.errors import ModelError
from data.store.base import Store
from data.types import MediaItem, Segment, TextSpan
from models.base import Writer
from models.cache import ResultCache, key_of
from models.qwen3vl import fields, loose_json
from models.qwen3vl.prompts import PromptFile, language_name, load
from models.qwen3vl.showing import quoted
from models.qwen3vl.times import seconds

WINDOW_CHARS = 16_000  # about 5,000 tokens
LONGEST_NOTE = 600
CHAPTERS_PER_MEDIUM, SHORTEST_CHAPTER_S, LONGEST_CHAPTER_S = 8, 20.0, 480.0
MOST_CHAPTERS = 16  # a window
CHAPTERS_TOKENS, SUMMARY_TOKENS = 2_048, 768
_TITLE = ("title", "heading", "name", "标题")
_CHAPTERS = ("chapters", "chapter", "sections", "contents", "章节")
UNREADABLE = "The model gave no answer that could be read, twice."

Progress = Callable[[str, int, int], None]  # (path, windows done, windows in all)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Chapter:
    """A stretch [start_s, end_s) and what it is about; a still's has no times. All strings are untrusted text.

    Attributes:
        failed: why there is no title and text; nothing is made up for them.
    """

    start_s: float | None
    end_s: float | None
    title: str
    text: str
    failed: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """chapters cover the whole medium, one after the other. model: who wrote it, "id@revision"."""

    item: MediaItem
    title: str
    text: str
    chapters: tuple[Chapter, ...]
    language: str
    model: str


@dataclass(frozen=True, slots=True)
class _Note:
    at_s: float
    text: str


def summarize(
    store: Store,
    item: MediaItem,
    writer: Writer,
    *,
    cache: ResultCache | None = None,
    language: str = "en",
    on_progress: Progress | None = None,
) -> Summary:
    """What a medium of the library is about.

    Args:
        language: "en" or "zh".

    Raises:
        ModelError: nothing is known of the medium but its pictures, the model cannot be had, or nothing that it wrote
            could be read.
    """
    pen = _Pen(writer, cache, language)
    segments = store.segments(item.media_id)
    notes = list(_notes(segments, store.texts(item.media_id)))
    if not notes:
        raise ModelError(
            f"Nothing is known yet of what happens in {item.path.name!r}.",
            remedy="Let a model describe it first: secondsight caption FILE --models PROFILE.",
        )
    windows = list(_windows(notes))
    length_s = item.info.duration_s
    chapter_s = min(max((length_s or 0.0) / CHAPTERS_PER_MEDIUM, SHORTEST_CHAPTER_S), LONGEST_CHAPTER_S)
    starts = sorted({segment.start_s for segment in segments if segment.start_s is not None})
    chapters: list[Chapter] = []
    for place, window in enumerate(windows):
        if on_progress is not None:
            on_progress(str(item.path), place, len(windows) + 1)
        first_s = 0.0 if place == 0 else window[0].at_s
        last_s = windows[place + 1][0].at_s if place + 1 < len(windows) else max(length_s or 0.0, first_s)
        chapters += pen.chapters(window, first_s, last_s, chapter_s, starts)
    if all(chapter.failed for chapter in chapters):
        raise ModelError(f"No summary of {item.path.name!r} could be made.", remedy=chapters[0].failed)
    title, text = pen.whole(chapters)
    if on_progress is not None:
        on_progress(str(item.path), len(windows) + 1, len(windows) + 1)
    if length_s is None:
        chapters = [Chapter(None, None, one.title, one.text, one.failed) for one in chapters]
    return Summary(item, title, text, tuple(chapters), language, writer.revision)


def _notes(segments: Sequence[Segment], spans: Sequence[TextSpan]) -> Iterator[_Note]:
    """A line a span, in order of time. The caption of a segment is left out where two events of it are told apart."""
    stretches = {(segment.start_s, segment.end_s) for segment in segments if segment.start_s is not None}
    ordered = sorted(spans, key=lambda span: (span.start_s or 0.0, -(span.end_s or 0.0)))
    captions = [span for span in ordered if span.channel == "caption"]
    parted = {
        (span.start_s, span.end_s)
        for span, second in zip(captions, captions[2:], strict=False)
        if (span.start_s, span.end_s) in stretches and (second.start_s or 0.0) < (span.end_s or 0.0)
    }
    last = ""
    for span in ordered:
        if span.channel == "caption" and (span.start_s, span.end_s) in parted:
            continue
        text = f"{_CHANNELS[span.channel]}: {quoted(span.text)[:LONGEST_NOTE]}"
        if text != last:  # a sign that stays, a scene that does not change
            yield _Note(span.start_s or 0.0, text)
        last = text


_CHANNELS = {"caption": "seen", "speech": "heard", "screen": "written"}


def _windows(notes: Sequence[_Note]) -> Iterator[list[_Note]]:
    """Notes in order, WINDOW_CHARS at a time; notes of one second stay together."""
    window: list[_Note] = []
    size = 0
    for note in notes:
        if window and size + len(note.text) > WINDOW_CHARS and note.at_s > window[-1].at_s:
            yield window
            window, size = [], 0
        window.append(note)
        size += len(note.text) + 10
    if window:
        yield window


@dataclass(slots=True)
class _Pen:
    """What writes, and what it wrote before."""

    writer: Writer
    cache: ResultCache | None
    language: str

    def chapters(
        self, window: Sequence[_Note], first_s: float, last_s: float, chapter_s: float, starts: Sequence[float]
    ) -> list[Chapter]:
        """Chapters that cover [first_s, last_s); one that failed where nothing could be read."""
        count = min(max(round((last_s - first_s) / chapter_s), 1), MOST_CHAPTERS)
        lines = "\n".join(f"[{note.at_s:.1f} s] {note.text}" for note in window)
        prompt = load("chapters", "search")
        words = prompt.fill(
            start=f"{first_s:.1f}", end=f"{last_s:.1f}", notes=lines, count=str(count),
            language=language_name(self.language),
        )  # fmt: skip
        places = sorted({*(note.at_s for note in window), *(s for s in starts if first_s <= s < last_s)})
        read = self._asked(prompt, words, CHAPTERS_TOKENS, _SCHEMA_CHAPTERS, _read_chapters)
        if read is None:
            return [Chapter(first_s, last_s, "", "", UNREADABLE)]
        found: dict[float, tuple[str, str]] = {}
        for start_s, title, text in read[:MOST_CHAPTERS]:
            place_s = min(places, key=lambda place: abs(place - start_s)) if found else first_s
            found.setdefault(place_s, (title, text))
        edges = [*sorted(found), last_s]
        return [Chapter(start_s, edges[i + 1], *found[start_s]) for i, start_s in enumerate(edges[:-1])]

    def whole(self, chapters: Sequence[Chapter]) -> tuple[str, str]:
        """(title, summary). Chapters that are too many for one window are summed up in groups first."""
        told = [chapter for chapter in chapters if not chapter.failed]
        if len(told) == 1:
            return told[0].title, told[0].text
        notes = [(c.start_s or 0.0, c.end_s or 0.0, f"{c.title}: {c.text}") for c in told]
        while True:
            groups = list(_groups(notes))
            written = [self._summed_up(group) for group in groups]
            if len(written) == 1:
                return written[0]
            notes = [
                (group[0][0], group[-1][1], f"{title}: {text}")
                for group, (title, text) in zip(groups, written, strict=True)
            ]

    def _summed_up(self, notes: Sequence[tuple[float, float, str]]) -> tuple[str, str]:
        lines = "\n".join(f"[{start_s:.1f} to {end_s:.1f} s] {quoted(text)}" for start_s, end_s, text in notes)
        prompt = load("summary", "search")
        words = prompt.fill(
            start=f"{notes[0][0]:.1f}", end=f"{notes[-1][1]:.1f}", notes=lines, language=language_name(self.language)
        )
        read = self._asked(prompt, words, SUMMARY_TOKENS, _SCHEMA_SUMMARY, _read_summary)
        if read is None:
            raise ModelError("The chapters could not be summed up.", remedy=UNREADABLE)
        return read

    def _asked(
        self,
        prompt: PromptFile,
        words: str,
        most_tokens: int,
        schema: Mapping[str, Any],
        read: Callable[[str], T | None],
    ) -> T | None:
        """What the model says to one window, or said before. An answer that was cut off is asked for at twice the
        length; None when that cannot be read either."""
        key = key_of("write", self.writer.revision, prompt.id, words)
        kept = self.cache.get(key) if self.cache is not None else None
        if isinstance(kept, str) and (found := read(kept)) is not None:
            return found
        for tokens in (most_tokens, 2 * most_tokens):
            text = self.writer.write(prompt.system, words, most_tokens=tokens, schema=schema)
            found = read(text)
            if found is not None:
                if self.cache is not None:
                    self.cache.put(key, text)
                return found
        return None


def _groups(notes: Sequence[tuple[float, float, str]]) -> Iterator[list[tuple[float, float, str]]]:
    """As many at a time as a window holds, two at least, so that every round leaves fewer."""
    group: list[tuple[float, float, str]] = []
    size = 0
    for note in notes:
        if len(group) > 1 and size + len(note[2]) > WINDOW_CHARS:
            yield group
            group, size = [], 0
        group.append(note)
        size += len(note[2])
    yield group


def _read_chapters(text: str) -> list[tuple[float, str, str]] | None:
    for value in loose_json.values(text):
        rows = fields.first(value, _CHAPTERS) if isinstance(value, dict) else value
        out = []
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, dict):
                start_s = seconds(fields.first(row, fields.START))
                title = fields.sentence(fields.first(row, _TITLE), 160)
                told = fields.sentence(fields.first(row, fields.TEXT))
                if start_s is not None and (title or told):
                    out.append((start_s, title or told[:60], told))
        if out:
            return sorted(out, key=lambda row: row[0])
    return None


def _read_summary(text: str) -> tuple[str, str] | None:
    for value in loose_json.values(text):
        if isinstance(value, dict):
            told = fields.sentence(fields.first(value, ("text", "summary", "摘要", *fields.TEXT)), 4_000)
            if told:
                return fields.sentence(fields.first(value, _TITLE), 160) or told[:60], told
    return None


_TEXT = {"type": "string", "maxLength": 800}
_ROW = {
    "type": "object",
    "properties": {"start": {"type": "number", "minimum": 0}, "title": _TEXT, "text": _TEXT},
    "required": ["start", "title", "text"],
    "additionalProperties": False,
}
_SCHEMA_CHAPTERS = {
    "type": "object",
    "properties": {"chapters": {"type": "array", "items": _ROW, "maxItems": MOST_CHAPTERS}},
    "required": ["chapters"],
    "additionalProperties": False,
}
_SCHEMA_SUMMARY = {
    "type": "object",
    "properties": {"title": _TEXT, "text": {"type": "string", "maxLength": 4_000}},
    "required": ["title", "text"],
    "additionalProperties": False,
}
