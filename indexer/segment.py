"""Shots from the small luma pictures that come along with a decode, and segments from shots.

A hard cut is a frame whose difference to the one before stands out from the differences round it, the idea of
adaptive content detection (PySceneDetect's AdaptiveDetector): a pan raises all of them, a cut only one. Fades go
through a dark (or white) stretch without detail; the boundary is put in its middle.
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from data.types import Segment

CUT_DIFFERENCE = 0.045  # least mean luma change (0..1) of a cut
CUT_RATIO = 3.0  # how far it must stand out from its neighbours
CUT_WINDOW = 4  # neighbours looked at on each side, frames
FLAT_DEVIATION = 0.02  # luma deviation under which a picture holds no detail: black, white or faded
SHORTEST_S = 0.5
LONGEST_S = 30.0
HISTOGRAM_BINS = 32


class ShotDetector:
    """Fed once per decoded frame, in order; keeps three numbers a frame, whatever the picture's size."""

    def __init__(self) -> None:
        self._times_s: list[float] = []
        self._changes: list[float] = []
        self._deviations: list[float] = []
        self._last: npt.NDArray[np.float32] | None = None
        self._last_histogram: npt.NDArray[np.float32] | None = None

    def feed(self, time_s: float, luma: npt.NDArray[np.uint8]) -> None:
        """Args: time_s: presentation time; luma: small (h, w) uint8, the same shape throughout."""
        small = luma.astype(np.float32) / 255.0
        bins = np.bincount(luma.reshape(-1) >> 3, minlength=HISTOGRAM_BINS)[:HISTOGRAM_BINS]
        histogram = bins.astype(np.float32) / luma.size
        if self._last is None or self._last.shape != small.shape or self._last_histogram is None:
            change = 0.0
        else:
            # Where things moved, pixels differ but the histogram hardly does; at a cut both do: their geometric mean
            # stays low for motion.
            pixels = float(np.abs(small - self._last).mean())
            tones = float(np.abs(histogram - self._last_histogram).sum()) / 2
            change = float(np.sqrt(pixels * tones))
        self._times_s.append(time_s)
        self._changes.append(change)
        self._deviations.append(float(small.std()))
        self._last, self._last_histogram = small, histogram

    def boundaries_s(self) -> list[float]:
        """Times at which a new shot begins, the first frame excepted, rising."""
        changes = np.asarray(self._changes)
        cuts = {self._times_s[index] for index in _standing_out(changes)}
        cuts |= {self._times_s[index] for index in _fades(np.asarray(self._deviations))}
        return sorted(cuts)


def _standing_out(changes: npt.NDArray[np.float64]) -> list[int]:
    cuts = []
    for index in np.flatnonzero(changes > CUT_DIFFERENCE):
        low, high = max(1, index - CUT_WINDOW), min(len(changes), index + CUT_WINDOW + 1)
        around = np.concatenate([changes[low:index], changes[index + 1 : high]])
        level = float(around.mean()) if len(around) else 0.0
        if changes[index] >= changes[low:high].max() and changes[index] > CUT_RATIO * max(level, 1e-3):
            cuts.append(int(index))
    return cuts


def _fades(deviations: npt.NDArray[np.float64]) -> list[int]:
    """Middles of inner stretches without detail."""
    flat = np.concatenate([[0], (deviations < FLAT_DEVIATION).astype(np.int8), [0]])
    starts, stops = np.flatnonzero(np.diff(flat) == 1), np.flatnonzero(np.diff(flat) == -1)
    return [
        int(start + stop) // 2
        for start, stop in zip(starts, stops, strict=True)
        if start > 0 and stop < len(deviations) and stop - start >= 2
    ]


def segments(
    media_id: str,
    boundaries_s: list[float],
    duration_s: float,
    *,
    shortest_s: float = SHORTEST_S,
    longest_s: float = LONGEST_S,
) -> list[Segment]:
    """[0, duration) in shots: those under `shortest_s` join the one before, those over `longest_s` are split evenly."""
    edges = [0.0]
    for boundary in boundaries_s:
        if boundary - edges[-1] >= shortest_s and duration_s - boundary >= shortest_s:
            edges.append(boundary)
    edges.append(max(duration_s, edges[-1]))
    out: list[Segment] = []
    for start_s, end_s in itertools.pairwise(edges):
        parts = max(1, int(np.ceil((end_s - start_s) / longest_s)))
        marks = np.linspace(start_s, end_s, parts + 1)
        for left, right in itertools.pairwise(marks):
            out.append(Segment(media_id, len(out), float(left), float(right)))
    return out


def segment_of(times_s: npt.NDArray[np.float64], shots: list[Segment]) -> npt.NDArray[np.int32]:
    """(n,) frame times -> (n,) index of the segment each lies in."""
    starts = np.asarray([shot.start_s for shot in shots], dtype=np.float64)
    inside = np.searchsorted(starts, times_s, side="right") - 1
    return np.clip(inside, 0, len(shots) - 1).astype(np.int32)
