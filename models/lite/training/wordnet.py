"""WordNet 3.0's nouns as a graph: what is around a word says what it is when its picture as a word does not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

# Lexicographer files (lexnames(5WN)) of things: animal artifact body food object plant. A word that names one means it
# rather than an idea, unless texts were often tagged with the idea.
_THINGS = {"05", "06", "08", "13", "17", "20"}
_THING = 4.0
# Shares beside 1 of the word itself; tuned on names whose pictures the held-out ones never meet, and flat.
SHARES = {"synonyms": 0.3, "above": 0.5, "further above": 0.3, "beside": 0.3, "below": 0.3, "cousins": 0.3}

Floats = npt.NDArray[np.float32]


class Nouns:
    """Rows are synsets.

    Attributes:
        lemmas, glosses: of each synset.
        parents: (n, 2) rows of a synset and of one above it.
        senses: word in lower case -> (rows, their weights, which sum to 1), the likeliest first.
    """

    def __init__(self, wordnet: Path) -> None:
        folder = next(wordnet.rglob("data.noun")).parent
        self.lemmas: list[list[str]] = []
        self.glosses: list[str] = []
        files: list[str] = []
        rows: dict[str, int] = {}
        above: list[list[str]] = []
        for line in _lines(folder / "data.noun"):
            head, gloss = line.split("|", 1)
            fields = head.split()
            rows[fields[0]] = len(files)
            files.append(fields[1])
            self.lemmas.append([fields[4 + 2 * i].replace("_", " ").lower() for i in range(int(fields[3], 16))])
            self.glosses.append(re.split(r'[;"]', gloss)[0].strip())
            above.append(re.findall(r"@i? (\d{8}) n", head))
        self.parents = np.array([(child, rows[up]) for child, ups in enumerate(above) for up in ups], dtype=np.int64)
        counts: dict[tuple[str, int], int] = {}
        for line in _lines(folder / "cntlist.rev"):
            key, number, count = line.split()
            lemma, kind = key.split("%")
            if kind.startswith("1:"):
                counts[lemma, int(number)] = int(count)
        self.senses: dict[str, tuple[list[int], Floats]] = {}
        for line in _lines(folder / "index.noun"):
            fields = line.split()
            found = [rows[field] for field in fields[4:] if len(field) == 8 and field.isdigit()]
            weights = np.array(
                [
                    (1 + counts.get((fields[0], number), 0)) * (_THING if files[row] in _THINGS else 1.0)
                    for number, row in enumerate(found, 1)
                ],
                dtype=np.float32,
            )
            order = np.argsort(-weights, kind="stable")
            held = [found[i] for i in order], weights[order] / weights.sum()
            self.senses[fields[0].replace("_", " ")] = held

    def of(self, text: str) -> tuple[list[int], Floats]:
        """Rows and weights of what a text means, as it stands or without its plural's s; none when it is no noun."""
        word = text.lower()
        return self.senses.get(word) or self.senses.get(word.removesuffix("s")) or ([], np.empty(0, np.float32))

    def described(self, text: str) -> str:
        """The text and what it most likely means; the text alone when it is no noun."""
        rows, _ = self.of(text)
        return f"{text}: {self.glosses[rows[0]]}" if rows else text


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text("latin-1").splitlines() if not line.startswith("  ")]  # less the licence


def smoothed(texts: Sequence[str], vectors: Floats, nouns: Nouns, shares: dict[str, float] = SHARES) -> Floats:
    """Each noun's vector and its neighbours': (n texts, dim) unit -> the same; texts that are no nouns stay."""
    count, dim = len(nouns.lemmas), vectors.shape[1]
    place = {text.lower(): row for row, text in enumerate(texts)}
    own = np.zeros((count, dim), np.float32)
    for row, lemmas in enumerate(nouns.lemmas):
        held = [place[lemma] for lemma in lemmas if lemma in place]
        if held:
            own[row] = vectors[held].sum(axis=0)
    own = _unit(own)
    child, parent = nouns.parents.T
    below = _gathered(own[child], parent, count)
    above = _gathered(own[parent], child, count)
    around = (
        shares["synonyms"] * own
        + shares["above"] * above
        + shares["further above"] * _gathered(above[parent], child, count)
        + shares["beside"] * _gathered(below[parent], child, count)
        + shares["below"] * below
    )
    cousins = _gathered(below[child], parent, count)
    around += shares["cousins"] * _gathered(_gathered(cousins[parent], child, count)[parent], child, count)
    out = vectors.copy()
    for row, text in enumerate(texts):
        meant, weights = nouns.of(text)
        if meant:
            out[row] += weights @ around[meant]
    return _unit(out)


def _gathered(values: Floats, into: npt.NDArray[np.int64], count: int) -> Floats:
    """The direction of the sum of the values that go into each of count rows; 0 where none does."""
    out = np.zeros((count, values.shape[1]), np.float32)
    np.add.at(out, into, values)
    return _unit(out)


def _unit(vectors: Floats) -> Floats:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
