"""Texts -> rows of token ids, as each family was trained: all of one length, and no mask beside them.

| family | text | row |
|-|-|-|
| SigLIP (Zhai et al. 2023) | lower case, without punctuation | tokens, end, padding |
| SigLIP 2 (Tschannen et al. 2025) | lower case | tokens, end, padding |
| CLIP (Radford et al. 2021) | its tokenizer lowers it | begin, tokens, end, padding |

SigLIP reads its vector at the last place and was trained to look at the padding. CLIP reads its at the end token, which
attends to nothing behind it, so that a mask would change nothing.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from data.errors import WeightsUnavailable
from models.checkpoint import read_json
from models.siglip2.checkpoint import Checkpoint

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


class Words:
    """Raises: WeightsUnavailable: tokenizer.json cannot be read, or lacks a token that is needed."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        from tokenizers import Tokenizer

        path = checkpoint.folder / "tokenizer.json"
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises no class of its own
            raise WeightsUnavailable(f"The file {str(path)!r} cannot be read.", remedy="Fetch it again.") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._tokenizer.encode_special_tokens = True  # the names of special tokens in a text are text
        self._length, self._checkpoint = checkpoint.text_length, checkpoint
        self._settings = read_json(checkpoint.folder / "tokenizer_config.json")
        is_clip = checkpoint.family == "clip"
        self._lowers = not is_clip
        self._drops_punctuation = self._settings.get("tokenizer_class") == "SiglipTokenizer"
        self._begin = [self._id("bos_token")] if is_clip else []
        self._end = self._id("eos_token")
        self._padding = self._end if is_clip else self._id("pad_token")

    def rows(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """(n texts) -> (n, length); what is too long loses its end."""
        out = np.full((len(texts), self._length), self._padding, np.int64)
        room = self._length - len(self._begin) - 1
        cleaned = [self._cleaned(text) for text in texts]
        for row, told in zip(out, self._tokenizer.encode_batch(cleaned, add_special_tokens=False), strict=True):
            ids = [*self._begin, *told.ids[:room], self._end]
            row[: len(ids)] = ids
        return out

    def _cleaned(self, text: str) -> str:
        if self._lowers:
            text = text.lower()
        if self._drops_punctuation:
            text = " ".join(text.translate(_NO_PUNCTUATION).split())
        return text

    def _id(self, role: str) -> int:
        name: Any = self._settings.get(role)
        name = name.get("content") if isinstance(name, dict) else name
        found = self._tokenizer.token_to_id(name) if isinstance(name, str) else None
        if found is None:
            raise WeightsUnavailable(
                f"The tokenizer of {self._checkpoint.source!r} names no {role}.",
                remedy="Fetch its tokenizer.json and tokenizer_config.json again.",
            )
        return int(found)
