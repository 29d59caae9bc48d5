"""SentencePiece's unigram segmentation (Kudo 2018), for short texts: the best-scoring split into known pieces."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

BOS, PAD, EOS, UNKNOWN = 0, 1, 2, 3
_SPACE = "\u2581"


class Tokenizer:
    """pieces: the vocabulary, specials first; scores: their log probabilities."""

    def __init__(self, pieces: Sequence[str], scores: Sequence[float]) -> None:
        self._ids = {piece: row for row, piece in enumerate(pieces) if row > UNKNOWN}
        self._scores = [float(score) for score in scores]
        self._longest = max(map(len, pieces))
        self._unknown_score = min(self._scores) - 10  # as SentencePiece does

    def encode(self, text: str, max_tokens: int = 64) -> list[int]:
        """<s>, the pieces of the lower-cased NFKC text, </s>; cut to max_tokens."""
        text = _SPACE + _SPACE.join(unicodedata.normalize("NFKC", text).lower().split())
        best: list[tuple[float, int, int]] = [(0.0, 0, 0)]  # score, start of the last piece, its id
        for end in range(1, len(text) + 1):
            score, start, piece = best[end - 1][0] + self._unknown_score, end - 1, UNKNOWN
            for begin in range(max(0, end - self._longest), end):
                row = self._ids.get(text[begin:end])
                if row is not None and best[begin][0] + self._scores[row] > score:
                    score, start, piece = best[begin][0] + self._scores[row], begin, row
            best.append((score, start, piece))
        ids, end = [], len(text)
        while end:
            _, start, piece = best[end]
            ids.append(piece)
            end = start
        return [BOS, *ids[::-1][: max_tokens - 2], EOS]
