"""A word looked up: vectors of WordNet's nouns as the teacher gives them, which the small encoder only comes near to.

A query that is a single noun says little, and there the encoder loses most. How the vectors were made and what they are
worth: docs/models/lite.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from data.types import Vectors

_BEFORE = ("a photo of ", "a picture of ")
_ARTICLES = ("a ", "an ", "the ")


class NounTable:
    """The table.

    Args:
        arrays: the contents of nouns.npz: "words" (UTF-8, one a line), "codes" (n, d) int8 of the n words on the
            (d, 512) "axes", times "scales" (d,), off the (512,) "mean".
    """

    def __init__(self, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
        words = bytes(arrays["words"]).decode("utf-8").split("\n")
        self._rows = {word: row for row, word in enumerate(words)}
        self._codes = np.asarray(arrays["codes"])
        self._axes = arrays["axes"].astype(np.float32) * arrays["scales"].astype(np.float32)[:, None]
        self._mean = arrays["mean"].astype(np.float32)

    def __len__(self) -> int:
        return len(self._rows)

    def look_up(self, texts: Sequence[str]) -> tuple[list[int], Vectors]:
        """(which of the texts are a noun of the table, their (n, 512) vectors of unit L2 norm)."""
        found = [(at, row) for at, text in enumerate(texts) if (row := self._row(text)) is not None]
        codes = self._codes[[row for _, row in found]].astype(np.float32)
        vectors = codes @ self._axes + self._mean
        return [at for at, _ in found], vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def _row(self, text: str) -> int | None:
        word = " ".join(text.lower().split())
        for before in (_BEFORE, _ARTICLES):
            word = next((word[len(some) :] for some in before if word.startswith(some)), word)
        row = self._rows.get(word)
        return row if row is not None else self._rows.get(word.removesuffix("s"))
