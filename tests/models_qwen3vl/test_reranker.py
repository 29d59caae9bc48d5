"""The second look: criteria, what is not asked any more, and the time budget; runs without torch."""

from __future__ import annotations

import time

import numpy as np
import pytest

from models.base import Clip
from models.qwen3vl import reranker
from models.qwen3vl.reranker import JudgeReranker

FRAME = np.zeros((32, 32, 3), np.uint8)
CLIPS = [Clip((FRAME,), kind="image", media_id=str(i)) for i in range(40)]


class Judge:
    """Says of each clip and question what the table says; `pace_s` a clip."""

    def __init__(self, table=None, pace_s: float = 0.0) -> None:
        self.table, self.pace_s, self.asked = table or {}, pace_s, []

    def yes(self, turns, keys):
        time.sleep(self.pace_s * len(turns))
        words = [turn.user[0].partition("<Query>:")[2].split("\n")[0] for turn in turns]
        numbers = [key.split("/")[0] for key in keys]
        self.asked += list(zip(words, numbers, strict=True))
        return np.array([self.table.get(pair, 0.5) for pair in zip(words, numbers, strict=True)], np.float32)


def test_criteria_are_told_apart_and_multiplied():
    judge = Judge({("sofa", "0"): 0.9, ("green", "0"): 0.2, ("sofa", "1"): 0.8, ("green", "1"): 0.9})
    first, second = JudgeReranker(judge).rerank("a green sofa", CLIPS[:2], criteria=("sofa", "green"))
    assert first.criteria == (("sofa", pytest.approx(0.9)), ("green", pytest.approx(0.2)))
    assert first.score == pytest.approx(0.18) and second.score == pytest.approx(0.72)


def test_what_cannot_come_back_is_not_asked_the_rest():
    judge = Judge({("sofa", "0"): 0.001})
    lost, other = JudgeReranker(judge).rerank("a green sofa", CLIPS[:2], criteria=("sofa", "green"))
    assert ("green", "0") not in judge.asked and ("green", "1") in judge.asked
    assert lost.score == pytest.approx(0.001) and lost.criteria == (("sofa", pytest.approx(0.001)),)
    assert other.score > lost.score


def test_all_are_judged_without_a_budget():
    judge = Judge({("a sofa", str(i)): i / 40 for i in range(40)})
    scores = JudgeReranker(judge).rerank("a sofa", CLIPS)
    assert [score.score for score in scores] == pytest.approx([i / 40 for i in range(40)])
    assert all(score.judged and score.criteria == () for score in scores)


def test_a_budget_is_kept_and_spent_on_the_first():
    judge = Judge(pace_s=0.02)
    started = time.monotonic()
    scores = JudgeReranker(judge).rerank("a sofa", CLIPS, budget_s=0.4)
    assert time.monotonic() - started < 0.6
    judged = [score.judged for score in scores]
    assert len(scores) == 40 and reranker.FIRST < sum(judged) < 40
    assert judged == sorted(judged, reverse=True) and scores[-1].score == 0.0


def test_a_budget_that_is_over_asks_nothing():
    judge = Judge()
    assert not any(score.judged for score in JudgeReranker(judge).rerank("a sofa", CLIPS, budget_s=0.0))
    assert judge.asked == []
