"""Sentences without pictures: composed in both languages at once from lexicon.txt, and captions put together anew."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path

_LEXICON = Path(__file__).with_name("lexicon.txt")
# How many there are stands first in a Chinese noun phrase; what describes it comes between the two.
_COUNT = re.compile("(一个|一名|一位|两个|三个|四个|几个|几名|一群|一对|一些|许多)?")
_PLURAL = re.compile("two|three|four|several|many|some|people|children|men|women|students|singers")
_CUT = re.compile(
    r" (?=(?:in|on|with|at|near|by|through|over|under|while|wearing|holding|standing|sitting|running|jumping|playing|is"
    r"|are|as|into|down|along|and|behind|next to|in front of|from|to|for|of) )"
)
Pair = tuple[str, str]


def lexicon(text: str | None = None) -> dict[str, list[Pair]]:
    """Kind of phrase -> its (English, Chinese) pairs. text: the file's contents; None reads lexicon.txt."""
    held: dict[str, list[Pair]] = {}
    kind = ""
    for line in (text if text is not None else _LEXICON.read_text("utf-8")).splitlines():
        if line.startswith("["):
            kind = line[1:-1]
        elif line:
            for phrase in line.split(";"):
                english, chinese = phrase.split("=")
                held.setdefault(kind, []).append((english, chinese))
    return held


def composed(count: int, seed: int = 0) -> list[Pair]:
    """Every phrase of the lexicon, then sentences made of them: `count` different (English, Chinese) pairs in all.

    English follows who - does what - where; Chinese who - where - does what, unless what is done says where already.
    """
    rng = random.Random(seed)
    words = lexicon()
    made = dict(pair for pairs in words.values() for pair in pairs)

    def who() -> Pair:
        english, chinese = rng.choice(words["who"])
        if rng.random() >= 0.45:
            return english, chinese
        wear = rng.choice(words["wear"])
        number = _COUNT.match(chinese)
        start = number.end() if number else 0
        return f"{english} {wear[0]}", chinese[:start] + wear[1] + chinese[start:]

    while len(made) < count:
        where, thing, other, colour = (rng.choice(words[kind]) for kind in ("where", "thing", "thing", "colour"))
        kind = rng.choice(("person",) * 6 + ("animal",) * 3 + ("thing",))
        if kind == "thing":
            pair = rng.choice(
                [
                    (f"a {colour[0]} {thing[0]} {where[0]}", f"{where[1]}的{colour[1]}{thing[1]}"),
                    (f"a {thing[0]} next to a {other[0]}", f"{other[1]}旁边的{thing[1]}"),
                    (f"{colour[0]} {thing[0]}", f"{colour[1]}{thing[1]}"),
                ]
            )
        else:
            actor = who() if kind == "person" else rng.choice(words["animal"])
            does = rng.choice(words["doing" if kind == "person" else "beast"])
            verb = "are" if _PLURAL.match(actor[0]) else "is"
            said = f"{verb} {does[0]}" if rng.random() < 0.4 else does[0]
            placed = "在" in does[1][:4]
            if rng.random() < 0.6 and not placed:
                pair = f"{actor[0]} {said} {where[0]}", f"{actor[1]}{where[1]}{does[1]}"
            else:
                pair = f"{actor[0]} {said}", f"{actor[1]}{'' if placed else '正在'}{does[1]}"
        made.setdefault(*pair)
    return list(made.items())[:count]


def recombined(captions: Sequence[str], count: int, seed: int = 0) -> list[str]:
    """Captions cut before their prepositions and verbs, each with a piece or an ending of another that begins alike.

    Fewer than `count` come back when the captions have no more to give.
    """
    rng = random.Random(seed)
    parts = [_CUT.split(re.sub(r"\s+([.,!?])", r"\1", text).strip(" .").lower()) for text in captions]
    alike: dict[str, list[tuple[list[str], int]]] = {}
    for part in parts:
        for at, piece in enumerate(part[1:], 1):
            alike.setdefault(piece.split(" ")[0], []).append((part, at))
    cut = [part for part in parts if len(part) > 1]
    made: dict[str, None] = {}
    for _ in range(20 * count if cut else 0):
        part = rng.choice(cut)
        for _ in range(rng.choice((1, 1, 2))):
            at = rng.randrange(1, len(part))
            donor, there = rng.choice(alike[part[at].split(" ")[0]])
            part = part[:at] + (donor[there:] if rng.random() < 0.6 else [donor[there], *part[at + 1 :]])
        made[" ".join(part)] = None
        if len(made) == count:
            break
    return list(made)
