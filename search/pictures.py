"""FILE@SECONDS, the notation for a picture or a frame of a film, wherever a person writes one."""

from __future__ import annotations

import os
import re
from pathlib import Path

from data.errors import UsageError


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
