"""What every segment looks like, cheap enough to be always on: its dominant colours, and names of what is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from data.colors import dominant
from data.store.base import MediaRows
from data.types import Pixels, Tag, Vectors
from models.base import Tagger

COLORS_STAGE, TAGS_STAGE = "colors", "tags"
# Pixels a side that are kept of each picture until its medium ends: 2 hours at 2 pictures a second keep 11 MB.
_FRAME_SIDE = 16
_STILL_SIDE = 64

Glimpse = tuple[float | None, npt.NDArray[np.uint8]]  # (time, a few of the pixels)


def glimpse(time_s: float | None, rgb: Pixels) -> Glimpse:
    """What is kept of a picture for the colours of its segment."""
    return time_s, spread_pixels(rgb, _STILL_SIDE if time_s is None else _FRAME_SIDE)


def described(rows: MediaRows, glimpses: Sequence[Glimpse], tagger: Tagger | None) -> MediaRows:
    """The medium with tags and colours in its segments, and both noted among its stages."""
    pixels: list[list[npt.NDArray[np.uint8]]] = [[] for _ in rows.segments]
    starts = [segment.start_s or 0.0 for segment in rows.segments]
    for time_s, some in glimpses:
        place = 0 if time_s is None else max(0, int(np.searchsorted(starts, time_s, side="right")) - 1)
        pixels[place].append(some)
    tags = _tags(rows, tagger) if tagger else [()] * len(rows.segments)
    segments = [
        replace(segment, tags=tags[i], colors=dominant(np.concatenate(pixels[i])) if pixels[i] else ())
        for i, segment in enumerate(rows.segments)
    ]
    stages = {**rows.stages, COLORS_STAGE: "1", **({TAGS_STAGE: tagger.revision} if tagger else {})}
    return replace(rows, segments=segments, stages=stages)


def _tags(rows: MediaRows, tagger: Tagger) -> Sequence[tuple[Tag, ...]]:
    """Of the mean vector of each segment: what is there for most of it."""
    vectors = rows.vectors["joint"]
    sums = np.zeros((len(rows.segments), vectors.shape[1]), np.float32)
    np.add.at(sums, rows.segment_of_frame, vectors)
    lengths = np.linalg.norm(sums, axis=1)
    means: Vectors = sums / np.maximum(lengths, 1e-12)[:, None]
    return [found if length else () for found, length in zip(tagger.tags(means), lengths, strict=True)]


def spread_pixels(rgb: Pixels, side: int) -> npt.NDArray[np.uint8]:
    """(side * side, 3) pixels on an even grid; not averaged: the mean over an edge is a colour that is not there."""
    height, width = rgb.shape[:2]
    rows = (2 * np.arange(side) + 1) * height // (2 * side)
    columns = (2 * np.arange(side) + 1) * width // (2 * side)
    return rgb[rows[:, None], columns].reshape(-1, 3)
