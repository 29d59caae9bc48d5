"""Shots from the small luma pictures that come along with a decode, and segments from shots.

A hard cut is a frame whose difference to the one before stands out from the differences round it, the idea of
adaptive content detection (PySceneDetect's AdaptiveDetector): a pan raises all of them, a cut only one. Fades go
through a dark (or white) stretch without detail; the boundary is put in its middle. In the middle of a dissolve the
picture is the mean of what was before and what comes after, which moving things never are: there the boundary is put.
"""

from __future__ import annotations

import itertools
from array import array
from collections import deque
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from data.types import Segment

CUT_DIFFERENCE = 0.045  # least mean luma change (0..1) of a cut
CUT_RATIO = 3.0  # how far it must stand out from its neighbours
CUT_WINDOW = 4  # neighbours looked at on each side, frames
KEY_CUT_DIFFERENCE = 0.09  # the same between key frames, seconds apart, where there are no neighbours to stand out from
FLASH_S = 0.3  # a picture that is back after so short a time was never gone: a flash, a glitch, a lightning
FLASH_LEFT = 1 / 3  # how much of the jump may be left of it then
FLAT_DEVIATION = 0.02  # luma deviation under which a picture holds no detail: black, white or faded
SHORTEST_S = 0.5
LONGEST_S = 30.0
HISTOGRAM_BINS = 32

STEP_S = 0.08  # pictures kept for dissolves and for splitting are this far apart
HALF_WIDTHS = (3, 6, 9, 12)  # of a dissolve, in such steps: 0.5 to 1.9 s in all
BLEND_DIFFERENCE = 0.06  # least mean luma difference (0..1) of what a dissolve joins
BLEND_LIKENESS = 0.6  # correlation of both sides above which only the light changed
BLEND_RESIDUAL = 0.22  # how far the middle may be from the mean of both sides, as a share of their difference
BLEND_APART_S = 1.0
LEAST_TURN = 0.02  # mean luma change (0..1) over which a long shot is split at a place of its own
SPLIT_REACH = 12  # steps before and after a place, whose difference says how well a long shot splits there


class ShotDetector:
    """Fed once per decoded frame, in order; keeps a few numbers a frame, whatever the picture's size.

    Args:
        key_frames: the frames are key frames only, seconds apart.
    """

    def __init__(self, *, key_frames: bool = False) -> None:
        self._key_frames = key_frames
        self._times_s = array("d")
        self._changes = array("f")
        self._deviations = array("f")
        self._last: npt.NDArray[np.float32] | None = None
        self._last_histogram: npt.NDArray[np.float32] | None = None
        self._jumps: list[_Jump] = []
        self._flashes: list[tuple[int, int]] = []  # [first, last] frame of each
        self._blends = _Blends()

    def feed(self, time_s: float, luma: npt.NDArray[np.uint8]) -> None:
        """Args: time_s: presentation time; luma: small (h, w) uint8, the same shape throughout."""
        small = luma.astype(np.float32) / np.float32(255)
        bins = np.bincount(luma.reshape(-1) >> 3, minlength=HISTOGRAM_BINS)[:HISTOGRAM_BINS]
        histogram = (bins / luma.size).astype(np.float32)
        if self._last is None or self._last.shape != small.shape or self._last_histogram is None:
            change = 0.0
        else:
            # Where things moved, pixels differ but the histogram hardly does; at a cut both do: their geometric mean
            # stays low for motion.
            pixels = float(np.abs(small - self._last).mean())
            tones = float(np.abs(histogram - self._last_histogram).sum()) / 2
            change = float(np.sqrt(pixels * tones))
            self._note_flashes(time_s, small)
            if change > CUT_DIFFERENCE:
                self._jumps.append(_Jump(len(self._times_s), time_s, self._last, pixels))
        self._times_s.append(time_s)
        self._changes.append(change)
        self._deviations.append(float(small.std()))
        self._last, self._last_histogram = small, histogram
        if not self._key_frames:
            self._blends.feed(time_s, small)

    def _note_flashes(self, time_s: float, small: npt.NDArray[np.float32]) -> None:
        self._jumps = [jump for jump in self._jumps if time_s - jump.time_s <= FLASH_S]
        for jump in self._jumps:
            if float(np.abs(small - jump.before).mean()) < FLASH_LEFT * jump.difference:
                self._flashes.append((jump.place, len(self._times_s)))
                self._jumps.clear()
                return

    def boundaries_s(self) -> list[float]:
        """Times at which a new shot begins, the first frame excepted, rising."""
        changes = np.array(self._changes)
        for first, last in self._flashes:
            changes[first : last + 1] = 0
        if self._key_frames:
            return [self._times_s[index] for index in np.flatnonzero(changes > KEY_CUT_DIFFERENCE)]
        sharp = {self._times_s[index] for index in _standing_out(changes)}
        sharp |= {self._times_s[index] for index in _fades(np.asarray(self._deviations))}
        at_s = np.asarray(sorted(sharp))
        soft = [
            time_s
            for time_s, start_s, end_s in self._blends.found()
            if not np.any((at_s >= start_s - STEP_S) & (at_s <= end_s + STEP_S))  # a cut explains what it spans
        ]
        return sorted({*sharp, *soft})

    def split_s(self, start_s: float, end_s: float) -> float | None:
        """Where in [start_s, end_s) the content changes most; None when it does not say."""
        return self._blends.split_s(start_s, end_s)


