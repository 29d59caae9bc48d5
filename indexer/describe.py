"""What every segment looks like, cheap enough to be always on: its dominant colours, and names of what is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from data.colors import dominant
from data.store.base import MediaRows
from data.types import Pixels, Vectors
from models.base import Tagger

COLORS_STAGE, TAGS_STAGE = "colors", "tags"
REMARK_STAGE = "remark"  # what could not be decoded of it; a text from a file
# Pixels a side that are kept of each picture until its medium ends: 2 hours at 2 pictures a second keep 11 MB.
_FRAME_SIDE = 16
_STILL_SIDE = 64


def glimpse(time_s: float | None, rgb: Pixels) -> npt.NDArray[np.uint8]:
    """(pixels, 3) of a picture, kept for the colours of its segment; as many for every picture of a medium."""
    return spread_pixels(rgb, _STILL_SIDE if time_s is None else _FRAME_SIDE)


@dataclass(frozen=True, slots=True)
class Seen:
    """A medium with its vectors, before it is described.

    Attributes:
        glimpses: (pictures, pixels, 3). place: (rows,) which of these a row shows.
    """

    rows: MediaRows
    glimpses: npt.NDArray[np.uint8]
    place: npt.NDArray[np.int64]


def described(media: Sequence[Seen], tagger: Tagger | None) -> list[MediaRows]:
    """Each medium with tags and colours in its segments, and both noted among its stages.

    All are tagged at once: to compare one vector with all names costs nearly as much as a dozen.
    """
    means = [_means(seen.rows) for seen in media]
    done = []
    found = iter(tagger.tags(np.concatenate(means)) if tagger and means else ())
    for seen, vectors in zip(media, means, strict=True):
        rows, segments = seen.rows, []
        for segment, vector in zip(rows.segments, vectors, strict=True):
            tags = next(found, ())
            shown = seen.place[rows.segment_of_frame == segment.index]
            colors = dominant(seen.glimpses[shown].reshape(-1, 3)) if len(shown) else ()
            segments.append(replace(segment, tags=tags if vector.any() else (), colors=colors))
        stages = {**rows.stages, COLORS_STAGE: "1", **({TAGS_STAGE: tagger.revision} if tagger else {})}
        done.append(replace(rows, segments=segments, stages=stages))
    return done


def _means(rows: MediaRows) -> Vectors:
    """The mean vector of each segment, for what is there for most of it; 0 where it has no row."""
    vectors = rows.vectors["joint"]
    sums = np.zeros((len(rows.segments), vectors.shape[1]), np.float32)
    np.add.at(sums, rows.segment_of_frame, vectors)
    means: Vectors = sums / np.maximum(np.linalg.norm(sums, axis=1), 1e-12)[:, None]
    return means


def spread_pixels(rgb: Pixels, side: int) -> npt.NDArray[np.uint8]:
    """(side * side, 3) pixels on an even grid; not averaged: the mean over an edge is a colour that is not there."""
    height, width = rgb.shape[:2]
    rows = (2 * np.arange(side) + 1) * height // (2 * side)
    columns = (2 * np.arange(side) + 1) * width // (2 * side)
    return rgb[rows[:, None], columns].reshape(-1, 3)
