"""The open vocabulary: words and short phrases in English, Chinese words tied to them by a dictionary."""

from __future__ import annotations

import gzip
import random
import re
from pathlib import Path

# WordNet's lexicographer files (lexnames(5WN)) of things that can be seen; from the others only common words are taken.
_SEEN = {"05", "06", "08", "11", "13", "17", "19", "25"}  # animal artifact body event food object phenomenon shape
_ALSO = {"04", "15", "18", "20", "27", "14", "12", "26", "28"}  # act location person plant substance group ...


def english(wordnet: Path) -> list[str]:
    """Noun lemmas that name visible things, most common first within a file."""
    folder = next(wordnet.rglob("data.noun")).parent
    counts = _counts(folder)
    words: dict[str, None] = {}
    for line in (folder / "data.noun").read_text("latin-1").splitlines():
        if line.startswith("  "):
            continue
        fields = line.split()
        lemmas = [fields[4 + 2 * i] for i in range(int(fields[3], 16))]
        for lemma in lemmas:
            common = counts.get(lemma.lower(), 0) > 0
            plain = lemma.islower() and lemma.count("_") <= 2 and not any(c.isdigit() for c in lemma)
            if plain and (fields[1] in _SEEN or (fields[1] in _ALSO and common) or counts.get(lemma, 0) > 3):
                words[lemma.replace("_", " ")] = None
    return list(words)


def others(wordnet: Path) -> list[str]:
    """Verbs and 6,000 adjectives."""
    folder = next(wordnet.rglob("data.verb")).parent
    first = [
        [line.split()[4].replace("_", " ").split("(")[0] for line in (folder / file).read_text("latin-1").splitlines()
         if not line.startswith("  ")]
        for file in ("data.verb", "data.adj")
    ]  # fmt: skip
    return [*first[0], *[word for word in first[1] if 3 < len(word) < 16][:6000]]


def glosses(wordnet: Path, count: int, seed: int = 0) -> list[str]:
    """What WordNet says of visible things, without the things' names."""
    folder = next(wordnet.rglob("data.noun")).parent
    found = []
    for line in (folder / "data.noun").read_text("latin-1").splitlines():
        if not line.startswith("  ") and line.split()[1] in _SEEN | {"04", "18", "20"}:
            text = line.split("|", 1)[1].split(";")[0].strip()
            if 12 < len(text) < 80 and "(" not in text:
                found.append(text)
    random.Random(seed).shuffle(found)
    return found[:count]


def _counts(folder: Path) -> dict[str, int]:
    """Lemma -> number of its noun senses that a text corpus was tagged with."""
    found = {}
    for line in (folder / "index.noun").read_text("latin-1").splitlines():
        if not line.startswith("  "):
            fields = line.split()
            found[fields[0]] = int(fields[5 + int(fields[3])])
    return found


def chinese(cedict: Path) -> list[tuple[str, str]]:
    """(simplified Chinese word, short English gloss) pairs of the dictionary, names left out."""
    pairs = []
    for line in gzip.decompress(next(cedict.rglob("cedict*.txt.gz")).read_bytes()).decode("utf-8").splitlines():
        match = re.match(r"\S+ (\S+) \[([^\]]*)\] /(.*)/", line)
        if not match or not match[2][:1].islower():
            continue
        for gloss in match[3].split("/")[:2]:
            gloss = re.sub(r"\([^)]*\)", "", gloss).strip().lower()
            about_the_word = re.search(r"variant|surname|classifier|particle|old |abbr|see also|used in", gloss)
            if re.fullmatch(r"[a-z][a-z' -]{2,28}", gloss) and gloss.count(" ") <= 3 and not about_the_word:
                pairs.append((match[1], re.sub(r"^(a|an|the) ", "", gloss)))
    return pairs
