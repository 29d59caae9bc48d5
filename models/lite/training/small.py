"""A toy folder of work: random weights, words of the lexicon and vectors made of them, so that all that needs no
packages runs in seconds. Nothing it makes is of use but the knowledge that the stages fit together."""

from __future__ import annotations

import gzip
import json
import random
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.lite.training import e5, material, sentences

PHOTOGRAPHS, DIM, HIDDEN = 70, 512, 192
Floats = npt.NDArray[np.float32]


def make(work: Path) -> None:
    """Write alignment/, pictures.*, texts.json.gz, drawn.npy, e5.npz, mpnet/ and a WordNet of the lexicon's things."""
    lexicon = sentences.lexicon()
    pairs = sentences.composed(900)
    things = lexicon["thing"]
    captions, names = random.Random(0).sample(pairs[-400:], PHOTOGRAPHS), (things * 2)[:PHOTOGRAPHS]
    (work / "alignment").mkdir(parents=True, exist_ok=True)
    owner = np.arange(PHOTOGRAPHS)
    np.savez(
        work / "alignment" / "flickr_train.npz",
        image_vectors=_seen([en for en, _ in captions]),
        captions_en=[en for en, _ in captions], caption_image_en=owner,
        captions_zh=[zh for _, zh in captions], caption_image_zh=owner,
    )  # fmt: skip
    np.savez(
        work / "alignment" / "imagenet_train.npz",
        image_vectors=_seen([en for en, _ in names]), names=[en for en, _ in names],
    )  # fmt: skip
    pictures = [{"source": "stamps", "en": [en], "zh": [zh]} for en, zh in things[:40]]
    _json(work / "pictures.json.gz", pictures)
    np.save(work / "pictures.npy", _seen([en for en, _ in things[:40]]).astype(np.float16))

    drawn = dict.fromkeys(en for en, _ in [*captions, *names, *pairs[:500]])
    nouns = {en for en, _ in things}
    row = {text: at for at, text in enumerate(drawn)}
    zh = dict(captions) | dict(pairs)
    letters = sorted({letter for en, other in [*captions, *pairs] for letter in en + other})
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "\u2581", *letters, *(f"\u2581{word}" for word in _words(list(drawn)))]
    _json(work / "texts.json.gz", {
        "drawn": [(text, ["lexicon"], f"{text}: a thing" if text in nouns else None) for text in drawn],
        "said": pairs[500:],
        "chinese": [(zh[text], row[text], "lexicon") for text in drawn if text in zh],
        "vocabulary": (pieces, [-1.0] * len(pieces)),
    })  # fmt: skip
    np.save(work / "drawn.npy", _seen(material.drawn_texts(work)).astype(np.float16))
    _encoder(work / "e5.npz", len(pieces))
    _language_model(work / "mpnet", list(drawn))
    _wordnet(work / "packages" / "wordnet-base", [en for en, _ in things])


def _words(texts: list[str]) -> list[str]:
    return sorted({word for text in texts for word in text.split()})


def _seen(texts: list[str]) -> Floats:
    """(n, 512) unit: the sum of a fixed direction for each word, and a little noise."""
    rng = np.random.default_rng(0)
    out = np.stack([
        np.sum([np.random.default_rng(zlib.crc32(word.encode())).standard_normal(DIM) for word in text.split()], axis=0)
        for text in texts
    ])  # fmt: skip
    return material.unit((out + 0.3 * rng.standard_normal(out.shape)).astype(np.float32))


def _encoder(path: Path, pieces: int) -> None:
    rng = np.random.default_rng(0)
    arrays = {"emb.word": (pieces, HIDDEN), "emb.pos": (80, HIDDEN), "emb.type": (1, HIDDEN)}
    vectors = {"emb.ln": HIDDEN}
    for layer in range(12):
        for name, shape in (("q", (HIDDEN, HIDDEN)), ("k", (HIDDEN, HIDDEN)), ("v", (HIDDEN, HIDDEN)),
                            ("ao", (HIDDEN, HIDDEN)), ("fi", (256, HIDDEN)), ("fo", (HIDDEN, 256))):  # fmt: skip
            arrays[f"l{layer}.{name}.w"] = shape
            vectors[f"l{layer}.{name}"] = shape[0]
        vectors |= {f"l{layer}.aln": HIDDEN, f"l{layer}.oln": HIDDEN}
    made = {name: (0.05 * rng.standard_normal(shape)).astype(np.float32) for name, shape in arrays.items()}
    for name, size in vectors.items():
        made[name + ".b"] = np.zeros(size, np.float32)
        if name.endswith("ln"):
            made[name + ".w"] = np.ones(size, np.float32)
    e5.save(made, path)


def _language_model(folder: Path, texts: list[str]) -> None:
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import MPNetConfig, MPNetModel

    folder.mkdir(parents=True, exist_ok=True)
    words = ["<s>", "<pad>", "</s>", "[UNK]", *_words(texts)]
    torch.manual_seed(0)
    config = MPNetConfig(
        vocab_size=len(words), hidden_size=64, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64
    )
    state = MPNetModel(config, add_pooling_layer=False).state_dict()
    np.savez(folder / "mpnet.npz", **{name: value.numpy() for name, value in state.items()})
    (folder / "config.json").write_text(config.to_json_string(), "utf-8")
    reader = Tokenizer(WordLevel({word: at for at, word in enumerate(words)}, unk_token="[UNK]"))
    reader.pre_tokenizer = Whitespace()
    reader.save(str(folder / "tokenizer.json"))


def _wordnet(folder: Path, nouns: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["00000000 03 n 01 thing 0 000 | a thing"]
    lines += [
        f"{at:08} 06 n 01 {noun.replace(' ', '_')} 0 001 @ 00000000 n 0000 | a thing"
        for at, noun in enumerate(nouns, 1)
    ]
    (folder / "data.noun").write_text("\n".join(lines), "latin-1")
    index = [f"{noun.replace(' ', '_')} n 1 1 @ 1 0 {at:08}" for at, noun in enumerate(nouns, 1)]
    (folder / "index.noun").write_text("\n".join(index), "latin-1")
    (folder / "cntlist.rev").write_text("", "latin-1")


def _json(path: Path, held: object) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as file:
        json.dump(held, file, ensure_ascii=False)
