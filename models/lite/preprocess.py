"""Pixels -> what CLIP's image tower was trained on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from data.types import Pixels

SIDE = 224
# Per channel, of pixels in 0..1: the CLIP reference implementation (Radford et al. 2021).
MEAN = np.array([0.48145466, 0.4578275, 0.40821073], dtype=np.float32)
STD = np.array([0.26862954, 0.26130258, 0.27577711], dtype=np.float32)
_SCALE = (1 / (255 * STD)).astype(np.float32)
_SHIFT = (-MEAN / STD).astype(np.float32)

DESCRIPTION = "crop224-bicubic-each"


def to_input(rgb: Pixels, out: npt.NDArray[np.float32]) -> None:
    """Write one picture, its centre square scaled to 224 x 224 (bicubic, antialiased), into out (3, 224, 224)."""
    from PIL import Image

    height, width = rgb.shape[:2]
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    # One resize of the square itself: the same pixels as "short side to 224, then crop" without the ones thrown away.
    small = Image.fromarray(rgb).resize(
        (SIDE, SIDE), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side), reducing_gap=3.0
    )
    np.multiply(np.asarray(small).transpose(2, 0, 1), _SCALE[:, None, None], out=out)
    out += _SHIFT[:, None, None]
