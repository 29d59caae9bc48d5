"""Words as pictures. CLIP's image tower reads: a picture of the word "otter" lies near pictures of otters, so
it can teach words for which no picture is at hand (measured in docs/models/lite.md)."""

from __future__ import annotations

import numpy as np

from data.types import Pixels

SIDE = 224
STYLES = (
    ("DejaVuSans.ttf", "white", "black"),
    ("DejaVuSerif.ttf", "black", "white"),
    ("DejaVuSans-Bold.ttf", "#c8d8e8", "#203040"),
)


def render(text: str, style: int, fonts: str = "") -> Pixels:
    """The text, wrapped and as large as fits, on a plain page of 224 x 224. fonts: directory of the font files."""
    from PIL import Image, ImageDraw, ImageFont

    file, paper, ink = STYLES[style]
    page = Image.new("RGB", (SIDE, SIDE), paper)
    draw = ImageDraw.Draw(page)
    for size in range(60, 10, -4):
        font = ImageFont.truetype(fonts + file, size)
        lines: list[str] = []
        for word in text.split():
            joined = f"{lines[-1]} {word}" if lines else word
            if lines and draw.textlength(joined, font=font) <= SIDE - 16:
                lines[-1] = joined
            else:
                lines.append(word)
        if (
            len(lines) * size * 1.2 <= SIDE - 16
            and max(draw.textlength(line, font=font) for line in lines) <= SIDE - 16
        ):
            break
    top = SIDE / 2 - len(lines) * size * 0.6
    for row, line in enumerate(lines):
        draw.text(((SIDE - draw.textlength(line, font=font)) / 2, top + row * size * 1.2), line, fill=ink, font=font)
    return np.asarray(page)
