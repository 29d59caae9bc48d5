"""The teacher's vectors of nouns -> nouns.npz, which is shipped: principal axes, 4 bits on each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.lite.training.material import Floats, unit

AXES, LEVELS = 160, 7
_REACH = 0.6  # of the largest value on an axis: what is farther out is cut off


def write(words: Sequence[str], vectors: Floats, file: Path) -> None:
    """words: nouns, of which the first of each is taken; vectors: (n, 512) unit. What is read back has a cosine of .95
    to what was given."""
    first = {word: row for row, word in reversed(list(enumerate(words)))}
    words, vectors = list(first), vectors[list(first.values())]
    mean = vectors.mean(axis=0)
    _, _, directions = np.linalg.svd(vectors[:: max(1, len(vectors) // 10_000)] - mean, full_matrices=False)
    axes = directions[:AXES].astype(np.float32)
    on_axes = (vectors - mean) @ axes.T
    scales = np.abs(on_axes).max(axis=0) * _REACH / LEVELS
    np.savez_compressed(
        file,
        words=np.frombuffer("\n".join(words).encode("utf-8"), dtype=np.uint8),
        codes=np.clip(np.round(on_axes / scales), -LEVELS, LEVELS).astype(np.int8),
        axes=axes.astype(np.float16),
        scales=scales.astype(np.float32),
        mean=unit(mean[None])[0].astype(np.float16) * np.float16(np.linalg.norm(mean)),
    )
