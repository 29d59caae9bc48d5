"""Text for people: names and metadata made safe to print, times, sizes, and the small notations of the arguments."""

from __future__ import annotations

import math
import re
import unicodedata
from pathlib import Path

from data.errors import UsageError
from search.pictures import parse_reference, parse_seconds

__all__ = [
    "count",
    "failure_text",
    "parse_box",
    "parse_reference",
    "parse_seconds",
    "path_text",
    "plain",
    "short_path",
    "size_text",
    "stretch",
    "timecode",
]

# CSI and OSC sequences go as a whole, so that "\x1b[31mred" becomes "red" and not "[31mred".
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-Z\\-_]")
_WITH_ITS_PATH = 10_000  # characters of a sentence about a file: no path has more than 4,096 bytes
_JOINERS = {"\u200c", "\u200d"}  # format characters that spelling needs (Persian, emoji)


def plain(text: object, limit: int = 500) -> str:
    """One printable line of any text: no control characters, terminal escapes, bidi overrides or lone surrogates.

    Bytes of a file name that were not UTF-8 (surrogate escapes) are shown as \\xNN.
    """
    out: list[str] = []
    for char in _ESCAPES.sub("", str(text)[: limit * 4]):
        if "\udc80" <= char <= "\udcff":
            out.append(f"\\x{ord(char) - 0xDC00:02x}")
        elif char.isspace():
            out.append(" ")
        elif char in _JOINERS or unicodedata.category(char)[0] != "C":
            out.append(char)
    line = "".join(out).strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"


def path_text(path: Path | str) -> str:
    """A path as people read it: relative to the working directory when it is below it."""
    try:
        return plain(Path(path).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return plain(path)


def short_path(path: Path | str, width: int) -> str:
    """`path_text` in at most `width` columns of a terminal: folders in the middle go, the file's name stays whole.

    >>> short_path("/home/me/films/2024/holidays/beach.mp4", 28), short_path("/home/me/beach.mp4", 5)
    ('/home/…/holidays/beach.mp4', '…/beach.mp4')
    """
    from rich.cells import cell_len

    text = path_text(path)
    *folders, name = text.split("/")
    if cell_len(text) <= width or not folders:
        return text
    start = "/".join(folders[:2] if text.startswith("/") else folders[:1])
    for kept in range(len(folders) - 1, -1, -1):
        end = "/".join((*folders[len(folders) - kept :], name))
        for shown in (f"{start}/…/{end}", f"…/{end}"):
            if cell_len(shown) <= width and len(shown) < len(text):
                return shown
    return f"…/{name}"


def failure_text(path: Path | str, reason: str) -> str:
    """A file and why it failed; most reasons name the file already."""
    told = plain(reason, _WITH_ITS_PATH)
    return told if plain(path, _WITH_ITS_PATH) in told else f"{path_text(path)}: {plain(reason)}"


def reason_text(path: Path | str, reason: str) -> str:
    """Why a file failed, beside its name: without the name that most reasons begin with.

    >>> reason_text("/a/b.jpg", "/a/b.jpg is a damaged JPEG file."), reason_text("/a/b.jpg", "cannot be read")
    ('is a damaged JPEG file.', 'cannot be read')
    """
    name, told = plain(path, _WITH_ITS_PATH), plain(reason, _WITH_ITS_PATH)
    if told.startswith((f"{name} ", f"{name}:")):  # not the name of a file beside it that only begins like it
        told = told[len(name) :].lstrip(": ")
    return plain(told)


def timecode(seconds: float) -> str:
    """mm:ss.s, from one hour on h:mm:ss.s.

    >>> timecode(59.96), timecode(3725.04)
    ('01:00.0', '1:02:05.0')
    """
    tenths = math.floor(max(seconds, 0.0) * 10 + 0.5)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    clock = f"{minutes:02d}:{rest // 10:02d}.{rest % 10}"
    return f"{hours}:{clock}" if hours else clock


def stretch(start_s: float | None, end_s: float | None) -> str:
    """The moment from start to end; empty for a still."""
    return "" if start_s is None or end_s is None else f"{timecode(start_s)}–{timecode(end_s)}"


def size_text(size_bytes: int) -> str:
    """
    >>> size_text(999), size_text(1_234_567)
    ('999 B', '1.2 MB')
    """
    value, units = float(size_bytes), ["B", "kB", "MB", "GB", "TB"]
    while value >= 999.95 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.0f} B" if units[0] == "B" else f"{value:.1f} {units[0]}"


def count(number: int, noun: str) -> str:
    """
    >>> count(1, "file"), count(1200, "file")
    ('1 file', '1,200 files')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def parse_box(text: str) -> tuple[int, int, int, int]:
    """x,y,width,height in pixels of the picture.

    Raises:
        UsageError: not four whole numbers, or no area.
    """
    match = re.fullmatch(r"\s*(\d{1,6})\s*,\s*(\d{1,6})\s*,\s*(\d{1,6})\s*,\s*(\d{1,6})\s*", text)
    if not match or int(match[3]) == 0 or int(match[4]) == 0:
        raise UsageError(
            f"{text!r} is not a box.", remedy="Write left,top,width,height in pixels, for example 120,40,200,160."
        )
    return int(match[1]), int(match[2]), int(match[3]), int(match[4])
