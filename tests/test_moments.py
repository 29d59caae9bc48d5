"""Curves in, moments out: the pure parts of search."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import UsageError
from data.types import ImageQuery, Segment
from search import fuse, moments
from search.query import build


def curve_of(*values: float) -> np.ndarray:
    return np.asarray(values, dtype=np.float32)


def test_a_hump_is_one_moment_with_its_peak() -> None:
    curve = curve_of(-1, -1, 1.5, 2, 1.6, 1.1, -1)
    (best,) = moments.stretches(curve, most=1)
    assert (best.first, best.peak, best.last) == (2, 3, 4)


def test_two_humps_are_two_moments_best_first() -> None:
    curve = curve_of(1.0, 1.2, 0.9, -1, -1, 2.0, 2.5, 1.9, -1)
    first, second = moments.stretches(curve, most=2)
    assert (first.first, first.peak, first.last) == (5, 6, 7)
    assert (second.first, second.peak, second.last) == (0, 1, 2)


@given(st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=60), st.integers(1, 20))
def test_stretches_never_overlap_and_hold_their_peaks(values: list[float], most: int) -> None:
    curve = curve_of(*values)
    found = moments.stretches(curve, most=most)
    taken = [index for one in found for index in range(one.first, one.last + 1)]
    assert len(taken) == len(set(taken)) and len(found) <= most
    assert [one.height for one in found] == sorted((one.height for one in found), reverse=True)
    assert all(one.first <= one.peak <= one.last for one in found)
    assert found[0].height == pytest.approx(float(curve.max()))


def test_as_many_moments_as_asked_when_there_are_frames() -> None:
    assert len(moments.stretches(curve_of(-1, -2, -3), most=3)) == 3


def test_an_interval_runs_from_cut_to_cut_when_the_whole_shot_matches() -> None:
    shots = [Segment("m", 0, 0.0, 2.1), Segment("m", 1, 2.1, 4.3), Segment("m", 2, 4.3, 6.0)]
    times_s = np.arange(0, 6, 0.5)
    places = np.asarray([0] * 5 + [1] * 4 + [2] * 3, dtype=np.int32)
    start_s, peak_s, end_s = moments.interval(moments.Stretch(5, 6, 8, 1.0), times_s, places, shots)
    assert (start_s, peak_s, end_s) == (2.1, 3.0, 4.3)
    start_s, peak_s, end_s = moments.interval(moments.Stretch(6, 6, 7, 1.0), times_s, places, shots)
    assert (start_s, peak_s, end_s) == (3.0, 3.0, 4.0)


def test_fusion_puts_parts_on_one_scale() -> None:
    # The picture's cosines are large and wide, the words' small and narrow: both must speak.
    words, picture = curve_of(0.10, 0.11, 0.15, 0.10), curve_of(0.5, 0.9, 0.5, 0.5)
    curves = np.stack([words, picture])
    both = fuse.fit(curves, [1, 1])(curves)
    assert set(np.argsort(-both)[:2].tolist()) == {1, 2}
    assert int(np.argmax(fuse.fit(curves, [1, 0.01])(curves))) == 2
    assert int(np.argmax(fuse.fit(curves, [1, -1])(curves))) == 2


def test_a_minus_leaves_what_is_wanted_as_high_as_it_was() -> None:
    curves = np.stack([curve_of(0.1, 0.2, 0.3), curve_of(0.3, 0.1, 0.1)])
    alone, beside = fuse.fit(curves[:1], [1])(curves[:1]), fuse.fit(curves, [1, -1])(curves)
    assert beside[1:].tolist() == pytest.approx(alone[1:].tolist()) and beside[0] < alone[0]
    assert fuse.fit(curves[1:], [-2]).weights.tolist() == [[-1]]


def test_a_part_that_tells_nothing_apart_says_nothing() -> None:
    curves = np.stack([curve_of(0.3, 0.3, 0.3), curve_of(0.1, 0.2, 0.3)])
    fused = fuse.fit(curves, [1, 1])(curves)
    assert np.isfinite(fused).all() and int(np.argmax(fused)) == 2


def test_probability_of_wanted_and_unwanted() -> None:
    matches = np.asarray([[0.9, 0.9], [0.9, 0.1]], dtype=np.float32)
    wanted = fuse.probability(matches, [1, 1])
    assert wanted[0] == pytest.approx(0.9, abs=1e-3) and wanted[1] == pytest.approx(0.3, abs=1e-3)
    without = fuse.probability(matches, [1, -1])
    assert without[0] == pytest.approx(0.09, abs=1e-3) and without[1] == pytest.approx(0.81, abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"text": "  "}, "Nothing to search for"),
        ({"images": [ImageQuery(np.zeros((4, 4, 3), np.uint8), weight=-1)]}, "Nothing to search for: the picture only"),
        ({"text": "-dog -cat"}, "Nothing to search for: '-dog -cat' only says what to avoid"),
        ({"text": "x" * 5000}, "5000 characters"),
        ({"text": "x", "k": 0}, "0 results"),
        ({"text": "x", "kinds": ["film"]}, "'film'"),
    ],
)
def test_a_bad_query_is_told_what_is_wrong(arguments: dict, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        build(**arguments)
