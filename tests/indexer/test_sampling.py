"""Which frames become rows: few of a still camera, many of a wild one, and never one without a vector."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from data.settings import Settings
from data.store.lance import open_reader
from indexer.pipeline import index
from indexer.sampling import DENSE_FPS, LONGEST_GAP_S, Choice, Sampler, Sampling
from models.base import ModelSet
from tests.conftest import write_video

RATE = 25


def picture(seed: int) -> np.ndarray:
    return np.kron(np.random.default_rng(seed).integers(0, 255, (3, 6), np.uint8), np.ones((9, 8), np.uint8))


def rows(pictures: list[np.ndarray], sampling: Sampling = "adaptive") -> list[tuple[float, Choice]]:
    sampler = Sampler(2.0, sampling)
    chosen = [(number / RATE, sampler(number / RATE, 1 / RATE, one)) for number, one in enumerate(pictures)]
    return [(time_s, choice) for time_s, choice in chosen if choice is not None]


def gaps(found: list[tuple[float, Choice]]) -> list[float]:
    return [after - before for (before, _), (after, _) in itertools.pairwise(found)]


def test_nothing_moves_for_ten_minutes() -> None:
    noise = np.random.default_rng(0)
    still = [np.clip(picture(1) + noise.integers(-3, 4, (27, 48)), 0, 255).astype(np.uint8) for _ in range(600 * RATE)]
    found = rows(still)
    assert len(found) < 75, "against 1,200 at a fixed rate"
    assert max(gaps(found)) <= LONGEST_GAP_S + 0.5
    assert found[0][1] == Choice(None) and all(choice == Choice(0) for _, choice in found[1:])


def test_something_happens_in_front_of_a_still_camera() -> None:
    still, changed = [picture(1)] * (60 * RATE), picture(1).copy()
    changed[:6, :6] = 255 - changed[:6, :6]  # a fiftieth of the picture, for a second
    found = rows([*still, *[changed] * RATE, *still])
    own = [time_s for time_s, choice in found if choice.repeats is None]
    assert own[0] == 0.0 and 60.0 <= own[1] <= 60.5 and len(own) == 2
    back = [choice.repeats for time_s, choice in found if time_s > 61.5]
    assert set(back) == {0}, "what was there before needs no new vector"


def test_ordinary_motion_is_sampled_at_the_base_rate() -> None:
    pan = [np.roll(np.kron(picture(2), np.ones((1, 2), np.uint8)), index, axis=1)[:, :48] for index in range(10 * RATE)]
    found = rows(pan)
    assert all(gap <= 0.5 + 1 / RATE for gap in gaps(found)) and len(found) <= 10 * DENSE_FPS


def test_fast_change_is_sampled_densely() -> None:
    wild = [picture(index) for index in range(4 * RATE)]
    assert len(rows(wild)) == pytest.approx(4 * DENSE_FPS, abs=2)


def test_fixed_is_the_frame_on_screen_at_each_half_second() -> None:
    found = rows([picture(1)] * (3 * RATE), "fixed")
    assert [time_s for time_s, _ in found] == pytest.approx([0, 0.48, 1.0, 1.48, 2.0, 2.48])
    assert all(choice == Choice(None) for _, choice in found)


def test_rows_that_repeat_share_a_vector_and_keep_their_time(
    tmp_path: Path, settings: Settings, colour_models: ModelSet
) -> None:
    seen = 0
    embed = colour_models.joint.embed_images

    def counted(images):
        nonlocal seen
        seen += len(images)
        return embed(images)

    colour_models.joint.embed_images = counted  # type: ignore[method-assign]
    film = write_video(tmp_path / "film.mp4", ["red", "green", "red"], seconds_each=20)
    report = index([film], library=settings.library, models=colour_models, settings=settings)
    assert report.indexed == 1
    with open_reader(settings.library) as store:
        (item,) = store.media()
        frames = store.frame_vectors("joint", item.media_id)
        shots = store.segments(item.media_id)
    assert seen <= 4 < len(frames.times_s)
    assert np.all(np.diff(frames.times_s) > 0)
    red = (frames.times_s < 20) | (frames.times_s >= 40)
    assert frames.vectors[red].std(axis=0).max() < 1e-3 < frames.vectors.std(axis=0).max()
    assert [(shot.start_s, shot.end_s) for shot in shots] == [(0, 20), (20, 40), (40, 60)]
    assert all(shot.colors for shot in shots), "a shot of repeats alone has colours too"
