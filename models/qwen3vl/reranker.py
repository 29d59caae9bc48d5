"""The second look: a judge says yes or no to each clip, for the whole query or for each of its criteria."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from models.base import Clip, RerankScore
from models.qwen3vl import showing
from models.qwen3vl.prompting import Turn

BATCH = 16  # clips judged between two looks at the clock
FIRST = 4  # of a search with a time budget, before their pace is known
LOST = 0.01  # a product under it: the criteria that are left can only lower it


class Judge(Protocol):
    def yes(self, turns: Sequence[Turn], keys: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n turns) -> (n,) probability that the next word is yes and not no.

        Args:
            keys: one a turn, naming what it shows: what was seen for an equal key may be kept; "" is never kept.
        """
        ...


class JudgeReranker:
    """A `Reranker`.

    Criteria are judged one after the other, and a clip that failed one is not asked the rest: its `criteria` then end
    there, and its score is the product so far, which the rest could only lower.
    """

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    def rerank(
        self, query: str, clips: Sequence[Clip], *, criteria: Sequence[str] = (), budget_s: float | None = None
    ) -> list[RerankScore]:
        """See `Reranker`. Within a budget a few are judged first, then as many at once as their pace allows."""
        started = time.monotonic()
        pace_s = 0.0  # what one clip took in the slowest batch
        scores: list[RerankScore] = []
        while len(scores) < len(clips):
            size, now = BATCH, time.monotonic()
            if budget_s is not None:
                left_s = started + budget_s - now
                size = min(BATCH, int(left_s / pace_s)) if scores else (FIRST if left_s > 0 else 0)
            if size < 1:
                break
            batch = clips[len(scores) : len(scores) + size]
            scores += self._judged(query, batch, criteria)
            pace_s = max(pace_s, (time.monotonic() - now) / len(batch), 1e-9)
        return scores + [RerankScore(0.0, judged=False)] * (len(clips) - len(scores))

    def _judged(self, query: str, clips: Sequence[Clip], criteria: Sequence[str]) -> list[RerankScore]:
        products = np.ones(len(clips), np.float32)
        seen: list[list[tuple[str, float]]] = [[] for _ in clips]
        for words in criteria or (query,):
            left = [i for i in range(len(clips)) if products[i] >= LOST]
            if not left:
                break
            turns = [showing.judge_turn(words, clips[i]) for i in left]
            keys = [showing.feature_key(clips[i], turn.user[-1]) for i, turn in zip(left, turns, strict=True)]
            for i, probability in zip(left, self._judge.yes(turns, keys), strict=True):
                products[i] *= probability
                seen[i].append((words, float(probability)))
        return [
            RerankScore(float(product), tuple(judged) if criteria else ())
            for product, judged in zip(products, seen, strict=True)
        ]
