"""A checkpoint of this machine as what writes, what judges and what sums up."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from models.qwen3vl.loading import Weights
from models.qwen3vl.prompting import Prompt, Turn, prompt
from models.qwen3vl.sampling import Sampling, repeats

THOUGHT_TOKENS = 4_096  # what a Thinking model may write before its answer
_THREADS = min(8, os.cpu_count() or 1)


def prompts_of(weights: Weights, turns: Sequence[Turn]) -> list[Prompt]:
    """Turns ready for the model. Pictures are resized in threads: that is what takes the time, outside of Python."""
    tokens = weights.checkpoint.tokens
    if len(turns) < 2 or _THREADS < 2:
        return [prompt(turn, tokens) for turn in turns]
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(lambda turn: prompt(turn, tokens), turns))


class LocalChat:
    """A `Chat`. Answers that go round in circles are ended; there is no holding them to a schema."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights

    @property
    def revision(self) -> str:
        return self._weights.label

    def write(
        self, turns: Sequence[Turn], sampling: Sampling, schemas: Sequence[Mapping[str, Any]] | None = None
    ) -> list[str]:
        if not turns:
            return []
        checkpoint = self._weights.checkpoint
        if checkpoint.thinks:
            sampling = replace(sampling, max_new_tokens=sampling.max_new_tokens + THOUGHT_TOKENS)
        prompts = prompts_of(self._weights, turns)
        with self._weights.running() as engine:
            answers = engine.generate(prompts, sampling, checkpoint.ends, repeats)
        return [checkpoint.tokens.decode(ids) for ids in answers]


class LocalWriter:
    """A `Writer`."""

    def __init__(self, chat: LocalChat) -> None:
        self._chat = chat

    @property
    def revision(self) -> str:
        return self._chat.revision

    def write(self, system: str, text: str, *, most_tokens: int, schema: Mapping[str, Any] | None = None) -> str:
        return self._chat.write([Turn(system, (text,))], Sampling(max_new_tokens=most_tokens))[0]


class LocalJudge:
    """A `Judge`: sigmoid(logit of "yes" - logit of "no"), which is the published head of Qwen3-VL-Reranker, and as well
    what an Instruct model would answer.
    """

    def __init__(self, weights: Weights) -> None:
        self._weights = weights

    def yes(self, turns: Sequence[Turn], keys: Sequence[str]) -> npt.NDArray[np.float32]:
        tokens = self._weights.checkpoint.tokens
        prompts = prompts_of(self._weights, turns)
        for one, key in zip(prompts, keys, strict=True):
            one.keys = (key,) * len(one.blocks)
        with self._weights.running() as engine:
            logits = engine.last_logits(prompts, [tokens.id_of("yes"), tokens.id_of("no")])
        margin = (logits[:, 0] - logits[:, 1]).astype(np.float64)
        return (1.0 / (1.0 + np.exp(-np.clip(margin, -80, 80)))).astype(np.float32)
