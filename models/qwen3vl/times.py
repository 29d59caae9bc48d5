"""Times as models write them -> seconds. What cannot be read is None, never a guess."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any

_CLOCK = re.compile(r"(?:(\d{1,3}):)?(\d{1,4}):(\d{1,2}(?:[.,]\d+)?)")
_UNITS = re.compile(
    r"(?:(\d+(?:\.\d+)?)\s*(?:hours?|hrs?|h|小时|时))?\s*"
    r"(?:(\d+(?:\.\d+)?)\s*(?:minutes?|mins?|m|分钟|分))?\s*"
    r"(?:(\d+(?:\.\d+)?)\s*(?:seconds?|secs?|s|秒钟|秒)?)?"
)
_MILLISECONDS = re.compile(r"(\d+(?:\.\d+)?)\s*(?:ms|毫秒|milliseconds?)")
_SPLIT = re.compile(r"\s*(?:-+>?|–|—|~|至|到|→|\bto\b|\buntil\b|\.\.+)\s*")
_DECORATION = "<>()[]{}\"'`*|@≈约第 \t"


def seconds(value: Any) -> float | None:
    """12.5, "12.5s", "<12.5 seconds>", "0:12.5", "1:02:03", "1m 5s", "1分20秒", full-width digits -> seconds >= 0.

    Two numbers with a colon are minutes and seconds, three are hours, minutes and seconds.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return float(value) if math.isfinite(value) and value >= 0 else None
    if isinstance(value, list) and len(value) == 1:
        return seconds(value[0])
    if not isinstance(value, str) or len(value) > 64:
        return None
    text = unicodedata.normalize("NFKC", value).replace("。", ".").strip(_DECORATION).lower()
    if not any(char.isdigit() for char in text):
        return None
    if match := _CLOCK.fullmatch(text.removesuffix("s").strip()):
        hours, minutes, rest = float(match[1] or 0), float(match[2]), float(match[3].replace(",", "."))
        return None if rest >= 60 or (match[1] and minutes >= 60) else hours * 3600 + minutes * 60 + rest
    if match := _MILLISECONDS.fullmatch(text):
        return float(match[1]) / 1000
    if match := _UNITS.fullmatch(text):
        hours, minutes, rest = (float(part or 0) for part in match.groups())
        return hours * 3600 + minutes * 60 + rest
    return None


def stretch(value: Any) -> tuple[float, float] | None:
    """ "0:01 - 0:05", "1s~2.5s", [1, 2.5], "第1秒到第3秒" -> both times, as they stand: they may be reversed."""
    if isinstance(value, str) and len(value) <= 96:
        value = [part for part in _SPLIT.split(unicodedata.normalize("NFKC", value).strip(_DECORATION)) if part]
    if not isinstance(value, list) or len(value) != 2:
        return None
    first, second = seconds(value[0]), seconds(value[1])
    return None if first is None or second is None else (first, second)
