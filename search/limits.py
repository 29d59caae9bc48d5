"""What was asked but for one of its limits: where nothing matches, which of them left nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from data.errors import UsageError
from data.types import Query
from search.language import limits

MOST_COUNTED = 100
_MOST_TRIED = 6

Build = Callable[[str, Sequence[str]], Query]


@dataclass(frozen=True, slots=True)
class Without:
    """The question without one limit, or without any.

    Attributes:
        limit: what was left out, as it was written. text, kinds: what is left. matches: likely moments then.
    """

    limit: str
    text: str
    kinds: tuple[str, ...]
    matches: int


def without(text: str, kinds: Sequence[str], build: Build, count: Callable[[Query], int]) -> list[Without]:
    """The limits whose absence alone brings matches, most first; where none does, all of them at once.

    Args:
        kinds: those given beside the text. build: checks a question (`SearchEngine.query`, with k=MOST_COUNTED).
        count: `SearchEngine.count`.
    """
    tried = list(_each(text, tuple(kinds)))
    found = [one for one in (_counted(*left, build, count) for left in tried) if one.matches]
    if not found and len(tried) > 1:
        rest = text
        for start, end in reversed(limits(text)):
            rest = rest[:start] + rest[end:]
        every = [*(text[start:end] for start, end in limits(text)), *([_kinds(kinds)] if kinds else [])]
        everything = _counted(", ".join(every), " ".join(rest.split()), (), build, count)
        found = [everything] if everything.matches else []
    return sorted(found, key=lambda one: -one.matches)


def _each(text: str, kinds: tuple[str, ...]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    for start, end in limits(text)[:_MOST_TRIED]:
        yield text[start:end], " ".join((text[:start] + text[end:]).split()), kinds
    if kinds:
        yield _kinds(kinds), text, ()


def _kinds(kinds: Sequence[str]) -> str:
    return f"kind:{'|'.join(kinds)}"


def _counted(limit: str, text: str, kinds: tuple[str, ...], build: Build, count: Callable[[Query], int]) -> Without:
    try:
        matches = count(build(text, kinds))
    except UsageError:  # nothing is left to look for
        matches = 0
    return Without(limit, text, kinds, matches)
