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
# (slope, standard score at p = 1/2) of the lite profile's fit; another model's own scale is not known beforehand.
_CALIBRATION: dict[Modality, tuple[float, float]] = {"text": (0.77, 2.48), "image": (1.2, 5.5)}


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
        """See `JointEmbedder`: the standard score of a similarity among the query's own with the background."""
        background = query_vectors @ self._seen().T
        mean, sd = background.mean(axis=1, keepdims=True), background.std(axis=1, keepdims=True)
        slope, middle = _CALIBRATION[modality]
        return (1 / (1 + np.exp(-slope * ((similarities - mean) / np.maximum(sd, 1e-6) - middle)))).astype(np.float32)

    def _seen(self) -> Vectors:
        from data.media import picture

        with self._lock:
            if self._vectors is None:
                with as_file(files("data") / "samples" / "photos") as folder:
                    self._vectors = self._embed_images([picture(folder / name) for name in PHOTOS])
            return self._vectors
