"""The exact second: decode densely round a peak and look again.

Sampling at 2 fps knows a peak to half a second. The frames between the peak's neighbours in its shot are decoded at
`DENSE_FPS`, compared with the query like all others, and the best one becomes the second to open.

A picture that was taken from the film itself has a frame of its own there. Embeddings of a quiet shot's frames lie
closer together than their noise, so for a picture the frames round the peak are also compared pixel by pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data.errors import MediaError
from data.media import open_media
from data.types import Frame, MediaItem, Pixels
from models.base import ImageEmbedder
from search.fuse import Fusion

DENSE_FPS = 8.0
SAME_WINDOW_S = 8.0  # how far from the peak the very frame is looked for: quiet shots run this long
SAME_SIDE = 48  # short side in pixels at which frames are compared: coarse enough to forget compression and scaling
SAME_CORRELATION = 0.97  # from here on a picture is taken for a copy of the frame, recompressed or scaled


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


def same_frame(media: MediaItem, peak_s: float, rgb: Pixels) -> float | None:
    """The second of the frame most like a picture within `SAME_WINDOW_S` of the peak, by normalised correlation.

    Args:
        rgb: (height, width, 3) picture, any size; only an uncropped copy of a frame can be found.

    Returns:
        Presentation seconds of that frame; None when none is the same view or the file cannot be read.
    """
    wanted: npt.NDArray[np.float32] | None = None
    best, best_s = SAME_CORRELATION, None
    try:
        with open_media(media.path) as source:
            start_s, end_s = max(0.0, peak_s - SAME_WINDOW_S), peak_s + SAME_WINDOW_S
            for frame in source.frames(start_s=start_s, end_s=end_s, short_side=SAME_SIDE):
                if frame.rgb is None or frame.time_s is None:
                    continue
                if wanted is None:
                    wanted = _standardised(_resized(rgb, frame.rgb.shape[1], frame.rgb.shape[0]))
                correlation = float((wanted * _standardised(frame.rgb)).mean())
                if correlation > best:
                    best, best_s = correlation, frame.time_s
    except (MediaError, OSError):
        return None
    return best_s


def _resized(rgb: Pixels, width: int, height: int) -> Pixels:
    from PIL import Image

    return np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BOX))


def _standardised(rgb: Pixels) -> npt.NDArray[np.float32]:
    """Mean 0, deviation 1 over all pixels and channels; a flat picture is all 0 and so like nothing."""
    values = rgb.astype(np.float32)
    values -= values.mean()
    return values / max(float(values.std()), 1.0)


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
