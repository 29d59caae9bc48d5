"""The second look at candidates: a re-ranking model behind /rerank or /score, or a chat model's yes or no."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from typing import Any, Literal

from data.errors import ServerFailed
from models.base import Clip, RerankScore
from models.qwen3vl import showing
from models.qwen3vl.reranker import LOST
from models.qwen3vl.sampling import Sampling
from models.server.chat import Reply, ServerChat, parts_of
from models.server.client import Client, Refused

Way = Literal["/rerank", "/score", "chat"]
LEAST_BUDGET_S = 0.05
_ALTERNATIVES = 20  # as many first tokens as vLLM and OpenAI tell


class ServerReranker:
    """A `Reranker`; every criterion of every clip is one request, so that a time budget ends it anywhere.

    As in `models.qwen3vl.reranker`, a clip that failed one criterion is not asked the rest.

    Args:
        client: the server that re-ranks. model: its re-ranking model; "": the chat model's yes or no is asked.
        chat: what answers yes or no where the server has neither /rerank nor /score.
    """

    def __init__(self, client: Client, model: str, chat: ServerChat) -> None:
        self._client = client
        self._model = model
        self._chat = chat
        self._lock = threading.Lock()
        self._ways: list[Way] = ["/rerank", "/score", "chat"] if model else ["chat"]

    def rerank(
        self, query: str, clips: Sequence[Clip], *, criteria: Sequence[str] = (), budget_s: float | None = None
    ) -> list[RerankScore]:
        ends = math.inf if budget_s is None else time.monotonic() + budget_s

        def one(clip: Clip) -> RerankScore:
            judged: list[tuple[str, float]] = []
            score = 1.0
            try:
                for words in criteria or (query,):
                    judged.append((words, self._probability(words, clip, ends)))
                    score *= judged[-1][1]
                    if score < LOST:
                        break
            except TimeoutError:
                return RerankScore(0.0, judged=False)
            return RerankScore(score, tuple(judged) if criteria else ())

        return self._client.map(one, clips)

    def _probability(self, query: str, clip: Clip, ends: float) -> float:
        """Raises: TimeoutError: the time budget is over."""
        left_s = ends - time.monotonic()
        if left_s < LEAST_BUDGET_S:
            raise TimeoutError
        budget_s = None if math.isinf(left_s) else left_s
        try:
            while True:
                way = self._ways[0]
                try:
                    return self._judged(way, query, clip, budget_s)
                except Refused as refused:
                    if refused.status not in (404, 405) or way == "chat":
                        raise
                    with self._lock:  # not served there: all go on to the next way
                        if self._ways[0] == way:
                            self._ways = self._ways[1:]
        except ServerFailed:
            if time.monotonic() >= ends - LEAST_BUDGET_S:
                raise TimeoutError from None
            raise

    def _judged(self, way: Way, query: str, clip: Clip, budget_s: float | None) -> float:
        turn = showing.judge_turn(query, clip)
        if way == "chat":
            sampling = Sampling(max_new_tokens=1)
            return yes_probability(self._chat.ask(turn, sampling, alternatives=_ALTERNATIVES, budget_s=budget_s))
        documents = [{"content": list(parts_of(turn.user[-1]))}]
        body: dict[str, Any] = {"model": self._model, "documents": documents}
        body |= {"query": query} if way == "/rerank" else {"queries": query}
        answer = self._client.post(way, body, budget_s=budget_s)
        try:
            rows = answer if isinstance(answer, list) else answer.get("results", answer.get("data"))
            (row,) = rows
            score = float(row["relevance_score"] if "relevance_score" in row else row["score"])
            if not 0 <= score <= 1:
                raise ValueError
            return score
        except (TypeError, ValueError, KeyError, AttributeError):
            raise ServerFailed(
                f"The model server at {self._client.url} answered {way} without one score from 0 to 1.",
                remedy=f"Check that {self._model!r} is served as a re-ranker there.",
            ) from None


def yes_probability(reply: Reply) -> float:
    """p(yes) / (p(yes) + p(no)) over the first token, which is sigmoid(logit_yes - logit_no) when each is one token.

    From the word alone, 1 or 0, where the server tells no probabilities.
    """
    sums = {"yes": 0.0, "no": 0.0}
    for token, logprob in reply.first:
        word = token.strip().strip("▁Ġ\"'.").lower()
        word = {"是": "yes", "否": "no", "不": "no"}.get(word, word)
        if word in sums:
            sums[word] += math.exp(min(0.0, logprob))
    total = sums["yes"] + sums["no"]
    if total > 0:
        return sums["yes"] / total
    return 1.0 if reply.text.strip().lower().startswith(("yes", "是")) else 0.0
