"""What a similarity is worth in this library: compared with neutral questions, for the same frame.

Some frames are near to every question, and the best of many frames is always somewhat near. Both are learned from the
same bank of neutral questions:

- A frame's *bias* is how near it is to neutral questions at large (their soft maximum, as in the inverted softmax of
  Bogolin et al. 2022, "Cross Modal Retrieval with Querybank Normalisation"); what counts is how far a question stands
  above it. Neutral questions that ask for much the same are left out: a chair is no worse an answer to "a wooden
  chair" for being near to "a chair".
- The best standing that each neutral question reaches in this library says what the best of so many frames is for a
  question that was not made for it (Gumbel's distribution of the largest; fitted by quantiles that leave out the
  questions that do have an answer here).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data.types import Vectors
from models.base import TextEmbedder
from search.neutral import NEUTRAL

# The softness in deviations of the bank's similarities, and the share of the bias that is taken off. Of .2 to .6 and .5
# to 1, over the samples' questions (plain cosine: medium@1 .70, AUROC .94): .81 and .99.
_SOFTNESS, _SHARE = 0.3, 0.75
# A neutral question asks for much the same from this quantile of the bank's similarities with each other on.
_ALIKE = 0.99
# Logistic of the standing over the library's chance level, fitted over the samples' questions with and without an
# answer, in the samples alone and in a library of two and a half times as many frames. At one half 7 % of the answered
# questions are taken for unanswered, and 9 of the 10 others, in both.
_SLOPE, _MIDDLE = 2.0, 0.5
_KEPT_MEDIA = 4096
SAMPLE = "sample"  # stands for the media_id of the sample itself
_NOTHING = 1e-12  # what a sum is at least: its highest member was 1 before questions were left out


@dataclass(frozen=True, slots=True)
class _Sums:
    """Of exp(similarity / softness - highest) over the whole bank, for each of n frames."""

    highest: npt.NDArray[np.float32]
    total: npt.NDArray[np.float64]


class Background:
    """The bank of neutral questions against one library's frames.

    Args:
        model: of the library's joint channel.
        cache: folder in which the bank's vectors are kept from run to run.
        sample: (n, dim) frames spread over the library.
    """

    def __init__(self, model: TextEmbedder, cache: Path, sample: Vectors) -> None:
        self._model, self._cache, self.sample = model, cache, sample
        self._sums: dict[str, _Sums] = {}

    @cached_property
    def bank(self) -> Vectors:
        """(b, dim) vectors of the neutral questions."""
        identity = self._model.identity
        told = "\n".join((identity.of_words, *NEUTRAL))
        path = self._cache / f"neutral-{hashlib.blake2b(told.encode(), digest_size=8).hexdigest()}.npy"
        try:
            kept = np.load(path, allow_pickle=False)
            if kept.shape == (len(NEUTRAL), identity.dim) and kept.dtype == np.float32:
                return kept
        except (OSError, ValueError):
            pass
        vectors = self._model.embed_texts(NEUTRAL)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(f".{np.random.default_rng().integers(2**63):x}")
            with open(partial, "wb") as file:
                np.save(file, vectors)
            partial.replace(path)
        except OSError:  # a cache that cannot be written costs seconds, not the answer
            pass
        return vectors

    @cached_property
    def deviation(self) -> float:
        """Of the bank's similarities with the library: the unit of everything here."""
        return max(float((self.bank @ self.sample.T).std()), 1e-6) if len(self.sample) else 1.0

    @cached_property
    def alike(self) -> float:
        """Cosine above which two questions ask for much the same."""
        others = (self.bank @ self.bank.T)[~np.eye(len(self.bank), dtype=bool)]
        return float(np.quantile(others, _ALIKE)) + 1e-6

    def bias(self, asked: Vectors, vectors: Vectors, media_id: str = "") -> npt.NDArray[np.float32]:
        """The part taken off of the soft maximum over the neutral questions, on the scale of similarities.

        Args:
            asked: (q, dim) questions. vectors: (n, dim) frames.
            media_id: whose frames they are, all of them: what does not depend on the questions is then kept.

        Returns:
            (q, n)
        """
        sums = self._sums.get(media_id) if media_id else None
        if sums is None or len(sums.highest) != len(vectors):  # a writer may have put the medium in again meanwhile
            sums = self._sum(vectors)
            if media_id:
                if len(self._sums) >= _KEPT_MEDIA:
                    self._sums.clear()
                self._sums[media_id] = sums
        near = asked @ self.bank.T > self.alike
        near[near.all(axis=1)] = False  # a bank that only asks for one thing tells nothing apart
        some = near.any(axis=0)
        parts = np.exp(self.bank[some] @ vectors.T / self._softness - sums.highest)
        left = np.maximum(sums.total - near[:, some].astype(np.float64) @ parts, _NOTHING)
        counts = len(self.bank) - near.sum(axis=1, keepdims=True)
        bias = self._softness * (np.log(left / counts) + sums.highest)
        out: npt.NDArray[np.float32] = (_SHARE * bias).astype(np.float32)
        return out

    @property
    def _softness(self) -> float:
        return _SOFTNESS * self.deviation

    def probability(self, standing: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """That what stands so far above its bias, on the scale of similarities, is what was asked for."""
        location, scale = self.best_of_library
        above = (np.asarray(standing, np.float64) / self.deviation - location) / scale
        return (1 / (1 + np.exp(-_SLOPE * (above - _MIDDLE)))).astype(np.float32)

    def _sum(self, vectors: Vectors) -> _Sums:
        scaled = self.bank @ vectors.T / self._softness
        highest = scaled.max(axis=0)
        return _Sums(highest, np.exp(scaled - highest).sum(axis=0, dtype=np.float64))

    @cached_property
    def best_of_library(self) -> tuple[float, float]:
        """(location, scale) of the best standing that a question without an answer reaches here, in deviations.

        Gumbel's quantile function is location - scale * ln(-ln p); two lower quantiles fix both.
        """
        if not len(self.sample):
            return 0.0, 1.0
        standing = self.bank @ self.sample.T - self.bias(self.bank, self.sample, SAMPLE)
        best = standing.max(axis=1) / self.deviation
        low, high = 0.15, 0.6
        x_low, x_high = np.quantile(best, [low, high])
        y_low, y_high = -np.log(-np.log([low, high]))
        scale = max(float((x_high - x_low) / (y_high - y_low)), 0.05)
        return float(x_low - scale * y_low), scale
