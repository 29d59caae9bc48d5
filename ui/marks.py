"""Boxes drawn on a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence

from data.types import Box, Pixels

_LINE = (228, 87, 46)  # the page's accent


def marked_jpeg(rgb: Pixels, boxes: Sequence[Box], side: int = 1600) -> bytes:
    """The picture, at most `side` pixels wide and high, with a frame round each box."""
    from PIL import Image, ImageDraw

    image = Image.fromarray(rgb)
    image.thumbnail((side, side))
    scale, pen = image.width / rgb.shape[1], ImageDraw.Draw(image)
    for box in boxes:
        left, top = box.x * scale, box.y * scale
        right, bottom = left + box.width * scale, top + box.height * scale
        pen.rectangle((left, top, max(right - 1, left), max(bottom - 1, top)), outline=_LINE, width=3)
    image.save(buffer := io.BytesIO(), "JPEG", quality=90)
    return buffer.getvalue()
