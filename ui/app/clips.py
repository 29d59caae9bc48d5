"""Short H.264 copies of what a browser cannot play itself (AVI, MPEG-2, HEVC, GIF ...), round one second, cached."""

from __future__ import annotations

import os
import tempfile
import threading
from fractions import Fraction
from pathlib import Path

from data.errors import CorruptMedia
from data.types import MediaItem

CLIP_S = 20.0  # the stretch copied, the wanted second in its middle
_WIDEST = 854
_KEPT = 40
_TIME_BASE = Fraction(1, 90_000)
_one_at_a_time = threading.Lock()


def clip_start_s(item: MediaItem, at_s: float) -> float:
    """Where the clip of a second begins in the medium: short media are copied whole."""
    duration_s = item.info.duration_s or 0.0
    return max(0.0, min(at_s - CLIP_S / 2, duration_s - CLIP_S))


def clip(item: MediaItem, at_s: float, cache_dir: Path) -> Path:
    """The MP4 whose time 0 is `clip_start_s(item, at_s)`; every frame keeps its exact distance from there.

    Raises:
        MediaError: the medium cannot be decoded there.
    """
    start_s = clip_start_s(item, at_s)
    path = cache_dir / f"{item.media_id}-{round(start_s * 1000)}.mp4"
    with _one_at_a_time:
        if not path.exists():
            cache_dir.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=cache_dir, suffix=".part", delete=False) as part:
                try:
                    _encode(item, start_s, part.name)
                    os.replace(part.name, path)
                finally:
                    Path(part.name).unlink(missing_ok=True)
            for old in sorted(cache_dir.glob("*.mp4"), key=lambda file: file.stat().st_mtime, reverse=True)[_KEPT:]:
                old.unlink(missing_ok=True)
    return path
