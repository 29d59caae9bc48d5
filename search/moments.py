"""Moments from a relevance curve: peaks, and how far each reaches before the curve falls into a valley. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data.types import Segment

# A moment reaches as far as the curve keeps this share of its peak's height over the average frame. Of .4 to .75, .6
# did best over the samples' queries (R1@0.3 .50); averaging neighbouring frames first, or a floor of each film's own,
# did worse.
VALLEY = 0.6
OVER_A_CUT = 0.0


@dataclass(frozen=True, slots=True)
class Stretch:
    """Frames [first, last] of one medium round `peak`, all indices; height: the curve at the peak."""

    first: int
    peak: int
    last: int
    height: float


def stretches(
    curve: npt.NDArray[np.float32], *, most: int, segment_of_frame: npt.NDArray[np.int32] | None = None
) -> list[Stretch]:
    """The best stretches of one curve, best first, none overlapping another.

    From the highest free frame a stretch grows to both sides while the curve stays above `VALLEY` of that height
    (heights count from 0, the average frame) and does not enter another stretch.

    Args:
        curve: (n,) with 0 the average frame, n >= 1; -inf where there is no match at all.
        most: stretches wanted at most.
        segment_of_frame: (n,) shot of each frame; given, a stretch ends at a cut behind which the curve is lower on the
            whole than `OVER_A_CUT` of its height.
    """
    free = np.ones(len(curve), dtype=bool)
    out: list[Stretch] = []
    for peak in np.argsort(-curve, kind="stable"):
        height = float(curve[peak])
        if len(out) == most or height == -np.inf:
            break
        if not free[peak]:
            continue
        # Below the average there is no height to fall from: such a peak stands alone.
        inside = free & (curve >= VALLEY * height) if height > 0 else np.zeros(len(curve), dtype=bool)
        if segment_of_frame is not None and height > 0:
            inside &= _over_cuts(curve, segment_of_frame, int(peak), OVER_A_CUT * height)
        first = last = int(peak)
        while first > 0 and inside[first - 1]:
            first -= 1
        while last + 1 < len(curve) and inside[last + 1]:
            last += 1
        free[first : last + 1] = False
        out.append(Stretch(first, int(peak), last, height))
    return out


def _over_cuts(
    curve: npt.NDArray[np.float32], segment_of_frame: npt.NDArray[np.int32], peak: int, least: float
) -> npt.NDArray[np.bool_]:
    """(n,) frames of the peak's own shot and of shots whose mean is at least `least`."""
    shots, rows = np.unique(segment_of_frame, return_inverse=True)
    finite = np.where(np.isfinite(curve), curve, 0.0)
    means = np.bincount(rows, weights=finite, minlength=len(shots)) / np.bincount(rows, minlength=len(shots))
    good: npt.NDArray[np.bool_] = (means >= least)[rows] | (segment_of_frame == segment_of_frame[peak])
    return good


def interval(
    stretch: Stretch,
    times_s: npt.NDArray[np.float64],
    segment_of_frame: npt.NDArray[np.int32],
    shots: Sequence[Segment],
) -> tuple[float, float, float]:
    """(start_s, peak_s, end_s) of a stretch: a frame stands for the time to the next frame or the end of its shot.

    The first frame of a shot stands for the shot's beginning too: a cut just before it is where the moment starts.
    """
    first_shot, last_shot = shots[segment_of_frame[stretch.first]], shots[segment_of_frame[stretch.last]]
    opens_shot = stretch.first == 0 or segment_of_frame[stretch.first - 1] != segment_of_frame[stretch.first]
    start_s = min(float(first_shot.start_s or 0.0), times_s[stretch.first]) if opens_shot else times_s[stretch.first]
    closes_shot = stretch.last + 1 == len(times_s) or (
        segment_of_frame[stretch.last + 1] != segment_of_frame[stretch.last]
    )
    end_s = float(last_shot.end_s or 0.0) if closes_shot else times_s[stretch.last + 1]
    peak_s = float(times_s[stretch.peak])
    # A shot's end is where the stream says it ends; a frame is on screen at its own second whatever the stream says.
    return float(start_s), peak_s, max(float(end_s), float(np.nextafter(peak_s, np.inf)))
