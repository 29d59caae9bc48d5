"""Sizes, orientation and transparency of pictures: arithmetic shared by every decoder."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from data.types import Pixels


def display_size(width: int, height: int, sample_aspect: Fraction | None) -> tuple[int, int]:
    """Size with square pixels, before turning. The side that is too short grows, so no detail is lost, as browsers do
    (Chromium media/base/video_util.cc, GetNaturalSize)."""
    if not sample_aspect or sample_aspect == 1 or not Fraction(1, 16) <= sample_aspect <= 16:
        return width, height
    if sample_aspect > 1:
        return max(1, round(width * sample_aspect)), height
    return width, max(1, round(height / sample_aspect))


def fit(width: int, height: int, short_side: int | None) -> tuple[int, int]:
    """Scaled so that the short side is short_side pixels, never enlarged."""
    short = min(width, height)
    if short_side is None or short <= short_side:
        return width, height
    return max(1, round(width * short_side / short)), max(1, round(height * short_side / short))


def on_white(rgba: npt.NDArray[np.uint8]) -> Pixels:
    """(h, w, 4) straight alpha, composited on white."""
    alpha = rgba[..., 3:].astype(np.uint16)
    blended = rgba[..., :3] * alpha + 255 * (255 - alpha)
    return ((blended + 127) // 255).astype(np.uint8)
