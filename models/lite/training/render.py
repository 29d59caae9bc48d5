"""Words as pictures."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

SIDE = 224
STYLES = (  # font, paper, ink
    ("DejaVuSans.ttf", "#ffffff", "#000000"),
    ("DejaVuSerif.ttf", "#000000", "#ffffff"),
)
_MARGIN = 8


def mask(text: str, style: int, fonts: str = "") -> npt.NDArray[np.uint8]:
    """(224, 224): where the ink is. The text is wrapped and as large as fits. fonts: directory of the font files."""
    from PIL import Image, ImageDraw

    page = Image.new("L", (SIDE, SIDE), 0)
    draw = ImageDraw.Draw(page)
    for size in range(60, 10, -4):
        font = _font(fonts + STYLES[style][0], size)
        lines = _wrapped(text, lambda line, font=font: draw.textlength(line, font=font))
        widest = max((draw.textlength(line, font=font) for line in lines), default=0)
        if len(lines) * size * 1.2 <= SIDE - 2 * _MARGIN and widest <= SIDE - 2 * _MARGIN:
            break
    top = SIDE / 2 - len(lines) * size * 0.6
    for row, line in enumerate(lines):
        draw.text(((SIDE - draw.textlength(line, font=font)) / 2, top + row * size * 1.2), line, fill=255, font=font)
    return np.asarray(page)


def colours(style: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Paper and ink of a style, each red, green, blue in 0..255."""
    _, paper, ink = STYLES[style]
    return _rgb(paper), _rgb(ink)


def _rgb(code: str) -> tuple[float, ...]:
    return tuple(float(int(code[at : at + 2], 16)) for at in (1, 3, 5))


def _wrapped(text: str, width: Any) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and width(joined) <= SIDE - 2 * _MARGIN:
            lines[-1] = joined
        else:
            lines.append(word)
    return lines


@cache
def _font(file: str, size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.truetype(file, size)
