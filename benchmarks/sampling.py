"""Which frames are kept, and what that does to answers: adaptive beside a fixed rate, key frames, and SSIM.

    python -m benchmarks.sampling [--media DIR --queries FILE.csv] [--still MINUTES]

Each way indexes the samples into a library of its own with the same models and is asked the same queries; the measures
are those of search/evaluate.py. "ssim T" keeps a frame at 2 a second when its structural similarity (Wang et al. 2004,
windows of 7 x 7, on the same small brightness pictures) to the last one kept is under T. The last table is a locked-off
camera: one photograph with coding noise, before which something passes twice for two seconds each; "found" says how
many of these have a row of their own.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import ClassVar

import av
import numpy as np
from PIL import Image

import indexer.decode
from benchmarks.evaluate import ask_all
from data.media import picture
from data.settings import Settings, load
from data.store.lance import open_reader
from indexer.pipeline import index
from indexer.progress import Progress
from indexer.sampling import Choice, Luma, Sampler, Sampling
from models.base import ModelSet
from models.registry import load as load_models
from search.evaluate import read_cases, summary

ROOT = Path(__file__).resolve().parent.parent
MEASURES = ("medium@1", "R1@0.3", "R1@0.5", "hit@1s", "median_seek_error_s", "auroc_no_match")
WAYS: dict[str, tuple[Sampling, float]] = {
    "adaptive": ("adaptive", 0.0), "fixed 2 a second": ("fixed", 0.0), "key frames": ("fast", 0.0),
    "ssim 0.9": ("fixed", 0.9), "ssim 0.7": ("fixed", 0.7),
}  # fmt: skip
RATE = 10
PASSES_S = (0.35, 0.7)  # when something passes, as shares of the film


class SsimSampler(Sampler):
    """A fixed rate, of which what is too like the last row goes."""

    threshold: ClassVar[float] = 0.9

    def __init__(self, rate_fps: float, sampling: Sampling = "fixed") -> None:
        super().__init__(rate_fps, "fixed")
        self._kept: np.ndarray | None = None

    def __call__(self, time_s: float, duration_s: float | None, luma: Luma) -> Choice | None:
        if super().__call__(time_s, duration_s, luma) is None:
            return None
        if self._kept is not None and ssim(self._kept, luma) >= self.threshold:
            return None
        self._kept = luma
        return Choice(None)


def ssim(a: Luma, b: Luma, window: int = 7) -> float:
    x, y = (
        np.lib.stride_tricks.sliding_window_view(one.astype(np.float64), (window, window)).reshape(-1, window**2)
        for one in (a, b)
    )
    mean_x, mean_y = x.mean(1), y.mean(1)
    covariance = (x * y).mean(1) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return float((top / ((mean_x**2 + mean_y**2 + c1) * (x.var(1) + y.var(1) + c2))).mean())


def built(media: Path, way: str, settings: Settings, models: ModelSet) -> tuple[int, int, float]:
    """(rows, pictures embedded, seconds) of the media indexed in that way."""
    sampling, threshold = WAYS[way]
    start = indexer.decode._START
    if threshold:
        own = "import indexer.worker as worker; from benchmarks.sampling import SsimSampler; "
        own += f"SsimSampler.threshold = {threshold}; worker.Sampler = SsimSampler; worker.serve()"
        indexer.decode._START = f"import sys; sys.path.append(sys.argv[1]); {own}"
    told: list[Progress] = []
    try:
        report = index(
            [media], library=settings.library, models=models, settings=settings, sampling=sampling,
            on_progress=told.append,
        )  # fmt: skip
    finally:
        indexer.decode._START = start
    with open_reader(settings.library) as store:
        rows = store.stats().frames
    return rows, round(told[-1].rates["pictures"] * told[-1].elapsed_s), report.seconds


def still_film(path: Path, minutes: float) -> list[float]:
    """Writes the locked-off film; returns the seconds at which something passes."""
    rng = np.random.default_rng(0)
    size = (640, 360)
    photo = np.asarray(Image.fromarray(picture(ROOT / "data/samples/photos/IMG_0001.jpg")).resize(size))
    visitor = np.asarray(Image.fromarray(picture(ROOT / "data/samples/photos/IMG_0005.jpg")).resize((90, 60)))
    count = int(minutes * 60 * RATE)
    passes = [int(share * count) for share in PASSES_S]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "26", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number in range(count):
            noise = rng.integers(-4, 5, (size[1] // 4, size[0] // 4, 1)).repeat(4, 0).repeat(4, 1)
            rgb = np.clip(photo.astype(np.int16) + noise, 0, 255).astype(np.uint8)
            for begin in passes:
                if begin <= number < begin + 2 * RATE:
                    left = 20 + (number - begin) * 25
                    rgb[250:310, left : left + 90] = visitor[:, : max(0, min(90, size[0] - left))]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))
    return [begin / RATE for begin in passes]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--media", type=Path, default=ROOT / "data" / "samples")
    parser.add_argument("--queries", type=Path, default=ROOT / "benchmarks" / "queries" / "samples.csv")
    parser.add_argument("--still", type=float, default=10.0, help="minutes of the locked-off film")
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=list(WAYS))
    arguments = parser.parse_args()
    cases = read_cases(arguments.queries)
    settings = load(models="lite")
    models = load_models("lite", settings)
    print(
        "| way | rows | pictures embedded | seconds | "
        + " | ".join(MEASURES)
        + " |\n"
        + "|-" * (4 + len(MEASURES))
        + "|"
    )
    for way in arguments.ways:
        with tempfile.TemporaryDirectory() as folder:
            chosen = settings.model_copy(update={"library": Path(folder) / "library"})
            rows, pictures, seconds = built(arguments.media, way, chosen, models)
            measures = summary(ask_all(cases, chosen, models, arguments.queries.parent))
        values = " | ".join(f"{measures[name]:.3g}" for name in MEASURES)
        print(f"| {way} | {rows} | {pictures} | {seconds:.0f} | {values} |", flush=True)
    print(f"\nA camera that stands still for {arguments.still:g} minutes:\n")
    print("| way | rows | pictures embedded | found |\n|-|-|-|-|")
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "still.mp4"
        passes_s = still_film(film, arguments.still)
        for way in arguments.ways:
            chosen = settings.model_copy(update={"library": Path(folder) / way})
            rows, pictures, _ = built(film, way, chosen, models)
            with open_reader(chosen.library) as store:
                (item,) = store.media()
                times_s = store.frame_vectors("joint", item.media_id).times_s
            found = sum(bool(np.any((times_s >= at_s) & (times_s < at_s + 2))) for at_s in passes_s)
            print(f"| {way} | {rows} | {pictures} | {found} of {len(passes_s)} |", flush=True)


if __name__ == "__main__":
    main()
