"""The very same picture: compared pixel by pixel, whatever its size and compression.

A picture that was taken from a film has a frame of its own there. Embeddings of a quiet shot's frames lie closer
together than their noise, so the frames round the peak are compared as they are; so is a still that may be a copy.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from data.errors import MediaError
from data.media import open_media
from data.types import MediaItem, Moment, Pixels, SearchResponse

SAME_WINDOW_S = 8.0  # how far from the peak the very frame is looked for: quiet shots run this long
SAME_SIDE = 48  # short side in pixels at which frames are compared: coarse enough to forget compression and scaling
SAME_CORRELATION = 0.97  # from here on a picture is taken for a copy of the frame, recompressed or scaled
SAME_ASPECT = 0.05  # logarithm of the ratio of two copies' aspects at most
LOOKED_AT = 20  # nearest answers that are compared when only the very same picture is wanted


def only_the_same(response: SearchResponse, rgb: Pixels, k: int, max_pixels: int) -> SearchResponse:
    """The answers that show this very picture, at its frame; none when it is nowhere."""
    kept: list[Moment] = []
    for moment in response.moments[:LOOKED_AT]:
        if moment.peak_s is None:
            if _is_still(moment.media, rgb, max_pixels):
                kept.append(replace(moment, score=1.0))
        elif (second := same_frame(moment.media, moment.peak_s, rgb, max_pixels)) is not None:
            end_s = max(moment.end_s or 0.0, float(np.nextafter(second, np.inf)))
            start_s = min(moment.start_s or 0.0, second)
            kept.append(replace(moment, start_s=start_s, peak_s=second, end_s=end_s, score=1.0))
    query = replace(response.query, k=k)
    return replace(response, query=query, moments=tuple(kept[:k]), no_match=not kept, matches=len(kept[:k]))


def _is_still(media: MediaItem, rgb: Pixels, max_pixels: int) -> bool:
    try:
        with open_media(media.path, max_pixels=max_pixels) as source:
            there = source.frame_at(0.0).rgb
    except (MediaError, OSError):
        return False
    if there is None:
        return False
    height, width = there.shape[:2]
    if abs(np.log((rgb.shape[1] * height) / (rgb.shape[0] * width))) > SAME_ASPECT:
        return False
    scale = SAME_SIDE / min(height, width)
    small = max(1, round(width * scale)), max(1, round(height * scale))
    correlation = (_standardised(_resized(there, *small)) * _standardised(_resized(rgb, *small))).mean()
    return bool(correlation > SAME_CORRELATION)


def same_frame(media: MediaItem, peak_s: float, rgb: Pixels, max_pixels: int) -> float | None:
    """The second of the frame most like a picture within `SAME_WINDOW_S` of the peak, by normalised correlation.

    Args:
        rgb: (height, width, 3) picture, any size; only an uncropped copy of a frame can be found.

    Returns:
        Presentation seconds of that frame; None when none is the same view or the file cannot be read.
    """
    wanted: npt.NDArray[np.float32] | None = None
    best, best_s = SAME_CORRELATION, None
    try:
        with open_media(media.path, max_pixels=max_pixels) as source:
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
