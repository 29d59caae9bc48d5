"""What one run learns from: the texts, what each is tied to, and which photographs are held out."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.lite.training import sentences, texts

SOURCES = (
    "flickr8k", "imagenet", "emoji", "stamps", "furniture", "clipart", "wordnet", "cedict", "lexicon", "recombined",
    "translated", "neighbours", "mpnet",
)  # fmt: skip
REAL_CAPTION = 3  # times that a real Chinese caption counts among the translated ones
RECOMBINED = 150_000
DIM = 512
PROMPTS = ("{}", "a photo of a {}", "a picture of {}")

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Texts with pictures. picture: row of `vectors` (centred, unit) of each text; concept: texts of one concept are
    never each other's negatives."""

    texts: list[str]
    picture: Rows
    vectors: Floats
    concept: Rows
    chinese: bool = False


@dataclass(frozen=True, slots=True)
class Material:
    """Rows of `english` are what the teacher gives vectors for; drawn texts first, then those that are only said.

    Attributes:
        drawn: rows of drawn.npy of the first texts; meaning: of what each means, -1 when it is no noun.
        read: what the teacher's language model reads for each text: with its meaning, when it has one.
        chinese: (text, row of english); the dictionary's apart, whose words are many and rough.
        translated: (text, row of english, captioned photograph, below 0 when it tells of none).
        unseen: captions of held-out photographs, which only the evaluation of the teacher asks for.
        captions, captions_zh, names: of the training photographs.
    """

    english: list[str]
    drawn: Rows
    meaning: Rows
    read: list[str]
    nouns: npt.NDArray[np.bool_]
    unseen: npt.NDArray[np.bool_]
    chinese: list[tuple[str, int]]
    dictionary: list[tuple[str, int]]
    translated: list[tuple[str, int, int]]
    captions: Pairs
    captions_zh: Pairs
    names: Pairs
    pictures: Pairs
    pictures_zh: Pairs
    vocabulary: tuple[list[str], list[float]]


def fold(number: int | None, count: int, out: int) -> tuple[Rows, Rows, Rows, Rows]:
    """Rows of (training captioned, training named, held-out captioned, held-out named) photographs; None: all train."""
    if number is None:
        none = np.empty(0, dtype=np.int64)
        return np.arange(count), np.arange(count), none, none
    rng = np.random.default_rng(number)
    named, captioned = rng.permutation(count), rng.permutation(count)
    return captioned[out:], named[out:], captioned[:out], named[:out]


def unit(vectors: Floats) -> Floats:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def photographs(work: Path, number: int | None) -> tuple[Floats, Floats]:
    """(captioned, named) photographs' vectors, centred by the training ones' mean."""
    both = [part["image_vectors"].astype(np.float32) for part in texts.alignment(work)]
    captioned, named, _, _ = fold(number, len(both[0]), held_out(len(both[0])))
    mean = np.concatenate([both[0][captioned], both[1][named]]).mean(axis=0)
    return unit(both[0] - mean), unit(both[1] - mean)


def held_out(count: int) -> int:
    """Photographs of a fold that are held out, of so many."""
    return count * 3 // 7


