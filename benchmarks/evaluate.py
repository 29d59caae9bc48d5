"""Quality on queries whose answers are known: index the samples, ask them all, print the measures by kind of query.

    python -m benchmarks.evaluate                       # data/samples with benchmarks/queries/samples.csv
    python -m benchmarks.evaluate --media DIR --queries FILE.csv --answers

The measures are those of search/evaluate.py. The last table is the seek error before and after localising: over the
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

from data.media import MEDIA_EXTENSIONS, open_media
from data.settings import Settings, load
from data.types import ImageQuery
from indexer.pipeline import index
from models.registry import load as load_models
from search.engine import SearchEngine
from search.evaluate import Case, Outcome, read_cases, run, summary
from search.query import build
from ui.commands import quality

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
        pictures = arguments.queries.parent
        outcomes = ask_all(cases, settings, models, pictures)
        quality.table(outcomes)
        if arguments.answers:
            for one in outcomes:
                told = "not there" if one.rank is None else f"at {one.rank}, IoU {one.iou:.2f}"
                print(f"{one.case.type:9} {one.case.text or one.case.image!r:60.60} {one.score:.2f} {told}")
        chinese = [one for one in outcomes if any("\u4e00" <= letter <= "\u9fff" for letter in one.case.text)]
        print("\nin Chinese:", told_in_line(chinese))
        boxes = [case for case in cases if case.box]
        whole = ask_all([replace(case, box="") for case in boxes], settings, models, pictures)
        print("by a box:", told_in_line([one for one in outcomes if one.case.box]))
        print("the same by the whole picture:", told_in_line(whole))
        coarse = ask_all(cases, settings.model_copy(update={"localise": 0}), models, pictures)
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


def ask_all(cases: list[Case], settings: Settings, models, pictures: Path) -> list[Outcome]:
    with SearchEngine(settings.library, models, settings) as engine:
        return run(cases, quality.asking(engine, pictures))


def told_in_line(outcomes: list[Outcome]) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in summary(outcomes).items() if not np.isnan(value))


if __name__ == "__main__":
    main()
