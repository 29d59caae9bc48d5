"""What each channel is worth: what is seen alone, texts alone, both as the search fuses them, and one averaged vector.

    python -m benchmarks.ablation

The texts are the titles that the samples' authors gave them (data/samples/LICENSES.md), put in as captions: true,
short, and often beside the point ("friends" for two dogs), as people's own titles are. Films have their film's name.
The averaged vector is the usual short cut: the mean of a frame's vector and its title's, one cosine for both; it finds
media, not moments.
"""

from __future__ import annotations

import argparse
import re
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.evaluate import ROOT, told_in_line
from data.settings import Settings, load
from data.store.lance import create_or_open
from data.types import Moment, Query, SearchResponse, TextSpan
from indexer.pipeline import index
from models.base import ModelSet
from models.registry import load as load_models
from search.channels import CHANNEL
from search.engine import SearchEngine
from search.evaluate import Case, Outcome, judge, read_cases, run

SAMPLES = ROOT / "data" / "samples"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", type=Path, help="one of the samples, to be copied; made anew without")
    arguments = parser.parse_args()
    cases = [case for case in read_cases(ROOT / "benchmarks" / "queries" / "samples.csv") if case.text]
    cases = [case for case in cases if case.type in ("moment", "still", "none")]
    with tempfile.TemporaryDirectory() as folder:
        settings = load(library=Path(folder) / "library", localise=0)
        models = load_models("lite", settings)
        if arguments.library:
            shutil.copytree(arguments.library, settings.library)
        else:
            index([SAMPLES], library=settings.library, models=models, settings=settings)
        report("seen alone", ask(cases, settings, models, lambda query: query))
        titles = put_titles(settings, models)
        report("texts alone", ask(cases, settings, models, only_texts))
        report("fused", ask(cases, settings, models, lambda query: query))
        report("one averaged vector", averaged(cases, settings, models, titles))


def report(name: str, outcomes: list[Outcome]) -> None:
    for kind, some in (
        ("stills", [one for one in outcomes if one.case.type == "still"]),
        ("moments", [one for one in outcomes if one.case.type == "moment"]),
        ("all", outcomes),
    ):
        print(f"{name}, {kind}: {told_in_line(some)}")


def without_times(case: Case) -> Case:
    return replace(case, truths=tuple(replace(truth, start_s=None, end_s=None) for truth in case.truths))


def ask(cases: list[Case], settings: Settings, models: ModelSet, turned) -> list[Outcome]:
    with SearchEngine(settings.library, models, settings) as engine:
        return run(cases, lambda case: engine.search(turned(engine.query(case.text))))


def only_texts(query: Query) -> Query:
    return replace(query, terms=tuple(replace(term, channel="text") for term in query.terms))


def put_titles(settings: Settings, models: ModelSet) -> dict[str, str]:
    """media_id -> its title, put into the library as a caption of the whole."""
    lines = (SAMPLES / "LICENSES.md").read_text("utf-8").splitlines()
    rows = [re.split(r"\s*\|\s*", line.strip("| ")) for line in lines if line.startswith("| ")]
    title_of = {Path(row[0]).name: re.sub(r"\.(jpe?g|png)$", "", row[1]) for row in rows if "/" in row[0]}
    identities = {channel: one.as_dict() for channel, one in models.identities().items()}
    store = create_or_open(settings.library, identities, profile=models.profile)
    out = {}
    try:
        for item in list(store.media()):
            title = title_of.get(item.path.name)
            if title:
                end_s = item.info.duration_s
                span = TextSpan("caption", title, None if end_s is None else 0.0, end_s, source="title")
                store.put_texts(item.media_id, "caption", [span], stage="title")
                out[item.media_id] = title
    finally:
        store.close()
    print(f"{len(out)} titles")
    return out


def averaged(cases: list[Case], settings: Settings, models: ModelSet, titles: dict[str, str]) -> list[Outcome]:
    """Every frame's vector averaged with its title's; the ten best media by their best frame."""
    with SearchEngine(settings.library, models, settings) as engine:
        media = list(engine.store.media())
        frames = []
        for item in media:
            vectors = engine.store.frame_vectors(CHANNEL, item.media_id).vectors
            if item.media_id in titles:
                vectors = vectors + models.joint.embed_texts([titles[item.media_id]])
                vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
            frames.append(vectors)
    out = []
    for case in cases:
        asked = models.joint.embed_texts([case.text])[0]
        best = np.asarray([float((vectors @ asked).max()) for vectors in frames])
        order = np.argsort(-best)[:10]
        moments = tuple(Moment(media[i], None, None, None, float(best[i])) for i in order)
        out.append(judge(without_times(case), SearchResponse(Query(case.text), moments, False, {})))
    return out


if __name__ == "__main__":
    main()
