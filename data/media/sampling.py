"""Which decoded frames are on screen at the times asked for. Pure: knows nothing of codecs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from data.errors import UsageError

# Times closer than this are the same time. No medium shows frames a microsecond apart, and a caller's k / rate may be
# off by rounding; FFmpeg's own clock (AV_TIME_BASE) ticks in microseconds.
EPSILON_S = 1e-6


def check_range(rate_fps: float | None, start_s: float, end_s: float | None, short_side: int | None) -> None:
    """Raises UsageError, quoting the value, unless all are in range."""
    if rate_fps is not None and not 0 < rate_fps <= 1000:
        raise UsageError(f"{rate_fps} frames a second cannot be sampled.", remedy="Give more than 0 and at most 1000.")
    if not 0 <= start_s < math.inf:
        raise UsageError(f"{start_s} is not a time in a medium.", remedy="Give seconds from 0 up.")
    if end_s is not None and not end_s > start_s:
        raise UsageError(f"The range {start_s} to {end_s} s is empty.", remedy="Give an end after the start.")
    if short_side is not None and short_side < 1:
        raise UsageError(f"A short side of {short_side} pixels is not possible.", remedy="Give 1 or more.")


class Timed(NamedTuple):
    """A decoded picture at its presentation time; duration_s is what the container says, None when it does not."""

    time_s: float
    duration_s: float | None
    picture: Any


class Selected(NamedTuple):
    """A frame inside the range. sampled: it is on screen at a grid time not served by an earlier frame."""

    time_s: float
    duration_s: float | None
    picture: Any
    sampled: bool


def select(
    frames: Iterable[Timed], *, rate_fps: float | None, start_s: float = 0.0, end_s: float | None = None
) -> Iterator[Selected]:
    """Frames on screen in [start_s, end_s), marked where they are on screen at a grid time k / rate_fps.

    A frame is on screen from its own time to the time of the next; the last for its duration. The first frame of the
    range counts as sampled whatever the grid, so that no range is empty.

    Args:
        frames: in rising order of time.
        rate_fps: grid rate; None samples every frame.
    """
    end = math.inf if end_s is None else end_s
    grid = None if rate_fps is None else _Grid(rate_fps, start_s)
    pending: Timed | None = None

    def place(frame: Timed, until: float | None) -> Selected | None:
        if until is not None and until <= start_s + EPSILON_S:
            return None
        duration = frame.duration_s if until is None else until - frame.time_s
        return Selected(
            frame.time_s, duration, frame.picture, grid is None or grid.serves(frame.time_s, until, duration, end)
        )

    for frame in frames:
        if pending is not None and (selected := place(pending, frame.time_s)):
            yield selected
        pending = frame
        if frame.time_s >= end - EPSILON_S:
            return
    if pending is not None and (selected := place(pending, None)):
        yield selected


class _Grid:
    def __init__(self, rate_fps: float, start_s: float) -> None:
        self.rate = rate_fps
        self.next = math.ceil((start_s - EPSILON_S) * rate_fps)
        self.first = True

    def serves(self, time_s: float, until: float | None, duration_s: float | None, end: float) -> bool:
        """Whether a grid time lies in the frame's stay; moves past it."""
        until = min(end, time_s + (duration_s or 0.0) if until is None else until)
        due = self.first or self.next / self.rate < until - EPSILON_S
        self.first = False
        self.next = max(self.next, math.ceil((until - EPSILON_S) * self.rate))
        return due
