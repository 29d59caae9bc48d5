"""Which words of a question stand in a text: a share in [0, 1] on one scale for all texts, beside BM25's order. Pure.

Words are compared by a crude stem without accents; Chinese, Japanese and Korean by pairs of neighbouring characters
(the same grain for question and text, so no dictionary is needed).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from data.types import TextSpan

# Chinese, Japanese and Korean are written without a space between words, or with endings on them.
_RUN = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_PIECES = re.compile(rf"[{_RUN}]+|(?:[^\W_{_RUN}]|')+")
_PLURALS, _VERBS = ("'s", "es", "s", "'"), ("ing", "ed", "e")
_STOP_WORDS = """
a an and are as at be but by for from has have he her his i in is it its me my no not of on or our she so that the their
them there they this to up us was we were what when where which who will with you your 的 了 在 是 和 有
"""
_STOP = frozenset(_STOP_WORDS.split())


@lru_cache(maxsize=512)
def pieces(text: str) -> tuple[tuple[str, str], ...]:
    """(stem, as written) of each word; stop words only where there is nothing else."""
    out: list[tuple[str, str]] = []
    for piece in _PIECES.findall(unicodedata.normalize("NFC", text.casefold())):
        if not _is_run(piece):
            out.append((_stem(_plain(piece)), piece))
        else:
            pairs = [piece[i : i + 2] for i in range(len(piece) - 1)] or [piece]
            out.extend((pair, pair) for pair in pairs)
    content = [pair for pair in out if pair[1] not in _STOP]
    return tuple(content or out)


def found(question: str, text: str, *, phrase: bool = False) -> tuple[float, tuple[str, ...]]:
    """The share of the question's words that stand in the text, and those words as the question writes them.

    Args:
        phrase: all or nothing; that they stand together was the database's to check.
    """
    asked = dict(pieces(question))
    there = {stem for stem, _ in pieces(text)}
    if phrase:
        return 1.0, tuple(asked.values())
    held = tuple(word for stem, word in asked.items() if stem in there or (_is_run(stem) and stem in text))
    return (len(held) / len(asked) if asked else 0.0), held


def first_second(question: str, span: TextSpan) -> float | None:
    """When the first of the question's words is spoken; the span's start where its words have no times."""
    asked = {stem for stem, _ in pieces(question)}
    for word in span.words:
        stems = {stem for stem, _ in pieces(word.text)}
        if stems & asked or (_is_run(word.text) and any(word.text in stem or stem in word.text for stem in asked)):
            return word.start_s
    return span.start_s


def _stem(word: str) -> str:
    """A plural's ending goes first, then one of a verb: "meetings" and "meet", "running" and "runs" are one word."""
    for endings in (_PLURALS, _VERBS):
        ending = next((e for e in endings if word.endswith(e) and len(word) - len(e) >= 3), "")
        word = word.removesuffix(ending)
        if ending in ("ing", "ed") and word[-1] == word[-2] and word[-1] not in "aeiouls":
            word = word[:-1]
    return word[:-1] + "i" if word.endswith("y") and len(word) > 3 else word


def _plain(word: str) -> str:
    """Without accents, as the database has it: a café is a cafe."""
    return "".join(sign for sign in unicodedata.normalize("NFKD", word) if not unicodedata.combining(sign))


def _is_run(text: str) -> bool:
    return bool(re.match(f"[{_RUN}]", text))


def joined(words: Sequence[str]) -> str:
    """For people: pairs of signs that overlap are put together again.

    >>> joined(["今天", "天气", "气真", "cat"])
    "'今天气真', 'cat'"
    """
    runs: list[str] = []
    for word in words:
        if runs and _is_run(word) and len(word) > 1 and runs[-1].endswith(word[0]):
            runs[-1] += word[1:]
        else:
            runs.append(word)
    return ", ".join(repr(run) for run in runs)
