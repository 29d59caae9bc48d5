"""A probability is fitted on one half of the questions, and judged on the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.lite.training import calibrate
from models.lite.training.material import unit

COUNT, DIM = 120, 32


@pytest.fixture
def questions_and_tower():
    """Texts whose vectors are their picture's with noise."""
    rng = np.random.default_rng(0)
    questions, vectors = {}, {}
    for kind in ("en", "names"):
        pictures = unit(rng.standard_normal((COUNT, DIM)).astype(np.float32))
        texts = [f"{kind} {row}" for row in range(COUNT)]
        noisy = unit(pictures + 0.25 * rng.standard_normal(pictures.shape).astype(np.float32))
        vectors |= dict(zip(texts, noisy, strict=True))
        questions[kind] = (texts, np.arange(COUNT), pictures)
    unrelated = unit(rng.standard_normal((200, DIM)).astype(np.float32))
    return questions, lambda some: np.stack([vectors[text] for text in some]), unrelated


def test_no_question_is_judged_that_was_fitted_on(questions_and_tower, monkeypatch: pytest.MonkeyPatch) -> None:
    questions, embed, unrelated = questions_and_tower
    halves = []
    flat = calibrate._flat
    monkeypatch.setattr(calibrate, "_flat", lambda rows: halves.append(rows) or flat(rows))
    calibrate.fit(questions, {"worse": lambda some: -embed(some), "tower": embed}, unrelated)
    fitted, judged = (set(half[:, 1].tolist()) for half in halves)
    assert not fitted & judged and len(fitted | judged) == 2 * COUNT and min(len(fitted), len(judged)) >= COUNT // 2


def test_what_is_fitted_says_how_often_it_is_right(questions_and_tower, tmp_path: Path) -> None:
    questions, embed, unrelated = questions_and_tower
    fitted = calibrate.fit(questions, {"tower": embed}, unrelated)
    blind = calibrate.fit(questions, {"tower": lambda some: embed(some[::-1])}, unrelated)
    assert fitted.slope > 0 and fitted.error < 0.1 and fitted.brier < 0.15
    assert fitted.auroc[10] > 0.9 and fitted.auroc[10] >= fitted.auroc[50] > 0.8 and blind.auroc[50] < 0.6
    assert sum(count for _, _, count in fitted.bins) == pytest.approx(2 * 2 * COUNT, rel=0.2)
    calibrate.plot(fitted, tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as plot:
        assert plot.size == (430, 430)
