"""Facts a file states about itself, cleaned: they are text from strangers."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Exif

MAX_TAG_CHARS = 200
_ENCODINGS = ("utf-8-sig", "gb18030", "cp1252")  # tried in this order; UTF-16 tells itself by its mark
_BIDI = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0xFEFF])  # may reorder a page
_ISO6709 = re.compile(r"([+-]\d{2}(?:\d\d){0,2}(?:\.\d+)?)([+-]\d{3}(?:\d\d){0,2}(?:\.\d+)?)(?!\d)")


def clean(value: object, most_chars: int = MAX_TAG_CHARS) -> str:
    """One bounded line: control, bidi-override and undecodable characters out, white space collapsed."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    text = str(value)[: 4 * most_chars].translate(_BIDI)
    text = "".join(
        " " if c.isspace() else c for c in text if c.isspace() or unicodedata.category(c) not in ("Cc", "Cs")
    )
    return " ".join(text.split())[:most_chars].strip()


def decoded(raw: bytes) -> str:
    """A text file's characters: by its byte-order mark, as UTF-8, or as Chinese, then Western systems write."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", "replace")
    for encoding in _ENCODINGS:
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("utf-8", "replace")


def _kept(tags: dict[str, object]) -> dict[str, str]:
    cleaned = {key: clean(value) for key, value in tags.items() if value not in (None, "")}
    return {key: value for key, value in cleaned.items() if value}


def _camera(make: object, model: object) -> str:
    make_text, model_text = clean(make or ""), clean(model or "")
    return model_text if model_text.startswith(make_text) else f"{make_text} {model_text}".strip()


def _position(latitude: float, longitude: float) -> dict[str, object]:
    if not (math.isfinite(latitude) and math.isfinite(longitude) and abs(latitude) <= 90 and abs(longitude) <= 180):
        return {}
    return {"latitude": f"{latitude:.6f}", "longitude": f"{longitude:.6f}"}


def from_exif(exif: Exif) -> tuple[str, dict[str, str]]:
    """(captured_at, tags) from an EXIF block; anything unreadable is left out.

    Tag numbers: Exif 3.0 (CIPA DC-008), IFD0, Exif and GPS sections.
    """
    captured, tags = "", {}
    try:
        details, gps = exif.get_ifd(0x8769), exif.get_ifd(0x8825)
        captured = _exif_time(details.get(0x9003) or details.get(0x9004), details.get(0x9011) or details.get(0x9012))
        tags = {
            "camera": _camera(exif.get(0x010F), exif.get(0x0110)),
            "lens": details.get(0xA434),
            "title": exif.get(0x010E),
        }
        if 2 in gps and 4 in gps:
            tags |= _position(_degrees(gps[2], gps.get(1)), _degrees(gps[4], gps.get(3)))
    except Exception:  # a broken EXIF block must not cost the picture; Pillow raises many kinds here
        pass
    return captured, _kept(tags)


def _degrees(parts: Any, reference: object) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    value = degrees + minutes / 60 + seconds / 3600
    return -value if clean(reference or "") in ("S", "W") else value


def _exif_time(text: object, offset: object) -> str:
    try:
        moment = datetime.strptime(clean(text or ""), "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return ""
    zone = clean(offset or "")
    return moment.isoformat() + (zone if re.fullmatch(r"[+-]\d\d:\d\d", zone) else "")


def from_container(metadata: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """(captured_at, tags) from a container's metadata (keys in any case)."""
    facts = {key.lower(): value for key, value in metadata.items()}
    apple, android = "com.apple.quicktime.", "com.android."
    captured = _container_time(facts.get(f"{apple}creationdate") or facts.get("creation_time", ""))
    tags: dict[str, object] = {
        "title": facts.get("title") or facts.get(f"{apple}title"),
        "camera": _camera(
            facts.get(f"{apple}make") or facts.get("make") or facts.get(f"{android}manufacturer"),
            facts.get(f"{apple}model") or facts.get("model") or facts.get(f"{android}model"),
        ),
        "lens": facts.get(f"{apple}camera.lens_model"),
    }
    place = _ISO6709.match(facts.get(f"{apple}location.iso6709") or facts.get("location") or "")
    if place:
        tags |= _position(_iso6709(place[1], 2), _iso6709(place[2], 3))
    return captured, _kept(tags)


def _iso6709(text: str, degree_digits: int) -> float:
    """±DD.D, ±DDMM.M or ±DDMMSS.S (of longitudes DDD) in degrees; ISO 6709:2008, annex H."""
    sign, digits = (-1 if text[0] == "-" else 1), text[1:]
    whole = digits.partition(".")[0]
    pairs = (len(whole) - degree_digits) // 2
    if not pairs:
        return sign * float(digits)
    parts = [float(digits[:degree_digits])]
    parts += [float(digits[degree_digits + 2 * i : degree_digits + 2 * i + 2]) for i in range(pairs - 1)]
    parts.append(float(digits[degree_digits + 2 * (pairs - 1) :]))
    return sign * sum(part / 60**i for i, part in enumerate(parts))


def _container_time(text: str) -> str:
    try:
        moment = datetime.fromisoformat(clean(text))
    except ValueError:
        return ""
    # Recorders without a clock write the zero of their epoch: 1904 (QuickTime), 1970 (Unix), 2001 (Matroska).
    if moment.year < 1971 or (moment.year, moment.month, moment.day) == (2001, 1, 1):
        return ""
    return moment.isoformat()