class _Jump(NamedTuple):
    """A frame that may begin a shot, the picture before it, and how far that is from it (mean luma, 0..1)."""

    place: int
    time_s: float
    before: npt.NDArray[np.float32]
    difference: float


class _Blends:
    """Looks for dissolves in a ring of pictures, and notes how much the content changes round each."""

    def __init__(self) -> None:
        self._ring: deque[tuple[float, npt.NDArray[np.float32]]] = deque(maxlen=2 * max(*HALF_WIDTHS, SPLIT_REACH) + 1)
        self._times_s = array("d")
        self._turns = array("f")  # how much the content is another after than before
        self._strengths = array("f")  # of the best blend whose middle is here; 0 when there is none
        self._widths_s = array("f")

    def feed(self, time_s: float, small: npt.NDArray[np.float32]) -> None:
        if self._ring and (time_s - self._ring[-1][0] < STEP_S - 1e-3):
            return
        if self._ring and self._ring[-1][1].shape != small.shape:
            self._ring.clear()
        self._ring.append((time_s, small))
        if len(self._ring) < (self._ring.maxlen or 0):
            return
        middle = len(self._ring) // 2
        middle_s, centre = self._ring[middle]
        strength, width_s = 0.0, 0.0
        for half in HALF_WIDTHS:
            (before_s, before), (after_s, after) = self._ring[middle - half], self._ring[middle + half]
            difference = float(np.abs(after - before).mean())
            if difference < BLEND_DIFFERENCE:
                continue
            residual = float(np.abs(centre - (before + after) / 2).mean()) / difference
            if residual < BLEND_RESIDUAL and _likeness(before, after) < BLEND_LIKENESS:
                found = difference * (1 - residual / BLEND_RESIDUAL)
                if found > strength:
                    strength, width_s = found, after_s - before_s
        turn = float(np.abs(self._ring[middle + SPLIT_REACH][1] - self._ring[middle - SPLIT_REACH][1]).mean())
        self._times_s.append(middle_s)
        self._turns.append(turn)
        self._strengths.append(strength)
        self._widths_s.append(width_s)

    def found(self) -> list[tuple[float, float, float]]:
        """(middle, start, end) of the dissolves in seconds: the strongest blend of each neighbourhood."""
        out: list[tuple[float, float, float]] = []
        best, last_s = -1, -np.inf
        for index in np.flatnonzero(np.asarray(self._strengths) > 0):
            if best < 0 or self._times_s[index] - last_s > BLEND_APART_S:
                best = -1
                out.append((0.0, 0.0, 0.0))
            last_s = self._times_s[index]
            if best < 0 or self._strengths[index] > self._strengths[best]:
                best, half_s = int(index), self._widths_s[index] / 2
                out[-1] = (last_s, last_s - half_s, last_s + half_s)
        return out

    def split_s(self, start_s: float, end_s: float) -> float | None:
        times_s = np.asarray(self._times_s)
        inside = np.flatnonzero((times_s >= start_s) & (times_s < end_s))
        turns = np.asarray(self._turns)[inside]
        return float(times_s[inside[np.argmax(turns)]]) if turns.max(initial=0.0) > LEAST_TURN else None


