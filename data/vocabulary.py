"""The names that pictures are tagged with, in English and Chinese, and what a word typed by a person means among them.

The list stands in vocabulary.txt: lines of "name=Chinese name, further ones", separated by ";", in groups.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Name:
    """english: as tags carry it. chinese: the usual name first."""

    english: str
    chinese: tuple[str, ...]


@cache
def names() -> tuple[Name, ...]:
    """All names, in the order of the file."""
    found = []
    for line in _text().splitlines():
        if line and line[0] not in "#[":
            for entry in line.split(";"):
                english, _, chinese = entry.strip().partition("=")
                found.append(Name(english, tuple(chinese.split(","))))
    return tuple(found)


@cache
def digest() -> str:
    """Changes whenever the list does."""
    return hashlib.sha256(_text().encode()).hexdigest()[:8]


def english(word: str) -> tuple[str, ...]:
    """The names that a Chinese word stands for: those it names exactly, otherwise those that have it in them.

    An English word, or one that is not in the list, comes back as it is.
    """
    word = word.strip().casefold()
    if word.isascii():
        return (word,)
    known = [(name.english, [other.casefold() for other in name.chinese]) for name in names()]
    exactly = tuple(english for english, others in known if word in others)
    return exactly or tuple(english for english, others in known if any(word in other for other in others)) or (word,)


def chinese(name: str) -> str:
    """The usual Chinese name of a tag; the tag itself when it has none."""
    return _chinese().get(name, name)


@cache
def _chinese() -> dict[str, str]:
    return {name.english: name.chinese[0] for name in names()}


@cache
def _text() -> str:
    # Not by the package's name: a folder "data" in the working directory would be taken for a part of it.
    return Path(__file__).with_name("vocabulary.txt").read_text("utf-8")
