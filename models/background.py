"""What a similarity is worth for a model whose scale is not known: compared with unrelated packaged photographs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from importlib.resources import as_file, files

import numpy as np
import numpy.typing as npt

from data.types import Pixels, Vectors
from models.base import Modality

PHOTOS = tuple(f"IMG_{number:04d}.jpg" for number in (1, 3, 5, 7, 9, 11, 13, 15, 17, 20, 22, 24, 26, 28, 31, 33))
# Words: slope and middle of the standard score, from the lite profile's fit. Pictures: of the share of the way from
# unrelated to identical, so that a picture always matches itself; over 64 sample pictures the lite profile's own fit
# gives one half at .54 (deviation .12).
_WORDS_SLOPE, _WORDS_MIDDLE = 0.77, 2.48
_PICTURES_SLOPE, _PICTURES_MIDDLE = 10.0, 0.54


class PictureBackground:
    """How far above the photographs a picture must stand for one query to count as a match.

    Args:
        embed_images: of the model; asked once, at the first use.
    """

    def __init__(self, embed_images: Callable[[Sequence[Pixels]], Vectors]) -> None:
        self._embed_images = embed_images
        self._lock = threading.Lock()
        self._vectors: Vectors | None = None

    def match_probability(
        self, query_vectors: Vectors, similarities: npt.NDArray[np.float32], modality: Modality
    ) -> npt.NDArray[np.float32]:
        """See `JointEmbedder`: a similarity among the query's own with the background."""
        background = query_vectors @ self._seen().T
        mean, sd = background.mean(axis=1, keepdims=True), background.std(axis=1, keepdims=True)
        if modality == "text":
            odds = _WORDS_SLOPE * ((similarities - mean) / np.maximum(sd, 1e-6) - _WORDS_MIDDLE)
        else:
            odds = _PICTURES_SLOPE * ((similarities - mean) / np.maximum(1 - mean, 1e-6) - _PICTURES_MIDDLE)
        return (1 / (1 + np.exp(-np.clip(odds, -80, 80)))).astype(np.float32)

    def _seen(self) -> Vectors:
        from data.media import picture

        with self._lock:
            if self._vectors is None:
                with as_file(files("data") / "samples" / "photos") as folder:
                    self._vectors = self._embed_images([picture(folder / name) for name in PHOTOS])
            return self._vectors
