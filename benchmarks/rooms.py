"""A product's picture asks which rooms hold the product: whole pictures alone, and with `index --crops`.

    python -m benchmarks.rooms

Eighteen drawn rooms of two products each beside the samples; each product is set in from one of its views, small (about
4 % of the room), and asked for by the two others. mAP over the rooms, and the share of first rooms that are right.
"""

from __future__ import annotations

import csv
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np

from benchmarks.build_rooms import empty, put
from benchmarks.evaluate import ROOT
from data.settings import Settings, load
from indexer.pipeline import index
from models.base import ModelSet
from models.registry import load as load_models
from search.engine import SearchEngine
from search.evaluate import average_precision

SAMPLES = ROOT / "data" / "samples"
ROOMS, SEED = 18, 7


def main() -> None:
    views = defaultdict(list)
    with open(SAMPLES / "products.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            views[row["sku"]].append(SAMPLES / row["file"])
    with tempfile.TemporaryDirectory() as folder:
        settings = load(library=Path(folder) / "library", localise=0)
        models = load_models("lite", settings)
        rooms = Path(folder) / "rooms"
        rooms.mkdir()
        holds = draw(rooms, views)
        for told, crop in (("whole pictures", False), ("with --crops", True)):
            index([SAMPLES, rooms], library=settings.library, models=models, settings=settings, crop=crop)
            precision, first = ask(settings, models, views, holds)
            error = precision.std() / len(precision) ** 0.5
            print(
                f"{told}: mAP {precision.mean():.2f} ± {error:.2f}, first right {first:.2f}, {len(precision)} queries"
            )


def draw(folder: Path, views: dict[str, list[Path]]) -> dict[str, set[str]]:
    """Name of each room -> the products in it."""
    rng = np.random.default_rng(SEED)
    holds = {}
    for number in range(ROOMS):
        chosen = [str(sku) for sku in rng.choice(sorted(views), 2, replace=False)]
        red, green, blue = rng.integers(110, 220, 3).tolist()
        room = empty((red, green, blue))
        for place, sku in enumerate(chosen):
            left, bottom = 480 * place + int(rng.integers(30, 250)), int(rng.integers(470, 620))
            put(room, views[sku][-1], left, bottom, int(rng.integers(90, 220)))
        room.save(folder / f"room_{number:02}.png")
        holds[f"room_{number:02}.png"] = set(chosen)
    return holds


def ask(
    settings: Settings, models: ModelSet, views: dict[str, list[Path]], holds: dict[str, set[str]]
) -> tuple[np.ndarray, float]:
    precision, first = [], []
    with SearchEngine(settings.library, models, settings) as engine:
        for sku, pictures in views.items():
            total = sum(sku in held for held in holds.values())
            for picture in pictures[:-1] if total else ():
                found = engine.similar(picture, k=200, kinds=["image"]).moments
                right = [sku in holds[one.media.path.name] for one in found if one.media.path.name in holds]
                precision.append(average_precision(right, total))
                first.append(bool(right) and right[0])
    return np.asarray(precision), float(np.mean(first))


if __name__ == "__main__":
    main()
