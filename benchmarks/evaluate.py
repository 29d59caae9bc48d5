"""Quality on queries whose answers are known: index the samples, ask them all, print the measures by kind of query.

    python -m benchmarks.evaluate                       # data/samples with benchmarks/queries/samples.csv
    python -m benchmarks.evaluate --media DIR --queries FILE.csv --answers

The measures are those of search/evaluate.py. The last tables are the seek error before and after localising: over the
queries, whose truths are intervals, and over copies of single frames taken at random seconds of the films, whose truths
are points.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from data.media import MEDIA_EXTENSIONS, open_media, picture
from data.settings import Settings, load
from data.types import ImageQuery, SearchResponse
from indexer.pipeline import index
from models.registry import load as load_models
from search.engine import SearchEngine
from search.evaluate import Case, Outcome, read_cases, run, summary
from search.query import build

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--media", type=Path, default=ROOT / "data" / "samples")
    parser.add_argument("--queries", type=Path, default=ROOT / "benchmarks" / "queries" / "samples.csv")
    parser.add_argument("--models", default="lite")
    parser.add_argument("--answers", action="store_true", help="print what each query returned first")
    arguments = parser.parse_args()
    cases = read_cases(arguments.queries)
    with tempfile.TemporaryDirectory() as folder:
        settings = load(library=Path(folder) / "library", models=arguments.models)
        models = load_models(settings.models, settings)
        index([arguments.media], library=settings.library, models=models, settings=settings)
        outcomes = ask_all(cases, settings, models, arguments.queries.parent, arguments.answers)
        table("all", outcomes, header=True)
        for kind in sorted({case.type for case in cases}):
            table(kind, [one for one in outcomes if one.case.type == kind])
        chinese = [one for one in outcomes if any("\u4e00" <= letter <= "\u9fff" for letter in one.case.text)]
        table("chinese", chinese)
        coarse = ask_all(cases, settings.model_copy(update={"localise": 0}), models, arguments.queries.parent, False)
        points = {
            f"single frames, {told}, {name}": frame_errors(
                arguments.media, settings.model_copy(update={"localise": best}), models, smaller, quality
            )
            for told, smaller, quality in (("JPEG at 90", 1, 90), ("halved, JPEG at 40", 2, 40))
            for name, best in (("sampled", 0), ("localised", 1))
        }
    print("\n| seek error, s | median | mean | within 1 s |\n|-|-|-|-|")
    errors_of = {
        name: np.asarray([one.seek_error_s for one in judged if one.seek_error_s is not None])
        for name, judged in (("queries, sampled frames only", coarse), ("queries, localised", outcomes))
    }
    for name, errors in {**errors_of, **points}.items():
        print(f"| {name} | {np.median(errors):.2f} | {errors.mean():.2f} | {(errors <= 1).mean():.2f} |")


def frame_errors(media: Path, settings: Settings, models, smaller: int, quality: int, *, count: int = 40) -> np.ndarray:
    """Seconds between a random frame and the second opened for a copy of it; a wrong film counts as infinite."""
    rng = np.random.default_rng(0)
    films = sorted(path for path in media.rglob("*") if MEDIA_EXTENSIONS.get(path.suffix) == "video")
    errors = []
    with SearchEngine(settings.library, models, settings) as engine:
        for _ in range(count):
            path = films[rng.integers(len(films))]
            with open_media(path) as source:
                frame = source.frame_at(float(rng.uniform(0, source.info.duration_s)))
            small = Image.fromarray(frame.rgb).reduce(smaller)
            packed = io.BytesIO()
            small.save(packed, "JPEG", quality=quality)
            first = engine.search(build(images=[ImageQuery(np.asarray(Image.open(packed)))])).moments[0]
            right = first.media.path.name == path.name and first.peak_s is not None
            errors.append(abs(first.peak_s - frame.time_s) if right else np.inf)
    return np.asarray(errors)


def ask_all(cases: list[Case], settings: Settings, models, pictures: Path, show: bool) -> list[Outcome]:
    with SearchEngine(settings.library, models, settings) as engine:

        def ask(case: Case) -> SearchResponse:
            images = [ImageQuery(picture(pictures / case.image), label=case.image)] if case.image else []
            response = engine.search(replace(build(case.text, images=images), k=10))
            if show:
                first = response.moments[0]
                told = "no match" if response.no_match else "match"
                times = "" if first.peak_s is None else f"{first.start_s:.1f}-{first.end_s:.1f} @{first.peak_s:.2f}"
                truth = "; ".join(f"{t.file} {t.start_s or ''}-{t.end_s or ''}" for t in case.truths[:2])
                print(
                    f"{case.type:9} {case.text or case.image!r:50.50} -> {first.media.path.name:30.30} {times:22} "
                    f"{first.score:.2f} {told:8} | {truth}"
                )
            return response

        return run(cases, ask)


def table(name: str, outcomes: list[Outcome], *, header: bool = False) -> None:
    measures = summary(outcomes)
    if header:
        print("\n| queries | " + " | ".join(measures) + " |\n|-" + "|-" * len(measures) + "|")
    print(f"| {name} | " + " | ".join(f"{value:.3g}" for value in measures.values()) + " |")


if __name__ == "__main__":
    main()