def _likeness(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    """Pearson correlation; 1 where a side is flat, for a fade is not a dissolve."""
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a * a).mean() * (b * b).mean()))
    return float((a * b).mean()) / scale if scale > FLAT_DEVIATION**2 else 1.0


def _standing_out(changes: npt.NDArray[np.float32]) -> list[int]:
    cuts = []
    for index in np.flatnonzero(changes > CUT_DIFFERENCE):
        low, high = max(1, index - CUT_WINDOW), min(len(changes), index + CUT_WINDOW + 1)
        around = np.concatenate([changes[low:index], changes[index + 1 : high]])
        level = float(around.mean()) if len(around) else 0.0
        if changes[index] >= changes[low:high].max() and changes[index] > CUT_RATIO * max(level, 1e-3):
            cuts.append(int(index))
    return cuts


def _fades(deviations: npt.NDArray[np.float32]) -> list[int]:
    """Middles of inner stretches without detail."""
    flat = np.concatenate([[0], (deviations < FLAT_DEVIATION).astype(np.int8), [0]])
    starts, stops = np.flatnonzero(np.diff(flat) == 1), np.flatnonzero(np.diff(flat) == -1)
    return [
        int(start + stop) // 2
        for start, stop in zip(starts, stops, strict=True)
        if start > 0 and stop < len(deviations) and stop - start >= 2
    ]


def edges_s(
    detector: ShotDetector, duration_s: float, *, shortest_s: float = SHORTEST_S, longest_s: float = LONGEST_S
) -> list[float]:
    """[0, duration) in shots, as their edges from 0 to duration_s, at least two.

    Shots under `shortest_s` join the one before; those over `longest_s` are split where the content changes most, and
    evenly where nothing changes.
    """
    edges = [0.0]
    for boundary in detector.boundaries_s():
        if boundary - edges[-1] >= shortest_s and duration_s - boundary >= shortest_s:
            edges.append(boundary)
    edges.append(max(duration_s, edges[-1]))
    out = [0.0]
    for start_s, end_s in itertools.pairwise(edges):
        while end_s - start_s > longest_s:
            # A third of the longest is left on both sides, so that no sliver comes off.
            low_s, high_s = start_s + longest_s / 3, min(start_s + longest_s, end_s - longest_s / 3)
            split = detector.split_s(low_s, high_s)
            start_s = (
                split if split is not None else start_s + (end_s - start_s) / np.ceil((end_s - start_s) / longest_s)
            )
            out.append(float(start_s))
        out.append(float(end_s))
    return out


def segments(media_id: str, edges: list[float]) -> list[Segment]:
    """Segments between neighbouring edges."""
    return [Segment(media_id, index, start, end) for index, (start, end) in enumerate(itertools.pairwise(edges))]


def segment_of(times_s: npt.NDArray[np.float64], shots: list[Segment]) -> npt.NDArray[np.int32]:
    """(n,) frame times -> (n,) index of the segment each lies in."""
    starts = np.asarray([shot.start_s for shot in shots], dtype=np.float64)
    inside = np.searchsorted(starts, times_s, side="right") - 1
    return np.clip(inside, 0, len(shots) - 1).astype(np.int32)
