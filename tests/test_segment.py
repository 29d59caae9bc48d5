"""Shots from luma pictures whose cuts are known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from data.types import Segment
from indexer.segment import ShotDetector, edges_s, segment_of, segments

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


def test_a_flash_is_not_a_cut_and_does_not_hide_one() -> None:
    pictures = [texture(1, shift=index // 8) for index in range(60)] + [texture(2)] * 60
    for place in (30, 31, 90):
        pictures[place] = 255 - (255 - pictures[place]) // 3
    assert boundaries(pictures) == pytest.approx([60 / RATE])


def test_a_fade_through_black_is_one_boundary_in_the_dark() -> None:
    out = [(texture(2) * (1 - index / 25)).astype(np.uint8) for index in range(25)]
    dark = [np.zeros_like(texture(2))] * 10
    back = [(texture(3) * (index / 25)).astype(np.uint8) for index in range(25)]
    still = [texture(2)] * 20
    (boundary,) = boundaries(still + out + dark + back + [texture(3)] * 20)
    assert 45 / RATE <= boundary <= 57 / RATE


def detector_of(pictures: list[np.ndarray], rate: float = RATE) -> ShotDetector:
    detector = ShotDetector()
    for index, picture in enumerate(pictures):
        detector.feed(index / rate, picture)
    return detector


def test_a_dissolve_is_one_boundary_in_its_middle() -> None:
    before, after = texture(4).astype(float), texture(5).astype(float)
    blend = [(before + (after - before) * index / 25).astype(np.uint8) for index in range(25)]
    pictures = [texture(4)] * 60 + blend + [texture(5)] * 60
    (boundary,) = boundaries(pictures)
    assert boundary == pytest.approx(72.5 / RATE, abs=0.15)


def test_short_shots_merge() -> None:
    pictures = [texture(1)] * 50 + [texture(2)] * 5 + [texture(3)] * 50  # the middle one is on screen for 0.2 s
    edges = edges_s(detector_of(pictures), 105 / RATE)
    assert edges == pytest.approx([0.0, 2.0, 4.2])


def test_a_long_shot_splits_where_its_content_changes() -> None:
    # A slow wipe, too slow for a cut, in 41..43 s of a minute at 5 frames a second.
    pictures = []
    for index in range(300):
        done = min(1.0, max(0.0, (index / 5 - 41) / 2))
        picture = texture(1).copy()
        picture[:, : int(done * 48)] = texture(2)[:, : int(done * 48)]
        pictures.append(picture)
    detector = detector_of(pictures, rate=5.0)
    assert detector.boundaries_s() == []
    edges = edges_s(detector, 60.0, longest_s=50.0)
    assert len(edges) == 3 and 40.0 <= edges[1] <= 44.0


def test_a_long_shot_of_nothing_splits_evenly() -> None:
    shots = segments("m", edges_s(detector_of([texture(1)] * 1100, rate=10.0), 110.0, longest_s=30.0))
    assert len(shots) == 4 and shots[0].start_s == 0.0 and shots[-1].end_s == 110.0
    assert all(left.end_s == right.start_s for left, right in itertools.pairwise(shots))
    assert all(15.0 <= shot.end_s - shot.start_s <= 30.0 for shot in shots)


def test_key_frames_alone_give_cuts_too() -> None:
    detector = ShotDetector(key_frames=True)
    for index in range(9):
        detector.feed(4.0 * index, texture(index // 3, shift=index % 3))
    assert detector.boundaries_s() == [12.0, 24.0]


def test_a_medium_without_length_still_has_a_segment() -> None:
    assert segments("m", edges_s(ShotDetector(), 0.0)) == [Segment("m", 0, 0.0, 0.0)]


def test_frames_fall_into_their_half_open_segment() -> None:
    shots = segments("m", [0.0, 1.0, 2.0, 3.0])
    assert segment_of(np.asarray([0.0, 0.99, 1.0, 2.5, 9.0]), shots).tolist() == [0, 0, 1, 2, 2]
