"""Moments from a relevance curve: peaks, and how far each reaches before the curve falls into a valley. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data.types import Segment

# A moment reaches as far as the curve keeps this share of its peak's height over the average frame. Of .5 to .85, .7
# did best over the samples' queries (R1@0.3); averaging neighbouring frames first, or a floor of each film's own, did
# worse.
VALLEY = 0.7


@dataclass(frozen=True, slots=True)
class Stretch:
    """Frames [first, last] of one medium round `peak`, all indices; height: the curve at the peak."""

    first: int
    peak: int
    last: int
    height: float


def stretches(curve: npt.NDArray[np.float32], *, most: int, least_height: float = -np.inf) -> list[Stretch]:
    """The best stretches of one curve, best first, none overlapping another.

    From the highest free frame a stretch grows to both sides while the curve stays above `VALLEY` of that height
    (heights count from 0, the average frame) and does not enter another stretch.

    Args:
        curve: (n,) with 0 the average frame, n >= 1.
        most: stretches wanted at most.
        least_height: lower peaks are left out.
    """
    free = np.ones(len(curve), dtype=bool)
    out: list[Stretch] = []
    for peak in np.argsort(-curve, kind="stable"):
        height = float(curve[peak])
        if len(out) == most or height < least_height:
            break
        if not free[peak]:
            continue
        # Below the average there is no height to fall from: such a peak stands alone.
        inside = free & (curve >= VALLEY * height) if height > 0 else np.zeros(len(curve), dtype=bool)
        first = last = int(peak)
        while first > 0 and inside[first - 1]:
            first -= 1
        while last + 1 < len(curve) and inside[last + 1]:
            last += 1
        free[first : last + 1] = False
        out.append(Stretch(first, int(peak), last, height))
    return out


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
