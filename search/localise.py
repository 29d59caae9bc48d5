"""The exact second: decode densely round a peak and look again.

Sampling at 2 fps knows a peak to half a second. The frames between the peak's neighbours in its shot are decoded at
`DENSE_FPS`, compared with the query like all others, and the best one becomes the second to open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data.errors import MediaError
from data.media import open_media
from data.types import Frame, MediaItem
from models.base import ImageEmbedder
from search.fuse import Fusion

DENSE_FPS = 8.0


@dataclass(frozen=True, slots=True)
class Spot:
    """Where to look again: [from_s, to_s) of a medium, both inside one shot, round peak_s."""

    media: MediaItem
    from_s: float
    peak_s: float
    to_s: float


def localise(
    spots: Sequence[Spot], asked: npt.NDArray[np.float32], fusion: Fusion, model: ImageEmbedder, *, picture_side: int
) -> list[float]:
    """Better peaks, one a spot.

    Args:
        asked: (parts, dim) query vectors.

    Returns:
        Presentation seconds, each the exact time of a decoded frame; a spot whose file cannot be read keeps its peak.
    """
    frames: list[list[Frame]] = [_dense(spot, picture_side) for spot in spots]
    pictures = [frame.rgb for group in frames for frame in group if frame.rgb is not None]
    if not pictures:
        return [spot.peak_s for spot in spots]
    relevance = fusion(asked @ model.embed_images(pictures).T)
    out, start = [], 0
    for spot, group in zip(spots, frames, strict=True):
        curve = relevance[start : start + len(group)]
        start += len(group)
        out.append(_best(spot, group, curve))
    return out


def _dense(spot: Spot, picture_side: int) -> list[Frame]:
    try:
        with open_media(spot.media.path) as source:
            found = source.frames(rate_fps=DENSE_FPS, start_s=spot.from_s, end_s=spot.to_s, short_side=picture_side)
            return [frame for frame in found if frame.rgb is not None and frame.time_s is not None]
    except (MediaError, OSError):
        return []


def _best(spot: Spot, group: Sequence[Frame], curve: npt.NDArray[np.float32]) -> float:
    inside = [
        (float(score), frame.time_s)
        for score, frame in zip(curve, group, strict=True)
        if frame.time_s is not None and spot.from_s <= frame.time_s < spot.to_s
    ]
    return max(inside, key=lambda pair: pair[0])[1] if inside else spot.peak_s
