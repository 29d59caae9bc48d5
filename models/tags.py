"""Names of what a picture shows, by any model that puts words and pictures in one space."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
import zlib
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data import vocabulary
from data.settings import Settings
from data.types import Tag, Vectors
from models.base import JointEmbedder

_VERSION = 1  # of the files and of the reading of probabilities below
_AT_ONCE = 64  # names or pictures
_GRID = np.linspace(-1, 1, 201, dtype=np.float32)
# Log odds that a name fits = a * log odds of the match + b * (that less the best name's of the picture) + c: a name has
# hundreds of rivals, and near the best one a weaker one is mostly its confusion. Fitted on 1,600 names given to the
# samples' photographs, products and films that were judged by eye; see docs/enrich.md.
_FIT = (0.787, 1.319, -1.092)
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
_LEAST = 0.2  # probability of a tag that is kept


@dataclass(frozen=True, slots=True)
class _Names:
    """Rows of all English names, then of all Chinese ones.

    Attributes:
        log_odds: (2 n, 201) of a match, at the similarities of _GRID.
    """

    vectors: Vectors  # (2 n, dim)
    log_odds: npt.NDArray[np.float32]


class VocabularyTagger:
    """A `Tagger`. A name is asked in English and in Chinese, and both answers count the same: two wordings err apart.

    The names' vectors are made at the first use, kept in the cache for this model and this vocabulary.

    Args:
        packed: a file of `pack`, the vectors made beforehand; passed over when of another model or vocabulary.
    """

    def __init__(self, joint: JointEmbedder, settings: Settings, packed: Path | None = None) -> None:
        self._joint, self._cache, self._packed = joint, settings.cache / "tags", packed

    @property
    def revision(self) -> str:
        return f"vocabulary-{vocabulary.digest()}.{_VERSION}@{self._joint.identity.of_words}"

    def tags(self, vectors: Vectors, most: int = 8) -> list[tuple[Tag, ...]]:
        """(n, dim) joint image vectors -> tags of each, likeliest first; none when nothing fits."""
        out: list[tuple[Tag, ...]] = []
        for first in range(0, len(vectors), _AT_ONCE):
            odds = self._log_odds(vectors[first : first + _AT_ONCE])
            best = odds.max(axis=1, keepdims=True)
            of_match, behind, constant = _FIT
            probabilities = 1 / (1 + np.exp(-(of_match * odds + behind * (odds - best) + constant)))
            out.extend(_best(row, most) for row in probabilities)
        return out

    def _log_odds(self, vectors: Vectors) -> npt.NDArray[np.float32]:
        """(n, dim) -> (n, names): mean over both languages of the log odds of a match."""
        names = self._names
        place = np.clip((vectors @ names.vectors.T + 1) * (len(_GRID) - 1) / 2, 0, len(_GRID) - 1 - 1e-4)
        left = place.astype(np.intp)
        share = place - left
        row = np.arange(len(names.vectors))
        odds = names.log_odds[row, left] * (1 - share) + names.log_odds[row, left + 1] * share
        mean: npt.NDArray[np.float32] = odds.reshape(len(vectors), 2, -1).mean(axis=1)
        return mean

    @cached_property
    def _names(self) -> _Names:
        identity = json.dumps([asdict(self._joint.identity), vocabulary.digest(), _VERSION], sort_keys=True)
        path = self._cache / f"{hashlib.sha256(identity.encode()).hexdigest()[:20]}.npz"
        found = _read(path, (2 * len(vocabulary.names()), self._joint.identity.dim))
        if found is None:
            found = self._made()
            _write(path, found)
        return found

    def _made(self) -> _Names:
        ready = _unpacked(self._packed, self.revision) if self._packed is not None else None
        texts = _texts()
        vectors, log_odds = [], []
        for first in range(0, len(texts), _AT_ONCE):
            here = slice(first, first + _AT_ONCE)
            some = self._joint.embed_texts(texts[here]) if ready is None else ready[here]
            grid = np.broadcast_to(_GRID, (len(some), len(_GRID)))
            matches = np.clip(self._joint.match_probability(some, grid, "text").astype(np.float64), 1e-12, 1 - 1e-6)
            vectors.append(some)
            log_odds.append(np.log(matches / (1 - matches)).astype(np.float32))
        return _Names(np.concatenate(vectors), np.concatenate(log_odds))


def pack(joint: JointEmbedder, settings: Settings, path: Path) -> None:
    """Write the names' vectors, a byte a number, for a model whose users should not wait for them."""
    tagger = VocabularyTagger(joint, settings)
    vectors = np.concatenate(
        [joint.embed_texts(_texts()[first : first + _AT_ONCE]) for first in range(0, len(_texts()), _AT_ONCE)]
    )
    scale = np.abs(vectors).max(axis=1, keepdims=True) / 127
    np.savez_compressed(
        path, vectors=np.round(vectors / scale).astype(np.int8), revision=np.array(tagger.revision)
    )  # the scale is found again: the vectors are of length 1


def _unpacked(path: Path, revision: str) -> Vectors | None:
    """(2 n, dim); None when the file is not there or not of this model and vocabulary."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            if str(kept["revision"]) != revision:
                return None
            vectors = kept["vectors"].astype(np.float32)
    except _UNREADABLE:
        return None
    out: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return out


def _texts() -> list[str]:
    """All English names, then the first Chinese one of each."""
    return [name.english for name in vocabulary.names()] + [name.chinese[0] for name in vocabulary.names()]


def _best(probabilities: npt.NDArray[np.float32], most: int) -> tuple[Tag, ...]:
    order = np.argsort(-probabilities, kind="stable")[:most]
    names = vocabulary.names()
    return tuple(Tag(names[i].english, round(float(probabilities[i]), 3)) for i in order if probabilities[i] >= _LEAST)


def _read(path: Path, shape: tuple[int, int]) -> _Names | None:
    try:
        with np.load(path, allow_pickle=False) as kept:
            found = _Names(kept["vectors"].astype(np.float32), kept["log_odds"].astype(np.float32))
    except _UNREADABLE:  # not there, or damaged: it is made again
        return None
    fits = found.vectors.shape == shape and found.log_odds.shape == (shape[0], len(_GRID))
    return found if fits else None


def _write(path: Path, names: _Names) -> None:
    """Whole or not at all; a cache that cannot be written is done without."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            np.savez(file, vectors=names.vectors.astype(np.float16), log_odds=names.log_odds.astype(np.float16))
        os.replace(file.name, path)
