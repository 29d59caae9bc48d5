"""Vectors by Qwen3-VL-Embedding: the last token of the published turn, at length one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from data.errors import UsageError
from data.types import Pixels, Vectors
from models.background import PictureBackground
from models.base import Modality, ModelIdentity
from models.qwen3vl import prompts
from models.qwen3vl.loading import Weights
from models.qwen3vl.local import prompts_of
from models.qwen3vl.pixels import EMBED_BUDGET, MAX_ASPECT
from models.qwen3vl.prompting import Part, Picture, Turn

AT_ONCE = 64  # inputs whose patches are held at a time: 64 pictures of 1800 tokens are 700 MB


class QwenEmbedder:
    """A `JointEmbedder`.

    Args:
        dim: how many of the leading numbers of a vector are kept (the models are trained for it: Matryoshka, Kusupati
            et al. 2022; from 1024 to 512 costs about 1.4 %); 0: all.
    """

    def __init__(self, weights: Weights, dim: int = 0) -> None:
        self._weights, self._dim = weights, dim
        self._background = PictureBackground(self.embed_images)

    @property
    def identity(self) -> ModelIdentity:
        """Raises: WeightsUnavailable: it cannot be had. UsageError: `dim` is above the model's width."""
        width = self._weights.checkpoint.width
        if self._dim > width:
            raise UsageError(
                f"Setting qwen_dim = {self._dim} is above the {width} numbers of {self._weights.checkpoint.name}.",
                remedy=f"Give 1 to {width}, or 0 for all.",
            )
        return ModelIdentity(
            name=f"qwen3-vl/{self._weights.checkpoint.name}",
            revision=f"{self._weights.revision}-{prompts.load('embed').id.partition('@')[2]}",
            dim=self._dim or width,
            preprocessing=f"native-{EMBED_BUDGET.max_pixels}",
        )

    def embed_images(self, images: Sequence[Pixels]) -> Vectors:
        return self.embed([(Picture(_bounded(image), EMBED_BUDGET),) for image in images])

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        return self.embed([(text,) for text in texts])

    def embed(self, inputs: Sequence[tuple[Part, ...]]) -> Vectors:
        """(n inputs) -> (n, dim), each words, pictures and frames with times, in any order, as one vector."""
        dim, system = self.identity.dim, prompts.load("embed").system
        rows = [np.empty((0, dim), np.float32)]
        for first in range(0, len(inputs), AT_ONCE):
            ready = prompts_of(self._weights, [Turn(system, parts) for parts in inputs[first : first + AT_ONCE]])
            with self._weights.running() as engine:
                hidden = engine.last_hidden(ready)[:, :dim]
            rows.append(hidden / np.maximum(np.linalg.norm(hidden, axis=1, keepdims=True), 1e-12))
        return np.concatenate(rows).astype(np.float32)

    def match_probability(
        self, query_vectors: Vectors, similarities: npt.NDArray[np.float32], modality: Modality
    ) -> npt.NDArray[np.float32]:
        return self._background.match_probability(query_vectors, similarities, modality)


def _bounded(rgb: Pixels) -> Pixels:
    """The middle of a picture that is longer than the model takes: a strip must not end an index run."""
    height, width = rgb.shape[:2]
    longest = MAX_ASPECT * min(height, width)
    top, left = max(0, (height - longest) // 2), max(0, (width - longest) // 2)
    return rgb[top : top + longest, left : left + longest]
