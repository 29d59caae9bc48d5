"""FILE@SECONDS, the notation for a picture or a frame of a film, wherever a person writes one, and what it shows."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from data.errors import UsageError

if TYPE_CHECKING:  # `--help` imports this module, and not numpy
    from data.types import Box, Pixels


def parse_seconds(text: str) -> float:
    """Seconds of "83.5", "1:23.5" or "1:02:03".

    Raises:
        UsageError: it is none of these.
    """
    match = re.fullmatch(r"(?:(?:(\d+):)?(\d{1,2}):)?(\d+(?:\.\d+)?)", text.strip())
    if not match or (match[2] is not None and float(match[3]) >= 60) or (match[1] is not None and int(match[2]) >= 60):
        raise UsageError(f"{text!r} is not a time.", remedy="Write seconds (83.5) or a clock (1:23.5, 1:02:03).")
    return int(match[1] or 0) * 3600 + int(match[2] or 0) * 60 + float(match[3])


def parse_reference(text: str) -> tuple[Path, float | None]:
    """FILE or FILE@SECONDS. A file whose own name holds the @ wins.

    Raises:
        UsageError: what stands behind the last @ is not a time.
    """
    name, at, seconds = text.rpartition("@")
    if not at or not name or Path(text).exists():
        return Path(os.path.abspath(text)), None
    return Path(os.path.abspath(name)), parse_seconds(seconds)


def look(path: Path, *, at_s: float | None, box: Box | None = None, max_pixels: int, remedy: str = "") -> Pixels:
    """A picture to search by: a still, an animation's first frame, or the frame of a film at its second.

    Args:
        remedy: how a second is named there where a person did not name one; FILE@SECONDS when left out.

    Raises:
        UsageError: a film without a second, or a second or box that does not fit. MediaError: it cannot be read.
    """
    from data.media import picture, probe

    if at_s is None and probe(path, max_pixels=max_pixels).kind == "video":
        raise UsageError(
            f"{path.name!r} is a film, and its first frame is rarely what is meant.",
            remedy=remedy or f"Name the second: {path.name}@12.5 or {path.name}@1:02.",
        )
    return picture(path, at_s=at_s, box=box, max_pixels=max_pixels)
