"""What captions are worth when they are asked for in other words: by their words (BM25), by their meaning, and fused.

    python -m benchmarks.captions

The captions (benchmarks/queries/captions.csv) were written watching the shots of the samples, on purpose in other words
than the questions of benchmarks/queries/samples.csv, which ask for the same shots in English and in Chinese. First the
texts alone: does the best caption belong to the right shot or picture? Then the whole search: what is seen alone, with
the captions' words, and with their meaning as well. The authors' titles (benchmarks/ablation.py) follow.
"""

from __future__ import annotations

import csv
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np

from benchmarks.ablation import put_titles, report
from benchmarks.evaluate import ROOT
from data.settings import Settings, load
from data.store.base import Filter, Store
from data.store.lance import create_or_open
from data.types import TextSpan
from indexer.embed_texts import embed_captions
from indexer.pipeline import index
from models.base import ModelSet
from models.registry import load as load_models
from search.engine import SearchEngine
from search.evaluate import Case, read_cases, run

QUERIES = ROOT / "benchmarks" / "queries"


def main() -> None:
    cases = [case for case in read_cases(QUERIES / "samples.csv") if case.type in ("moment", "still", "none")]
    with tempfile.TemporaryDirectory() as folder:
        settings = load(library=Path(folder) / "library", localise=0)
        models = load_models("lite", settings)
        index([ROOT / "data" / "samples"], library=settings.library, models=models, settings=settings)
        ask("seen alone", cases, settings, models)
        identities = {channel: one.as_dict() for channel, one in models.identities().items()}
        with create_or_open(settings.library, identities, profile=models.profile) as store:
            store.put_many_texts("caption", captions(store))
        ask("seen, and the captions' words", cases, settings, models)
        with create_or_open(settings.library, identities, profile=models.profile) as store:
            embed_captions(store, models.joint)
            texts_alone(store, models, [case for case in cases if case.truths])
        ask("seen, their words and their meaning", cases, settings, models)
        put_titles(settings, models)
        ask("seen, and the titles' words", cases, settings, models)
        with create_or_open(settings.library, identities, profile=models.profile) as store:
            embed_captions(store, models.joint)
        ask("seen, the titles' words and their meaning", cases, settings, models)


def captions(store: Store) -> list[tuple[str, list[TextSpan], str]]:
    by_file = defaultdict(list)
    with open(QUERIES / "captions.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            start_s, end_s = (float(row[name]) if row[name] else None for name in ("start_s", "end_s"))
            by_file[Path(row["file"]).name].append(TextSpan("caption", row["caption"], start_s, end_s))
    return [(item.media_id, by_file[item.path.name], "written") for item in store.media() if item.path.name in by_file]


def texts_alone(store: Store, models: ModelSet, cases: list[Case]) -> None:
    """Share of the questions whose best caption, or one of the best five, is of the right shot or picture."""
    names = {item.media_id: item.path.name for item in store.media()}

    def share(found: list, most: int, some: list[int]) -> float:
        return float(
            np.mean([any(right(names[hit.media_id], hit.span, cases[i]) for hit in found[i][:most]) for i in some])
        )

    vectors = models.joint.embed_texts([case.text for case in cases])
    by_words = [store.search_texts(case.text, 5, Filter(), channels=("caption",)) for case in cases]
    by_meaning = [store.search_meanings(vector, 5, Filter())[0] for vector in vectors]
    chinese = [any("\u4e00" <= letter <= "\u9fff" for letter in case.text) for case in cases]
    for told, wanted in (("English", False), ("Chinese", True)):
        some = [i for i, one in enumerate(chinese) if one is wanted]
        for name, found in (("words", by_words), ("meaning", by_meaning)):
            print(f"texts alone, {told}, by {name}: @1 {share(found, 1, some):.2f}, @5 {share(found, 5, some):.2f}")


def right(name: str, span: TextSpan, case: Case) -> bool:
    """The caption covers two fifths of a true stretch, or lies in it as much."""
    for truth in case.truths:
        if Path(truth.file).name != name:
            continue
        if truth.start_s is None or truth.end_s is None or span.start_s is None or span.end_s is None:
            return True
        shared = min(span.end_s, truth.end_s) - max(span.start_s, truth.start_s)
        if shared > 0.4 * min(span.end_s - span.start_s, truth.end_s - truth.start_s):
            return True
    return False


def ask(name: str, cases: list[Case], settings: Settings, models: ModelSet) -> None:
    with SearchEngine(settings.library, models, settings) as engine:
        report(name, run(cases, lambda case: engine.search(engine.query(case.text))))


if __name__ == "__main__":
    main()
