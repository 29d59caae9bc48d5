"""Subtitles beside a video and inside it, on the presentation timeline. They are text from strangers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import av

from data.errors import MediaError, MissingMedia
from data.media.container import OpenVideo
from data.media.source import DEFAULT_MAX_PIXELS
from data.media.tags import decoded
from data.types import TextSpan

SUFFIXES = (".srt", ".vtt", ".ass", ".ssa", ".sub")
MAX_FILE_BYTES = 20_000_000
MAX_CHARS = 2000
MAX_RAW_CHARS = 4 * MAX_CHARS  # with tags: taking those out of a line costs the square of its length
_OVERRIDE = re.compile(r"\{\\[^{}]*\}")
_TAG = re.compile(r"<[^<>]{0,100}>")
_SHORT = {"eng": "en", "chi": "zh", "zho": "zh", "und": ""}  # containers name languages by three letters
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")


def beside(path: Path) -> list[Path]:
    """Subtitle files of a video: `film.srt`, `film.en.srt` ... next to `film.mp4`, by name."""
    try:
        found = [
            file
            for file in path.parent.iterdir()
            if file.suffix.lower() in SUFFIXES and (file.stem == path.stem or file.name.startswith(path.stem + "."))
        ]
    except OSError:
        return []
    return sorted(found)


def read_file(path: Path, duration_s: float) -> tuple[list[TextSpan], list[str]]:
    """Spans of a subtitle file within [0, duration_s), and what was wrong with it.

    Times of such a file count from the picture's first frame.
    """
    import pysubs2

    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return [], [f"{path.name} is larger than {MAX_FILE_BYTES:,} bytes and was not read"]
        raw = path.read_bytes()
    except OSError as error:
        return [], [f"{path.name} cannot be read: {error.strerror or error}"]
    text = decoded(raw)
    try:
        events = pysubs2.SSAFile.from_string(text, fps=25.0).events
    except Exception as error:  # the parser raises whatever a file makes it
        return [], [f"{path.name} is no subtitle file ({type(error).__name__})"]
    spans, bad = [], 0
    language = _language_of(path)
    for event in events:
        event.text = event.text[:MAX_RAW_CHARS]
        if event.type != "Dialogue" or event.is_drawing:
            continue
        span = _span(event.plaintext, event.start / 1000, event.end / 1000, duration_s, language, "sidecar")
        if span is None:
            bad += 1
        else:
            spans.append(span)
    told = [f"{bad} lines of {path.name} have no words or lie outside of the video"] if bad else []
    return _ordered(spans), told


def embedded(path: Path, duration_s: float) -> list[TextSpan]:
    """Spans of the first text subtitle stream in a container; none when there is none.

    Raises:
        MediaError: the file cannot be opened.
    """
    with OpenVideo(path, DEFAULT_MAX_PIXELS, known=True) as opened:
        origin_s = opened.origin_s()
        stream = opened.subtitle_stream()
        if stream is None:
            return []
        language = str(stream.language or "")
        language = _SHORT.get(language, language if _LANGUAGE.fullmatch(language) else "")
        spans = []
        for text, start_s, end_s in _lines(opened, stream):
            span = _span(text, start_s - origin_s, end_s - origin_s, duration_s, language, "embedded")
            if span is not None:
                spans.append(span)
        return _ordered(spans)


def _lines(opened: OpenVideo, stream: av.subtitles.stream.SubtitleStream) -> Iterator[tuple[str, float, float]]:
    for packet in opened.packets(stream):
        if packet.pts is None or packet.time_base is None:
            continue
        start_s = float(packet.pts * packet.time_base)
        end_s = start_s + (float(packet.duration * packet.time_base) if packet.duration else 3.0)
        try:
            subtitles = packet.decode()
        except (av.FFmpegError, ValueError):
            continue
        for subtitle in subtitles:
            raw = getattr(subtitle, "ass", b"")
            line = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
            # Every text codec comes out as an ASS event: nine fields, the ninth is the text.
            text = (line.split(",", 8)[-1] if line.count(",") >= 8 else line)[:MAX_RAW_CHARS]
            yield _OVERRIDE.sub("", text).replace("\\N", "\n").replace("\\n", "\n").replace("\\h", " "), start_s, end_s


def _span(text: str, start_s: float, end_s: float, duration_s: float, language: str, source: str) -> TextSpan | None:
    cleaned = " ".join(_TAG.sub("", text).split())[:MAX_CHARS]
    start_s, end_s = max(0.0, start_s), min(end_s, duration_s)
    if not any(letter.isalnum() for letter in cleaned) or not start_s < end_s:
        return None
    return TextSpan("speech", cleaned, start_s, end_s, language, source=source)


def _ordered(spans: list[TextSpan]) -> list[TextSpan]:
    return sorted(dict.fromkeys(spans), key=lambda span: (span.start_s or 0.0, span.end_s or 0.0))


def _language_of(path: Path) -> str:
    """`film.en.srt` -> "en"."""
    part = Path(path.stem).suffix[1:]
    return part if _LANGUAGE.fullmatch(part) else ""


def spans_of(
    path: Path,
    duration_s: float,
    inside: Callable[[Path, float], list[TextSpan]] = embedded,
    copies: Sequence[Path] = (),
) -> tuple[list[TextSpan], list[str]]:
    """The best subtitles of a video, a file beside it or a copy of it before a stream inside it; and what was wrong.

    Raises:
        MissingMedia: the video is not there.
    """
    told: list[str] = []
    for file in chain.from_iterable(map(beside, (path, *copies))):
        spans, bad = read_file(file, duration_s)
        told += bad
        if spans:
            return spans, told
    try:
        return inside(path, duration_s), told
    except MissingMedia:
        raise
    except MediaError as error:
        return [], [*told, str(error)]
