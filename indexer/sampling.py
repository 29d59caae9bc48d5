"""Which frames of a video become rows: few where nothing moves, many where much does.

Decided while decoding, from the small brightness pictures alone, so that a frame that is not wanted is never turned
into colours. At the base rate the frame on screen at 0 s, 0.5 s, 1 s ... is a row, unless it shows what the last row
showed; such rows come ever more seldom, and borrow the vector of the row they repeat. Between the base rate's times a
frame is a row where the picture has become another within a moment.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from data.media.sampling import EPSILON_S

Luma: TypeAlias = npt.NDArray[np.uint8]
Sampling: TypeAlias = Literal["adaptive", "fixed", "fast"]  # fast: key frames only

DENSE_FPS = 8.0
LONGEST_GAP_S = 10.0  # a film in which nothing moves still has a row this often
# Brightness steps (0..255) of the cell that differs most, under which two pictures show the same: above what coding
# noise does to a mean of nine pixels, below what a hand or a line of text does. See docs/indexing.md.
SAME_STEP = 14
FAST_CHANGE = 0.2  # mean brightness change (0..1) since the last row that earns a row of its own
REMEMBERED = 8  # earlier rows whose vector may be borrowed: a sign that blinks, a slide shown again


@dataclass(frozen=True, slots=True)
class Choice:
    """repeats: None for a picture of its own, otherwise the number of the earlier row it looks the same as."""

    repeats: int | None


class Sampler:
    """Asked of every decoded frame of one medium in order; counts the rows it gives.

    Args:
        rate_fps: base rate; ignored when `sampling` is "fast", where every frame is a row.
    """

    def __init__(self, rate_fps: float, sampling: Sampling = "adaptive") -> None:
        self._sampling = sampling
        self._base = _Clock(rate_fps)
        self._dense = _Clock(max(DENSE_FPS, rate_fps))
        self._rows = 0
        self._row_s = self._gap_s = 0.0
        self._first_gap_s = 2 / rate_fps
        self._last: npt.NDArray[np.int16] | None = None
        self._seen: deque[tuple[int, npt.NDArray[np.int16]]] = deque(maxlen=REMEMBERED)

    def __call__(self, time_s: float, duration_s: float | None, luma: Luma) -> Choice | None:
        """What becomes of the frame on screen in [time_s, time_s + duration_s); None: no row."""
        until_s = time_s + (duration_s or 0.0)
        base, dense = self._base.strikes(until_s), self._dense.strikes(until_s)
        first = self._rows == 0
        if self._sampling == "fixed":
            return self._row(time_s, None) if base or first else None
        picture = luma.astype(np.int16)
        if self._last is None or self._last.shape != picture.shape:
            self._seen.clear()
            return self._new(time_s, picture)
        change = np.abs(picture - self._last)
        if self._sampling == "adaptive":
            wanted = base or (dense and float(change.mean()) > 255 * FAST_CHANGE)
            if not wanted:
                return None
        if int(change.max()) < SAME_STEP:
            if time_s - self._row_s < self._gap_s - EPSILON_S:
                return None
            self._gap_s = min(2 * self._gap_s, LONGEST_GAP_S)
            return self._row(time_s, self._seen[-1][0])
        self._gap_s = self._first_gap_s
        for place, (row, earlier) in enumerate(self._seen):
            if int(np.abs(picture - earlier).max()) < SAME_STEP:
                del self._seen[place]
                self._seen.append((row, earlier))
                self._last = earlier
                return self._row(time_s, row)
        return self._new(time_s, picture)

    def _new(self, time_s: float, picture: npt.NDArray[np.int16]) -> Choice:
        self._last, self._gap_s = picture, self._first_gap_s
        self._seen.append((self._rows, picture))
        return self._row(time_s, None)

    def _row(self, time_s: float, repeats: int | None) -> Choice:
        self._rows += 1
        self._row_s = time_s
        return Choice(repeats)


class _Clock:
    """Strikes at k / rate_fps."""

    def __init__(self, rate_fps: float) -> None:
        self._rate_fps, self._next = rate_fps, 0

    def strikes(self, until_s: float) -> bool:
        """Whether it has struck before until_s, since it was last asked."""
        struck = self._next / self._rate_fps < until_s - EPSILON_S
        self._next = max(self._next, math.ceil((until_s - EPSILON_S) * self._rate_fps))
        return struck
