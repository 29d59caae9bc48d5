"""Shots from luma pictures whose cuts are known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from data.types import Segment
from indexer.segment import ShotDetector, segment_of, segments

RATE = 25.0


def texture(seed: int, shift: int = 0) -> np.ndarray:
    """A still life of its own: smooth blobs, so that moving by a pixel changes little."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (7, 12)).astype(np.float32)
    big = np.kron(coarse, np.ones((8, 8), np.float32))
    return np.roll(big, shift, axis=1)[4:31, 4:52].astype(np.uint8)


def boundaries(pictures: list[np.ndarray]) -> list[float]:
    detector = ShotDetector()
    for index, picture in enumerate(pictures):
        detector.feed(index / RATE, picture)
    return detector.boundaries_s()


def test_hard_cuts_are_found_to_the_frame() -> None:
    pictures = [texture(seed, shift=index // 4) for seed in range(4) for index in range(40)]
    assert boundaries(pictures) == pytest.approx([40 / RATE, 80 / RATE, 120 / RATE])


def test_a_pan_and_a_brightening_are_not_cuts() -> None:
    pan = [texture(1, shift=index) for index in range(60)]
    brighten = [np.clip(texture(1).astype(int) // 2 + index, 0, 255).astype(np.uint8) for index in range(60)]
    assert boundaries(pan) == [] and boundaries(brighten) == []


def test_a_fade_through_black_is_one_boundary_in_the_dark() -> None:
    out = [(texture(2) * (1 - index / 25)).astype(np.uint8) for index in range(25)]
    dark = [np.zeros_like(texture(2))] * 10
    back = [(texture(3) * (index / 25)).astype(np.uint8) for index in range(25)]
    still = [texture(2)] * 20
    (boundary,) = boundaries(still + out + dark + back + [texture(3)] * 20)
    assert 45 / RATE <= boundary <= 57 / RATE


def test_short_shots_merge_and_long_ones_split() -> None:
    shots = segments("m", [10.0, 10.2, 40.0], 110.0, longest_s=30.0)
    assert [(shot.start_s, shot.end_s) for shot in shots][:2] == [(0.0, 10.0), (10.0, 40.0)]
    assert len(shots) == 5 and shots[-1].end_s == 110.0
    assert all(left.end_s == right.start_s for left, right in itertools.pairwise(shots))


def test_a_medium_without_length_still_has_a_segment() -> None:
    assert segments("m", [], 0.0) == [Segment("m", 0, 0.0, 0.0)]


def test_frames_fall_into_their_half_open_segment() -> None:
    shots = segments("m", [1.0, 2.0], 3.0)
    assert segment_of(np.asarray([0.0, 0.99, 1.0, 2.5, 9.0]), shots).tolist() == [0, 0, 1, 2, 2]
