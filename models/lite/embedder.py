"""Both towers in one space, and what a similarity in it means."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from data.settings import Settings
from data.types import Pixels, Vectors
from models import artifacts
from models.base import Modality, ModelIdentity
from models.lite import preprocess
from models.lite.clip import DIM, ClipImageTower
from models.lite.nouns import NounTable
from models.lite.sentences import SentenceTower
from models.lite.text import TextTower

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

IMAGE_TOWER = "clip-vit-b16-int8"
TEXT_VERSION = "t4"
TEXT_SHA256 = "3dbb0e52971e292909357131706615e1fcf1b7ff167dcd5e14386b1570dcf62b"  # of text.npz
NOUNS_SHA256 = "ca2480d575c3847ce527ee0c0064b354cb43e2adb93cd0a068513f1ca4573f74"  # of nouns.npz
HEAD_SHA256 = "d78ae46d8d10c8aebe51de95f1db3f45caa965c92fbb1a20422d152e7937cebd"  # of head.npz
_STOPS = " .。!！"  # at the end of a text: they say nothing, and cost held-out Chinese captions .06 of R@1
_SENTENCES_SHARE = 0.25  # of the second text tower against the first; from a held-out fold: names lose by more
NOUNS_SHARE = 2.0  # of a looked-up noun against the encoder; flat from 1 to 4
# Logistic of a similarity's standard score against the background pictures: (slope, standard score at p = 1/2).
# text: fitted on held-out captions and names, the truth against the best of 9 to 49 other pictures. image: between
# the nearest of unrelated photographs (median 3.9, 95th percentile 5.6) and one thing drawn twice (median 7.2).
_CALIBRATION: dict[Modality, tuple[float, float]] = {"text": (1.06, 2.86), "image": (1.2, 5.5)}


class LiteEmbedder:
    """A `JointEmbedder`. Towers load at their first use, so a search by words alone never loads the image tower.

    A picture's stored vector is CLIP's vector less the mean of many pictures' vectors, renormalised: CLIP's vectors
    crowd into a narrow cone (Liang et al. 2022, "Mind the gap"), and centring is what lets words reach them.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        with np.load(str(files("models.lite") / "head.npz"), allow_pickle=False) as weights:
            arrays = {name: weights[name].astype(np.float32) for name in weights.files}
        self._image_mean = arrays.pop("image_mean")
        self._background = arrays.pop("background")  # (n, 512) stored vectors of unrelated pictures
        self._head = arrays

    @property
    def identity(self) -> ModelIdentity:
        return ModelIdentity(
            name="lite/clip-vit-b16-int8",
            revision=artifacts.artifact(IMAGE_TOWER).sha256[:8],
            dim=DIM,
            preprocessing=preprocess.DESCRIPTION,
            words_revision=TEXT_VERSION,
        )

    @cached_property
    def _image_tower(self) -> ClipImageTower:
        path = artifacts.ensure(IMAGE_TOWER, self._settings.cache / "models")
        return ClipImageTower(path, self._settings.threads)

    @cached_property
    def _text_towers(self) -> tuple[TextTower, SentenceTower]:
        with np.load(str(files("models.lite") / "text.npz"), allow_pickle=False) as weights:
            tuned = TextTower({name: weights[name] for name in weights.files})
        return tuned, SentenceTower(self._head, threads=1)

    def warm(self) -> None:
        """Loads both towers; mostly outside of Python, so that a thread can do it while the library is opened."""
        self.embed_texts(["a"])
        _ = self._image_tower

    @cached_property
    def _nouns(self) -> NounTable:
        with np.load(str(files("models.lite") / "nouns.npz"), allow_pickle=False) as held:
            return NounTable({name: held[name] for name in held.files})

    def embed_images(self, images: Sequence[Pixels]) -> Vectors:
        if not images:
            return np.empty((0, DIM), dtype=np.float32)
        return _normalised(self._image_tower.embed(images) - self._image_mean)

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """(n texts, English or Chinese) -> (n, 512): the weighted sum of both text towers, renormalised; of a text that
        is a noun of the table, its vector there takes the greater part of the first tower's."""
        if not texts:
            return np.empty((0, DIM), dtype=np.float32)
        tuned, sentences = self._text_towers
        texts = [text.rstrip(_STOPS) or text for text in texts]
        # A query's matrices are too small to share out: BLAS threads would only wait for each other.
        with _blas().limit(limits=1, user_api="blas"):
            vectors = tuned.embed(texts)
            at, nouns = self._nouns.look_up(texts)
            vectors[at] = _normalised(vectors[at] + np.float32(NOUNS_SHARE) * nouns)
            return _normalised(vectors + np.float32(_SENTENCES_SHARE) * sentences.embed(texts))

    def match_probability(
        self, query_vectors: Vectors, similarities: npt.NDArray[np.float32], modality: Modality
    ) -> npt.NDArray[np.float32]:
        """See `JointEmbedder`. Each query is its own yardstick: a similarity counts by how many standard deviations it
        stands above the same query's similarities with background pictures, so it does not depend on the library."""
        background = query_vectors @ self._background.T
        mean, sd = background.mean(axis=1, keepdims=True), background.std(axis=1, keepdims=True)
        slope, middle = _CALIBRATION[modality]
        score = (similarities - mean) / np.maximum(sd, 1e-6)
        return (1 / (1 + np.exp(-slope * (score - middle)))).astype(np.float32)


@cache
def _blas() -> ThreadpoolController:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _normalised(vectors: npt.NDArray[np.float32]) -> Vectors:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
