"""What pictures are worth as questions, alone and beside words, and how much a picture should weigh beside them.

    python -m benchmarks.pictures MEDIA=LIBRARY=QUERIES.csv [MEDIA=LIBRARY=QUERIES.csv ...]

The questions are those of benchmarks/build_pictures.py; the libraries hold the folders MEDIA (`secondsight index`); the
products' are asked of the first, which must be data/samples, with painted copies put into a library beside it. Beside
each kind with words stand the words alone, the picture alone, and both by the weight of the picture. "Not this": of
the questions in words, the best wrong answer among the first five is shown as an unwanted picture.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.build_pictures import PAINTED, Asked, look, of_products, paint, questions
from data.settings import Settings, load
from data.types import Box, ImageQuery, SearchResponse, Vectors
from indexer.pipeline import index
from models.base import ModelSet
from models.registry import load as load_models
from search.engine import SearchEngine
from search.evaluate import Case, Outcome, judge, read_cases, summary

WEIGHTS = (0.25, 0.5, 1.0, 1.5, 2.0, 4.0)
UNWANTED = (0.25, 0.5, 1.0, 2.0)
MEASURES = ("queries", "medium@1", "medium@5", "R1@0.3", "hit@1s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", help="MEDIA=LIBRARY=QUERIES.csv")
    by_kind: dict[str, list[tuple[SearchEngine, Asked]]] = defaultdict(list)
    words: list[tuple[SearchEngine, Case, Path]] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, given in enumerate(parser.parse_args().sets):
            media, library, queries = (Path(part) for part in given.split("="))
            settings = load(library=library, localise=0)
            models = load_models("lite", settings)
            remember(models)
            engine = SearchEngine(library, models, settings)
            cases = read_cases(queries)
            for asked in questions(engine, media, cases):
                by_kind[asked.case.type].append((engine, asked))
            words += [(engine, case, media) for case in cases if case.type in ("moment", "still") and case.truths]
            if not number:
                painted = with_painted(media, library, Path(folder), models, settings)
                for asked in of_products(media):
                    by_kind[asked.case.type].append((painted if asked.case.type == "color" else engine, asked))
        for kind, some in by_kind.items():
            if kind == "box":
                report("box: by the box", [ask(*one) for one in some])
                whole = [(engine, replace(asked, case=replace(asked.case, box=""))) for engine, asked in some]
                report("box: by the whole room", [ask(*one) for one in whole])
            elif not some[0][1].case.text:
                report(kind, [ask(*one) for one in some])
            else:
                weighed(kind, some)
        not_this(words)


def weighed(kind: str, some: Sequence[tuple[SearchEngine, Asked]]) -> None:
    report(f"{kind}: words alone", [ask(*one, weight=0.0) for one in some])
    no_words = [(engine, replace(asked, case=replace(asked.case, text=""))) for engine, asked in some]
    report(f"{kind}: the picture alone", [ask(*one) for one in no_words])
    for weight in WEIGHTS:
        report(f"{kind}: both, the picture by {weight:g}", [ask(*one, weight=weight) for one in some])


def ask(engine: SearchEngine, asked: Asked, *, weight: float = 1.0) -> Outcome:
    box = Box(*(int(part) for part in asked.case.box.split(","))) if asked.case.box else None
    rgb = asked.rgb
    if box is not None:
        rgb = rgb[box.y : box.y + box.height, box.x : box.x + box.width]
    images = [ImageQuery(rgb, asked.case.type, weight)] if weight else []
    query = engine.query(asked.case.text, images=images)
    if asked.left_out is not None:
        query = replace(query, exclude_media_id=engine._content_of(asked.left_out), exclude_at_s=asked.at_s)
    return judge(asked.case, engine.search(query))


def not_this(words: Sequence[tuple[SearchEngine, Case, Path]]) -> None:
    plain, wrong = [], []
    for engine, case, media in words:
        response = engine.search(engine.query(case.text))
        plain.append(judge(case, response))
        wrong.append(_wrong(case, response, media))
    some = [(one, image) for one, image in zip(words, wrong, strict=True) if image is not None]
    report("not this: words alone", [one for one, image in zip(plain, wrong, strict=True) if image is not None])
    for weight in UNWANTED:
        outcomes = []
        for (engine, case, _), image in some:
            query = engine.query(case.text, images=[replace(image, weight=-weight)])
            outcomes.append(judge(case, engine.search(query)))
        report(f"not this: the wrong one by -{weight:g}", outcomes)


def _wrong(case: Case, response: SearchResponse, media: Path) -> ImageQuery | None:
    for moment in response.moments[:5]:
        if judge(case, replace(response, moments=(moment,))).rank is None:
            return ImageQuery(look(moment.media.path, moment.peak_s), "wrong")
    return None


def with_painted(media: Path, library: Path, folder: Path, models: ModelSet, settings: Settings) -> SearchEngine:
    """The library with the painted products beside its own files."""
    copy = folder / "library"
    shutil.copytree(library, copy)
    paint(media, folder / PAINTED)
    settings = settings.model_copy(update={"library": copy})
    index([folder / PAINTED], library=copy, models=models, settings=settings)
    return SearchEngine(copy, models, settings)


def remember(models: ModelSet) -> None:
    """Every picture and sentence is embedded once, however often it is asked."""
    joint = models.joint
    for name, key in (("embed_texts", str), ("embed_images", lambda rgb: (rgb.shape, rgb.tobytes()))):
        setattr(joint, name, _remembered(getattr(joint, name), key))


def _remembered(embed: Callable[..., Vectors], key: Callable) -> Callable[..., Vectors]:
    kept: dict = {}

    def embedded(inputs) -> Vectors:
        new = [one for one in inputs if key(one) not in kept]
        kept.update(zip(map(key, new), embed(new), strict=True))
        return np.stack([kept[key(one)] for one in inputs]) if len(inputs) else embed(inputs)

    return embedded


def report(name: str, outcomes: Sequence[Outcome]) -> None:
    told = summary(outcomes)
    print(f"{name}: {', '.join(f'{key} {told[key]:.3g}' for key in MEASURES if told[key] == told[key])}", flush=True)


if __name__ == "__main__":
    main()
