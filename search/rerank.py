"""The model's second look: the best answers are shown to a re-ranker, within a time budget.

It decides the order and the probability of what it judged; what it did not come to follows in the old order. What the
query does not want is asked as a question of its own, and an answer that shows it is dropped.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace

from data.errors import ServerFailed
from data.settings import Settings
from data.types import Evidence, Query
from models.base import Clip, ModelSet
from search.answers import Answer
from search.localise import clip_of

_LOG = logging.getLogger(__name__)
RERANK_FPS = 2.0
RERANK_FRAMES = 16
SHOWS_IT = 0.5  # probability from which an unwanted thing is taken to be there


def reranked(query: Query, best: list[Answer], models: ModelSet, settings: Settings) -> list[Answer]:
    """The answers in the re-ranker's order; as they are when there is none, when nothing was asked in words, and when
    the server that judges cannot be reached, which is logged: a search is worth more than its second look."""
    try:
        return _judged(query, best, models, settings)
    except ServerFailed as error:
        _LOG.warning("%s The results had no second look.", error)
        return best


def _judged(query: Query, best: list[Answer], models: ModelSet, settings: Settings) -> list[Answer]:
    wanted = " ".join(term.text for term in query.terms if term.weight > 0 and term.channel == "all")
    if models.reranker is None or not wanted or query.steps or not best or settings.rerank == 0:
        return best
    ends = time.monotonic() + settings.rerank_budget_s
    shown: list[tuple[Answer, Clip]] = []
    for answer in best[: settings.rerank]:
        clip = clip_of(
            answer.moment,
            RERANK_FPS,
            0.0,
            picture_side=models.picture_side,
            max_pixels=settings.max_pixels,
            most=RERANK_FRAMES,
        )
        if clip is not None:
            shown.append((answer, clip))
        if time.monotonic() > ends:
            break
    clips = [clip for _, clip in shown]
    left_s = ends - time.monotonic()
    if not clips or left_s <= 0:
        return best
    judged = models.reranker.rerank(wanted, clips, budget_s=left_s)
    scores = {id(answer): one.score for (answer, _), one in zip(shown, judged, strict=True) if one.judged}
    dropped: set[int] = set()
    for term in query.terms:
        left_s = ends - time.monotonic()
        if term.weight < 0 and term.channel == "all" and left_s > 0:
            seen = models.reranker.rerank(term.text, clips, budget_s=left_s)
            dropped |= {id(a) for (a, _), one in zip(shown, seen, strict=True) if one.judged and one.score >= SHOWS_IT}
    first = sorted((a for a in best if id(a) in scores and id(a) not in dropped), key=lambda a: -scores[id(a)])
    rest = [a for a in best if id(a) not in scores and id(a) not in dropped]
    return [_with_score(answer, scores[id(answer)], rank) for rank, answer in enumerate(first, start=1)] + rest


def _with_score(answer: Answer, score: float, rank: int) -> Answer:
    line = Evidence("rerank", rank, score, answer.moment.peak_s, f"looked at again: {score:.0%}")
    return replace(answer, moment=replace(answer.moment, score=score, evidence=(*answer.moment.evidence, line)))
