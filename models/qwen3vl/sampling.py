"""How text is drawn from a model, and what an engine is; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from models.qwen3vl.prompting import Prompt


@dataclass(frozen=True, slots=True)
class Sampling:
    """temperature 0 takes the likeliest token; above it, one of the top_k likeliest is drawn, repeatably by seed."""

    max_new_tokens: int = 512
    temperature: float = 0.0
    top_k: int = 20
    seed: int = 0


Stop = Callable[[list[int]], bool]  # looks at what was written so far; True ends it


LONGEST_LOOP = 48  # tokens in a part that is said again and again
LOOPED = 48  # tokens that say nothing new


def repeats(ids: list[int]) -> bool:
    """A `Stop`: the text ends in a part of 1 to LONGEST_LOOP tokens, said four times and for LOOPED tokens or more.

    Small models fall into this; what they wrote before it can still be read.
    """
    for period in range(1, min(LONGEST_LOOP, len(ids) // 4) + 1):
        if ids[-1] == ids[-1 - period]:
            looped = max(LOOPED, 4 * period)
            if len(ids) >= looped and ids[-looped + period :] == ids[-looped:-period]:
                return True
    return False


class Engine(Protocol):
    """What runs prompts: engine.PackedEngine, or plain.PlainEngine where that one cannot."""

    def last_hidden(self, prompts: Sequence[Prompt]) -> npt.NDArray[np.float32]: ...

    def last_logits(self, prompts: Sequence[Prompt], token_ids: Sequence[int]) -> npt.NDArray[np.float32]: ...

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, ends: set[int], stop: Stop | None = None
    ) -> list[list[int]]: ...
