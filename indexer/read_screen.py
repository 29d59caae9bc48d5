"""What is written in pictures and films, read only where it may have changed: one reading costs a second of a CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

import numpy as np
import numpy.typing as npt

from data.types import Box, MediaItem, Pixels, TextSpan
from indexer.apart import Apart
from models.base import TextReader

RATE_FPS = 1.0
LARGEST_SIDE = 720  # short side at which is read: a line of 2 % of the height still has 14 pixels
_CELL = 16  # pixels of a cell of the map, at LARGEST_SIDE
_STEP = 40  # brightness step (0..255) that counts as an edge of a letter
_DENSE = 0.08  # share of a cell that is such edges
_BLOCK = (4, 16)  # cells of a block of the map: a line of text fills most of one
_LEAST_CELLS = 6  # dense cells in a block, before or now, for it to be worth a look
_SAME_BLOCK = 0.3  # intersection over union of a block that holds the same writing
_SAME_TEXT = 0.8


@dataclass(slots=True)
class _Shown:
    """Lines on screen since start_s."""

    span: TextSpan
    start_s: float


def written(
    item: MediaItem, reader: TextReader, files: Apart, stop: Callable[[], bool]
) -> tuple[list[TextSpan] | None, int]:
    """(spans with their boxes in display pixels, pictures read); spans None when it was stopped half way.

    Raises:
        MediaError: the file cannot be opened.
    """
    side = min(LARGEST_SIDE, min(item.info.width, item.info.height))
    frames = files.pictures(item, short_side=side, rate_fps=RATE_FPS)
    if item.info.duration_s is None:
        return [line for frame in frames if frame.rgb is not None for line in _lines(reader, frame.rgb, item)], 1
    open_lines: list[_Shown] = []
    done: list[TextSpan] = []
    last_map: npt.NDArray[np.bool_] | None = None
    count, end_s = 0, 0.0
    for frame in frames:
        if stop():
            return None, count
        if frame.rgb is None or frame.time_s is None:
            continue
        end_s = frame.time_s + (frame.duration_s or 0.0)
        letters = letter_map(frame.rgb)
        if last_map is not None and _same(letters, last_map):
            continue
        last_map = letters
        if letters.any():
            count += 1
            seen = _lines(reader, frame.rgb, item)
        else:
            seen = []
        open_lines = _merged(open_lines, seen, frame.time_s, done)
    _merged(open_lines, [], max(end_s, item.info.duration_s), done)
    return sorted(done, key=lambda span: (span.start_s or 0.0, span.box.y if span.box else 0)), count


def letter_map(rgb: Pixels) -> npt.NDArray[np.bool_]:
    """(rows, columns) cells that are dense with sharp steps from left to right, as strokes of letters are."""
    luma = rgb[:, :, 1].astype(np.int16)
    steps = np.abs(np.diff(luma, axis=1)) > _STEP
    height, width = (side // _CELL * _CELL for side in steps.shape)
    cells = steps[:height, :width].reshape(height // _CELL, _CELL, width // _CELL, _CELL)
    return cells.mean(axis=(1, 3)) > _DENSE


def _same(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> bool:
    """Block by block: over the whole picture a new line is lost in a textured ground, and a ground that moves a little
    looks new. With one intersection over union of whole maps (.6), 20 of 116 seconds of films with signs went by with
    other writing than was read last, and 113 of 185 looks at films without any were wasted; by blocks 0 and 76.
    """
    for top in range(0, a.shape[0], _BLOCK[0]):
        for left in range(0, a.shape[1], _BLOCK[1]):
            was, now = (cells[top : top + _BLOCK[0], left : left + _BLOCK[1]] for cells in (a, b))
            union = int((was | now).sum())
            if union >= _LEAST_CELLS and int((was & now).sum()) < _SAME_BLOCK * union:
                return False
    return True


def _lines(reader: TextReader, rgb: Pixels, item: MediaItem) -> list[TextSpan]:
    scale_x, scale_y = item.info.width / rgb.shape[1], item.info.height / rgb.shape[0]
    out = []
    for line in reader.read(rgb):
        box = line.box
        whole = Box(
            round(box.x * scale_x), round(box.y * scale_y),
            max(1, round(box.width * scale_x)), max(1, round(box.height * scale_y)),
        )  # fmt: skip
        out.append(TextSpan("screen", line.text, None, None, box=whole, source=reader.revision))
    return out


def _merged(held: list[_Shown], seen: list[TextSpan], at_s: float, done: list[TextSpan]) -> list[_Shown]:
    """Lines still there go on; those that are gone end here; new ones begin."""
    still: list[_Shown] = []
    fresh = list(seen)
    for shown in held:
        match = next((line for line in fresh if _is_same_line(line, shown.span)), None)
        if match is None:
            done.append(replace(shown.span, start_s=shown.start_s, end_s=at_s))
        else:
            fresh.remove(match)
            still.append(shown)
    return still + [_Shown(line, at_s) for line in fresh]


def _is_same_line(a: TextSpan, b: TextSpan) -> bool:
    if a.box is None or b.box is None or SequenceMatcher(None, a.text, b.text).ratio() < _SAME_TEXT:
        return False
    return abs(a.box.y - b.box.y) <= max(a.box.height, b.box.height)
