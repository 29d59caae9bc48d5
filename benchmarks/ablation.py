"""What each channel is worth: each alone, all as the search fuses them, and one averaged vector.

    python -m benchmarks.ablation                                     # the samples with their authors' titles
    python -m benchmarks.ablation --library DIR --queries FILE.csv    # any library, as it is

The titles (data/samples/LICENSES.md) are put in as captions: true, short, and often beside the point ("friends" for two
dogs), as people's own titles are. Films have their film's name. Only questions in plain words are asked, so that the
same words can be put to every channel. The averaged vector is the usual short cut: the mean of a frame's vector and
those of the texts that stand there, one cosine for all; it finds media, not moments.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.evaluate import ROOT, told_in_line
from data.settings import Settings, load
from data.store.lance import create_or_open
from data.types import Moment, Query, SearchResponse, TermChannel, TextSpan
from indexer.pipeline import index
from models.base import ModelSet
from models.registry import load as load_models
from search import fuse
from search.channels import CHANNEL
from search.engine import SearchEngine
from search.evaluate import Case, Outcome, judge, read_cases, run

SAMPLES = ROOT / "data" / "samples"
PLAIN = ("moment", "still", "spoken", "written", "title")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", type=Path, help="the samples, indexed anew, without")
    parser.add_argument("--queries", type=Path, default=ROOT / "benchmarks" / "queries" / "samples.csv")
    arguments = parser.parse_args()
    cases = [case for case in read_cases(arguments.queries) if case.text and not case.image and case.type in PLAIN]
    cases = [case for case in cases if ":" not in case.text]
    with tempfile.TemporaryDirectory() as folder:
        settings = load(library=arguments.library or Path(folder) / "library", localise=0)
        models = load_models("lite", settings)
        if not arguments.library:
            index([SAMPLES], library=settings.library, models=models, settings=settings)
            put_titles(settings, models)
        report("seen alone", seen_alone(cases, settings, models))
        for channel in ("caption", "speech", "screen", "text"):
            report(
                f"{channel} alone" if channel != "text" else "all texts", ask(cases, settings, models, only(channel))
            )
        report("fused", ask(cases, settings, models, lambda query: query))
        report("one averaged vector", averaged(cases, settings, models))


def report(name: str, outcomes: list[Outcome]) -> None:
    for kind in dict.fromkeys(one.case.type for one in outcomes):
        print(f"{name}, {kind}: {told_in_line([one for one in outcomes if one.case.type == kind])}")
    print(f"{name}, all: {told_in_line(outcomes)}", flush=True)


def without_times(case: Case) -> Case:
    return replace(case, truths=tuple(replace(truth, start_s=None, end_s=None) for truth in case.truths))


def ask(cases: list[Case], settings: Settings, models: ModelSet, turned) -> list[Outcome]:
    with SearchEngine(settings.library, models, settings) as engine:
        return run(cases, lambda case: engine.search(turned(engine.query(case.text))))


def seen_alone(cases: list[Case], settings: Settings, models: ModelSet) -> list[Outcome]:
    """With no height for what is told."""
    kept = dict(fuse.HEIGHTS)
    fuse.HEIGHTS.update(dict.fromkeys(kept, 0.0))
    try:
        return ask(cases, settings, models, lambda query: query)
    finally:
        fuse.HEIGHTS.update(kept)


def only(channel: TermChannel) -> Callable[[Query], Query]:
    """The same words put to one channel of texts."""
    return lambda query: replace(query, terms=tuple(replace(term, channel=channel) for term in query.terms))


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


def averaged(cases: list[Case], settings: Settings, models: ModelSet) -> list[Outcome]:
    """Every frame's vector averaged with those of the texts that stand there; the ten best media by best frame."""
    with SearchEngine(settings.library, models, settings) as engine:
        media = list(engine.store.media())
        frames = []
        for item in media:
            of_medium = engine.store.frame_vectors(CHANNEL, item.media_id)
            spans = list(engine.store.texts(item.media_id))
            frames.append(_mixed(of_medium.vectors, of_medium.times_s, spans, models))
    out = []
    for case in cases:
        asked = models.joint.embed_texts([case.text])[0]
        best = np.asarray([float((vectors @ asked).max()) for vectors in frames])
        order = np.argsort(-best)[:10]
        moments = tuple(Moment(media[i], None, None, None, float(best[i])) for i in order)
        out.append(judge(without_times(case), SearchResponse(Query(case.text), moments, False, {})))
    return out


def _mixed(
    seen: npt.NDArray[np.float32], times_s: npt.NDArray[np.float64], spans: list[TextSpan], models: ModelSet
) -> npt.NDArray[np.float32]:
    """(n, dim) frames with their texts mixed in at one half, unit norm."""
    if not spans:
        return seen
    told = models.joint.embed_texts([span.text for span in spans])
    out = seen.copy()
    for row, time_s in enumerate(times_s):
        here = [
            place
            for place, span in enumerate(spans)
            if span.start_s is None or span.end_s is None or span.start_s <= time_s < span.end_s
        ]
        if here:
            mean = told[here].mean(axis=0)
            out[row] += mean / max(float(np.linalg.norm(mean)), 1e-9)
    return out / np.linalg.norm(out, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
