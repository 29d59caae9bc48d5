"""How likely a picture is the one meant, by how far its similarity stands above a background: fitted, and plotted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.lite.training import evaluate
from models.lite.training.material import Floats, unit

AMONG = (10, 50)  # pictures, one of which is meant
_ASKED, _BINS = 300, 10
_LARGE = 300
_SIDE, _MARGIN = 350, 40  # of the plot, pixels


@dataclass(frozen=True, slots=True)
class Fitted:
    """slope, middle: of the logistic of a standard score. error: expected calibration error on the other half of the
    questions; brier: their mean squared error; auroc: pictures asked among -> with an answer among them or without."""

    slope: float
    middle: float
    error: float
    brier: float
    auroc: dict[int, float]
    bins: list[tuple[float, float, int]] = field(repr=False)  # mean probability, share that was right, how many


def fit(
    questions: Mapping[Any, tuple[list[str], npt.NDArray[np.int64], Floats]],
    towers: Mapping[str, evaluate.Embed],
    unrelated: Floats,
    seed: int = 0,
) -> Fitted:
    """The last of the towers' logistic: the picture meant against the best of 9 and of 49 other held-out ones, on one
    half of the questions; judged on the other."""
    rng = np.random.default_rng(seed)
    embed = list(towers.values())[-1]
    pool = np.concatenate([questions["en"][2], questions["names"][2]])
    rows, asked = [], 0
    for kind, (texts, truth, _) in questions.items():
        some = rng.permutation(len(texts))[:_ASKED]
        vectors = unit(embed([texts[row] for row in some]))
        offset = len(questions["en"][2]) if kind.startswith("names") else 0
        for vector, meant in zip(vectors, truth[some] + offset, strict=True):
            near = unrelated @ vector
            scores = (pool @ vector - near.mean()) / near.std()
            for among in (*AMONG, _LARGE):
                others = rng.choice(np.delete(np.arange(len(pool)), meant), min(among, len(pool)) - 1, replace=False)
                rows.append((among, asked, scores[meant], scores[others].max()))
            asked += 1
    held = np.array(rows)
    auroc = {among: _auroc(*held[held[:, 0] == among, 2:].T) for among in (*AMONG, _LARGE)}
    held = held[held[:, 0] < _LARGE]
    first = (rng.permutation(asked) % 2 == 0)[held[:, 1].astype(int)]  # a question is all in one half
    slope, shift = _logistic(*_flat(held[first]))
    scores, right = _flat(held[~first])
    told = 1 / (1 + np.exp(-(slope * scores + shift)))
    bins = [
        (float(told[inside].mean()), float(right[inside].mean()), int(inside.sum()))
        for inside in (np.minimum((told * _BINS).astype(int), _BINS - 1) == at for at in range(_BINS))
        if inside.any()
    ]
    error = sum(abs(mean - share) * count for mean, share, count in bins) / len(told)
    brier = float(((told - right) ** 2).mean())
    return Fitted(round(slope, 3), round(-shift / slope, 3), round(error, 4), round(brier, 4), auroc, bins)


def plot(fitted: Fitted, file: Path) -> None:
    """The reliability of the half that was not fitted on."""
    from PIL import Image, ImageDraw

    low, high = _MARGIN, _MARGIN + _SIDE
    page = Image.new("RGB", (_SIDE + 2 * _MARGIN, _SIDE + 2 * _MARGIN), "white")
    draw = ImageDraw.Draw(page)
    draw.rectangle((low, low, high, high), outline="black")
    draw.line((low, high, high, low), fill="#bbb")
    points = [(low + _SIDE * told, high - _SIDE * share) for told, share, _ in fitted.bins]
    draw.line(points, fill="#1060c0", width=2)
    for x, y in points:
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill="#1060c0")
    draw.text((low + 90, high + 12), "predicted probability (0..1)", fill="black")
    draw.text((low + 5, low + 4), "observed share (0..1)", fill="black")
    page.save(file)


def _flat(rows: Floats) -> tuple[Floats, Floats]:
    return rows[:, 2:].T.reshape(-1), np.repeat([1.0, 0.0], len(rows))


def _logistic(scores: Floats, right: Floats) -> tuple[float, float]:
    """(slope, shift) by Newton's method."""
    columns, weights = np.stack([scores, np.ones_like(scores)], axis=1), np.zeros(2)
    for _ in range(30):
        told = 1 / (1 + np.exp(-columns @ weights))
        curve = columns.T @ (columns * (told * (1 - told))[:, None]) + 1e-6 * np.eye(2)
        weights = weights + np.linalg.solve(curve, columns.T @ (right - told))
    return float(weights[0]), float(weights[1])


def _auroc(meant: Floats, others: Floats) -> float:
    """With an answer (the best of both) beside without (the best of the others)."""
    with_answer = np.maximum(meant, others)
    above = (with_answer[:, None] > others).mean() + 0.5 * (with_answer[:, None] == others).mean()
    return round(float(above), 3)
