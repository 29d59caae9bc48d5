"""Indexing beside its two floors, in one run: the bare decode and the bare encoder on the same file and frames.

    python -m benchmarks.indexing FILE_OR_FOLDER [--runs 3]

Each figure is a fresh process, so that peak memory is its own; the order is decode, encoder, index, repeated. Quote the
ratios: seconds
depend on the machine and on what else it does.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

STEPS = ("decode", "encoder", "index")
BATCH = 16


def decode(path: Path) -> dict[str, float]:
    """Every frame of every video and picture, nothing done with it."""
    import av
    from PIL import Image

    from data.media import sniff

    count = 0
    for file in files(path):
        kind = sniff(file)
        if kind == "video":
            with av.open(str(file)) as container:
                container.streams.video[0].thread_type = "AUTO"
                count += sum(1 for _ in container.decode(video=0))
        elif kind is not None:
            with Image.open(file) as image:
                for frame in range(getattr(image, "n_frames", 1)):
                    image.seek(frame)
                    image.load()
                    count += 1
    return {"count": count}


def encoder(_: Path, pictures: int = 0) -> dict[str, float]:
    """A bare session, all cores, ordinary batches, on as many prepared pictures as indexing embeds."""
    import numpy as np
    import onnxruntime

    from data.settings import load
    from models import artifacts

    path = artifacts.ensure("clip-vit-b16-int8", load().cache / "models")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    pixels = np.random.default_rng(0).normal(size=(BATCH, 3, 224, 224)).astype(np.float32)
    for start in range(0, pictures, BATCH):
        session.run(None, {"pixel_values": pixels[: min(BATCH, pictures - start)]})
    return {"count": pictures}


def index(path: Path) -> dict[str, float]:
    from data.settings import load
    from data.store.lance import open_reader
    from indexer.pipeline import index as run
    from models.registry import load as load_models

    with tempfile.TemporaryDirectory() as folder:
        settings = load(library=Path(folder) / "library")
        run([path], library=settings.library, models=load_models("lite", settings), settings=settings)
        store = open_reader(settings.library)
        count = store.stats().frames
        store.close()
    return {"count": count}


def files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())


def one(step: str, path: Path, pictures: int) -> dict[str, float]:
    """Run one step in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.indexing", str(path), "--step", step, "--pictures", str(pictures)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(step: str, path: Path, pictures: int) -> dict[str, float]:
    import resource
    import time

    started = time.perf_counter()
    said = encoder(path, pictures) if step == "encoder" else {"decode": decode, "index": index}[step](path)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kilobytes on Linux
    return {**said, "seconds": seconds, "peak_mib": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--pictures", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        print(json.dumps(measure(arguments.step, arguments.path, arguments.pictures)))
        return
    pictures = int(one("index", arguments.path, 0)["count"])
    seen: dict[str, list[dict[str, float]]] = {step: [] for step in STEPS}
    for _ in range(arguments.runs):
        for step in STEPS:
            seen[step].append(one(step, arguments.path, pictures))
    print(f"{pictures} pictures embedded\n\n| | seconds (median) | peak MiB |\n|-|-|-|")
    for step in STEPS:
        seconds, peak = median(run["seconds"] for run in seen[step]), max(run["peak_mib"] for run in seen[step])
        print(f"| {step} | {seconds:.1f} | {peak:.0f} |")
    ratios = [(d["seconds"] + e["seconds"]) / i["seconds"] for d, e, i in zip(*seen.values(), strict=True)]
    alone = [e["seconds"] / i["seconds"] for e, i in zip(seen["encoder"], seen["index"], strict=True)]
    print(f"\npictures a second / those of the bare encoder: {median(alone):.2f} (max {max(alone):.2f})")
    print(f"(decode + encoder) / index: {median(ratios):.2f} (min {min(ratios):.2f}, max {max(ratios):.2f})")


if __name__ == "__main__":
    main()