def load(work: Path, number: int | None, without: Sequence[str] = (), seed: int = 0) -> Material:
    """The material of a fold (None: everything), less some of SOURCES."""
    with gzip.open(work / "texts.json.gz", "rt", encoding="utf-8") as file:
        held = json.load(file)
    flickr, imagenet = texts.alignment(work)
    captioned, named, out_captioned, _ = fold(number, len(flickr["image_vectors"]), held_out(len(imagenet["names"])))
    photos, named_photos = photographs(work, number)
    kept_out = {texts.cleaned(str(flickr["captions_en"][row]))
                for row in np.flatnonzero(np.isin(flickr["caption_image_en"], out_captioned))}  # fmt: skip

    def given(origins: Sequence[str]) -> bool:
        return any(origin not in without for origin in origins)

    rows = [
        row for row, (text, origins, _) in enumerate(held["drawn"])
        if given(origins) or text in kept_out
    ]  # fmt: skip
    english = [held["drawn"][row][0] for row in rows]
    steadied = not {"wordnet", "neighbours"} & set(without)
    meant = [held["drawn"][row][2] if steadied else None for row in rows]
    at_meaning = _meanings(held["drawn"])
    meaning = np.array([at_meaning[said] if said else -1 for said in meant], dtype=np.int64)
    place = {row: at for at, row in enumerate(rows)}

    position = {text: at for at, text in enumerate(english)}

    unseen = np.array([text in kept_out for text in english], dtype=bool)

    def row_of(text: str) -> int:
        if text not in position:
            position[text] = len(english)
            english.append(text)
        return position[text]

    chinese = [(zh, place[row]) for zh, row, origin in held["chinese"] if origin == "lexicon" and row in place]
    dictionary = [(zh, place[row]) for zh, row, origin in held["chinese"] if origin == "cedict" and row in place]
    said = "mpnet" not in without  # what is not drawn has a vector by the language model alone
    if "lexicon" in without:
        chinese = []
    elif said:
        chinese += [(zh, row_of(en)) for en, zh in held["said"]]
    if "cedict" in without:
        dictionary = []
    captions = [texts.cleaned(str(text)) for text in flickr["captions_en"]]
    inside = np.isin(flickr["caption_image_en"], captioned)
    if said and "recombined" not in without and "flickr8k" not in without:
        mine = [captions[row] for row in np.flatnonzero(inside)]
        for text in sentences.recombined(mine, min(RECOMBINED, 60 * len(mine)), seed):
            if text not in kept_out:
                row_of(text)
    left = {-2, *out_captioned.tolist()} if number is not None else set()
    if "flickr8k" in without:
        left = {-2, *range(len(photos))}
    if number not in (None, 0):
        left.add(-1)  # captions put together anew are made of fold 0's training captions
    translated = []
    if "translated" not in without:
        for en, zh, image, real in texts.translated(work):
            if image not in left and en not in kept_out:
                translated += [(zh, row_of(en), image)] * (REAL_CAPTION if real else 1)

    pictures = _pictures(work, without)
    return Material(
        english=english,
        drawn=np.array(rows, dtype=np.int64),
        meaning=meaning,
        read=[said or text for text, said in itertools.zip_longest(english, meant)],
        nouns=np.array([said is not None for said in meant], dtype=bool),
        unseen=unseen,
        chinese=chinese,
        dictionary=dictionary,
        translated=translated,
        captions=_captioned(captions, flickr["caption_image_en"], captioned, photos, "flickr8k" in without),
        captions_zh=_captioned(
            [texts.cleaned(str(text)) for text in flickr["captions_zh"]], flickr["caption_image_zh"], captioned, photos,
            "flickr8k" in without, chinese=True,
        ),
        names=_captioned(
            [str(text) for text in imagenet["names"]], np.arange(len(imagenet["names"])), named, named_photos,
            "imagenet" in without,
        ),
        pictures=pictures[0],
        pictures_zh=pictures[1],
        vocabulary=(held["vocabulary"][0], held["vocabulary"][1]),
    )  # fmt: skip


def drawn_texts(work: Path) -> list[str]:
    """Every text that is drawn, whatever the run: the texts, then what they mean."""
    with gzip.open(work / "texts.json.gz", "rt", encoding="utf-8") as file:
        drawn = json.load(file)["drawn"]
    return [text for text, _, _ in drawn] + list(_meanings(drawn))


def _meanings(drawn: Sequence[tuple[str, list[str], str | None]]) -> dict[str, int]:
    """What words mean -> its row of drawn.npy, after the texts' own rows."""
    said = dict.fromkeys(meaning for _, _, meaning in drawn if meaning)
    return {meaning: len(drawn) + at for at, meaning in enumerate(said)}


def _captioned(
    some: list[str], owner: npt.NDArray[Any], training: Rows, vectors: Floats, none: bool, chinese: bool = False
) -> Pairs:
    keep = np.flatnonzero(np.isin(owner, training)) if not none else np.empty(0, dtype=np.int64)
    picture = owner[keep].astype(np.int64)
    return Pairs([some[row] for row in keep], picture, vectors, picture, chinese)


def _pictures(work: Path, without: Sequence[str]) -> tuple[Pairs, Pairs]:
    """Names and keywords of the packages' pictures; a name counts three times as much as a keyword. Each source is
    centred by its own mean: style is not meaning."""
    with gzip.open(work / "pictures.json.gz", "rt", encoding="utf-8") as file:
        held = json.load(file)
    vectors = np.load(work / "pictures.npy").astype(np.float32)
    for source in {one["source"] for one in held}:
        mine = [row for row, one in enumerate(held) if one["source"] == source]
        vectors[mine] = unit(vectors[mine] - vectors[mine].mean(axis=0))
    concepts: dict[str, int] = {}
    concept = np.array([concepts.setdefault(one["en"][0], len(concepts)) for one in held], dtype=np.int64)
    both = []
    for language in ("en", "zh"):
        pairs = [
            (text, row)
            for row, one in enumerate(held)
            if texts.family(one["source"]) not in without
            for text in [*one[language][:1] * 2, *one[language][: texts.KEYWORDS]]
            if text.strip()
        ]
        rows = np.array([row for _, row in pairs], dtype=np.int64)
        both.append(Pairs([text for text, _ in pairs], rows, vectors, concept[rows], language == "zh"))
    return both[0], both[1]
