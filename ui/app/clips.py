"""Short H.264 copies, without sound, of what a browser cannot play itself (AVI, MPEG-2, HEVC, GIF ...), cached."""

from __future__ import annotations

import os
import tempfile
import threading
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

from data.types import MediaItem

CLIP_S = 20.0  # the stretch copied, the wanted second in its middle
_SHORT_SIDE = 480
_RATE_FPS = 30.0  # animations may claim 100
_KEPT = 40
_TIME_BASE = Fraction(1, 90_000)
_one_at_a_time = threading.Lock()


def clip_start_s(item: MediaItem, at_s: float) -> float:
    """Where the clip of a second begins in the medium: short media are copied whole."""
    duration_s = item.info.duration_s or 0.0
    return max(0.0, min(at_s - CLIP_S / 2, duration_s - CLIP_S))


def clip(item: MediaItem, at_s: float, cache_dir: Path, *, max_pixels: int) -> Path:
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
                    _encode(item, start_s, part.name, max_pixels)
                    os.replace(part.name, path)
                finally:
                    Path(part.name).unlink(missing_ok=True)
            with suppress(OSError):  # another process clears the same folder
                for old in sorted(cache_dir.glob("*.mp4"), key=lambda file: file.stat().st_mtime, reverse=True)[_KEPT:]:
                    old.unlink(missing_ok=True)
    return path


def _encode(item: MediaItem, start_s: float, target: str, max_pixels: int) -> None:
    """Re-encoded, not copied: a copy would begin at the key frame before and put every second off by that much."""
    import av

    from data.media import open_media

    to_the_front = {"movflags": "+faststart"}
    with (
        open_media(item.path, max_pixels=max_pixels) as source,
        av.open(target, "w", format="mp4", options=to_the_front) as out,
    ):
        stream = None
        for frame in source.frames(start_s=start_s, end_s=start_s + CLIP_S, rate_fps=_RATE_FPS, short_side=_SHORT_SIDE):
            assert frame.rgb is not None and frame.time_s is not None
            height, width = (side - side % 2 for side in frame.rgb.shape[:2])  # 4:2:0 wants even sides
            picture = av.VideoFrame.from_ndarray(frame.rgb[: max(height, 2), : max(width, 2)].copy(), format="rgb24")
            picture.pts, picture.time_base = round(max(0.0, frame.time_s - start_s) / _TIME_BASE), _TIME_BASE
            if frame.duration_s:
                picture.duration = round(frame.duration_s / _TIME_BASE)
            if stream is None:
                stream = out.add_stream("libx264", rate=30, options={"preset": "veryfast", "crf": "23"})
                stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, "yuv420p"
                stream.time_base = stream.codec_context.time_base = _TIME_BASE
                stream.codec_context.gop_size = 30  # so that a seek is quick
                stream.codec_context.thread_count = 2
            out.mux(stream.encode(picture))
        if stream is not None:
            out.mux(stream.encode(None))
