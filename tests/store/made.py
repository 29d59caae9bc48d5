"""Rows for the store tests. Vectors depend on the seed alone."""

from __future__ import annotations

import numpy as np

from data.store.base import FileRow, MediaRows
from data.types import Box, Color, MediaInfo, Segment, Tag, TextSpan, TimedWord

DIM = 16
MODELS = {"joint": {"name": "toy/a", "revision": "r1", "dim": DIM, "metric": "cosine", "preprocessing": "none"}}


def unit(rng, n):
    vectors = rng.standard_normal((n, DIM)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def file_row(path, media_id, reason=""):
    return FileRow(path, media_id, 7, 1_700_000_000_123_456_789, -5, 2**64 - 1, reason)


def medium(media_id, path, *, seed=0, frames=3, kind="video", info=None):
    """A medium of `frames` frames, two a second, in two segments; a still has one frame without a time."""
    rng = np.random.default_rng(seed)
    if kind == "image":
        times_s, segments, of_frame = np.array([np.nan]), [Segment(media_id, 0, None, None)], np.zeros(1, np.int32)
    else:
        times_s, end_s, cut = np.arange(frames) * 0.5, frames * 0.5, frames // 2
        seen = (Tag("dog", 0.75),), (Color(255, 0, 9, 0.5), Color(0, 0, 0, 0.25))
        segments = [Segment(media_id, 0, 0.0, cut * 0.5), Segment(media_id, 1, cut * 0.5, end_s, *seen)]
        of_frame = (np.arange(frames) >= cut).astype(np.int32)
    duration_s = None if kind == "image" else frames * 0.5
    info = info or MediaInfo(kind, 640, 360, duration_s, "mov,mp4", "h264", tags={"seed": str(seed)})
    vectors = {"joint": unit(rng, len(times_s))}
    return MediaRows(
        media_id, info, 7, times_s, of_frame, segments, vectors, file_row(path, media_id),
        spans(f"hello word{seed}") if kind == "video" else (), {"frames": "all"},
        {"price": float(seed), "name": "it's"},
    )  # fmt: skip


def spans(text, channel="speech"):
    return (
        TextSpan(channel, text, 0.0, 0.5, "en", None, (TimedWord(text.split()[0], 0.0, 0.25),), "toy@1"),
        TextSpan(channel, "不喜欢 " + text, 0.5, 1.0, "zh", Box(1, 2, 3, 4) if channel == "screen" else None),
    )
