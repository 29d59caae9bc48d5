"""The exact second: decode densely round a peak and look again.

Sampling at 2 fps knows a peak to half a second. The frames between the peak's neighbours in its shot are decoded at
`DENSE_FPS`, compared with the query like all others, and the best one becomes the second to open.
A profile with a grounder is asked as well: it knows what happens, not only how a frame looks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from data.errors import MediaError, ServerFailed
from data.media import open_media
from data.types import Frame, MediaItem, Moment, Vectors
from models.base import Clip, Grounder, ImageEmbedder

_LOG = logging.getLogger(__name__)
DENSE_FPS = 8.0
DENSE_FRAMES = 32  # at most: between key frames that lie far apart it is looked less densely
GROUND_FPS = 2.0  # what video models are trained on
GROUND_MARGIN_S = 2.0
GROUND_FRAMES = 64


@dataclass(frozen=True, slots=True)
class Spot:
    """Where to look again: [from_s, to_s) of a medium, both inside one shot, round peak_s."""

    media: MediaItem
    from_s: float
    peak_s: float
    to_s: float


def localise(
    spots: Sequence[Spot],
    relevance: Callable[[Vectors], npt.NDArray[np.float32]],
    model: ImageEmbedder,
    *,
    picture_side: int,
    max_pixels: int,
) -> list[float]:
    """Better peaks, one a spot.

    Args:
        relevance: (n, dim) frames' vectors -> (n,) how well they answer.

    Returns:
        Presentation seconds, each the exact time of a decoded frame; a spot whose file cannot be read keeps its peak.
    """
    frames: list[list[Frame]] = [_dense(spot, picture_side, max_pixels) for spot in spots]
    pictures = [frame.rgb for group in frames for frame in group if frame.rgb is not None]
    if not pictures:
        return [spot.peak_s for spot in spots]
    found = relevance(model.embed_images(pictures))
    out, start = [], 0
    for spot, group in zip(spots, frames, strict=True):
        curve = found[start : start + len(group)]
        start += len(group)
        out.append(_best(spot, group, curve))
    return out


def grounded(
    moment: Moment, peak_s: float, words: str, grounder: Grounder, *, picture_side: int, max_pixels: int
) -> tuple[Moment, float]:
    """What a grounder says of the moment and its surroundings: the stretch that holds the peak, or else the nearest.

    Returns:
        The moment with the grounder's bounds, and the second to open; both as they were when it sees nothing there.
    """
    if moment.start_s is None or moment.end_s is None:
        return moment, peak_s
    clip = clip_of(
        moment, GROUND_FPS, GROUND_MARGIN_S, picture_side=picture_side, max_pixels=max_pixels, most=GROUND_FRAMES
    )
    try:
        told = grounder.when(words, clip) if clip is not None else ()
    except ServerFailed as error:
        _LOG.warning("%s The second was found without it.", error)
        told = ()
    if not told:
        return moment, peak_s
    best = min(told, key=lambda one: max(one.start_s - peak_s, peak_s - one.end_s, 0.0))
    return replace(moment, start_s=best.start_s, end_s=best.end_s), best.peak_s


def clip_of(
    moment: Moment, rate_fps: float, margin_s: float, *, picture_side: int, max_pixels: int, most: int
) -> Clip | None:
    """A moment as a vision-language model is shown it, at most `most` frames; None when its file cannot be read."""
    item = moment.media
    try:
        with open_media(item.path, max_pixels=max_pixels) as source:
            if moment.start_s is None or moment.end_s is None:
                rgb = source.frame_at(0.0).rgb
                return None if rgb is None else Clip((rgb,), kind=item.info.kind, media_id=item.media_id)
            start_s = max(0.0, moment.start_s - margin_s)
            end_s = min(item.info.duration_s or moment.end_s, moment.end_s + margin_s)
            rate_fps = min(rate_fps, most / max(end_s - start_s, 1e-3))
            found = source.frames(rate_fps=rate_fps, start_s=start_s, end_s=end_s, short_side=picture_side)
            pairs = [(f.rgb, f.time_s) for f in found if f.rgb is not None and f.time_s is not None][:most]
    except (MediaError, OSError):
        return None
    if not pairs:
        return None
    frames, times_s = zip(*pairs, strict=True)
    return Clip(frames, times_s, start_s, end_s, item.info.kind, item.media_id)


def _dense(spot: Spot, picture_side: int, max_pixels: int) -> list[Frame]:
    try:
        with open_media(spot.media.path, max_pixels=max_pixels) as source:
            rate_fps = min(DENSE_FPS, DENSE_FRAMES / max(spot.to_s - spot.from_s, 1e-3))
            found = source.frames(rate_fps=rate_fps, start_s=spot.from_s, end_s=spot.to_s, short_side=picture_side)
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
