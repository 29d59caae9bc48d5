"""Peak memory of indexing a short and a long video: it must not grow with the length.

    python -m benchmarks.memory FILE...            # a stand-in model, so that what is seen is the indexer's own
    python -m benchmarks.memory FILE... --models lite

Each file is indexed by a process of its own; every 0.2 s the resident memory of that process and of its decoder is
read from /proc (Linux). The model's own share is what the process holds before it begins.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from data.settings import load
from models.base import ModelSet

MIB = 1 << 20


def resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def measure(path: Path, profile: str) -> dict[str, float]:
    import lancedb  # noqa: F401  # its libraries are not the run's
    import pyarrow  # noqa: F401

    from data.store.lance import open_reader
    from indexer.pipeline import index

    with tempfile.TemporaryDirectory() as folder:
        settings = load(library=Path(folder) / "library", models=profile or None)
        models = stand_in() if not profile else _loaded(profile, settings)
        before, peaks, done = resident(os.getpid()), {"run": 0, "decoder": 0}, threading.Event()

        def watch() -> None:
            while not done.wait(0.2):
                peaks["run"] = max(peaks["run"], resident(os.getpid()))
                # A decoder is started from a thread: it is a child of that thread's task.
                tasks = os.listdir("/proc/self/task")
                for task in tasks:
                    for child in children_of_task(task):
                        peaks["decoder"] = max(peaks["decoder"], resident(child))

        thread = threading.Thread(target=watch)
        thread.start()
        started_s = time.monotonic()
        report = index([path], library=settings.library, models=models, settings=settings)
        seconds = time.monotonic() - started_s
        done.set()
        thread.join()
        with open_reader(settings.library) as store:
            stats = store.stats()
    return {
        "indexed": report.indexed, "media_s": stats.duration_s, "rows": stats.frames, "shots": stats.segments,
        "seconds": seconds, "before_mib": before / MIB, "run_mib": peaks["run"] / MIB,
        "decoder_mib": peaks["decoder"] / MIB,
    }  # fmt: skip


def children_of_task(task: str) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/self/task/{task}/children").read_text().split()]
    except OSError:
        return []


def stand_in() -> ModelSet:
    """512 numbers a picture, of its pixels, as many as a small CLIP gives."""
    from tests.conftest import ColourModel

    class Wide(ColourModel):
        def embed_images(self, images):
            rows = np.stack([np.resize(image[::16, ::16].astype(np.float32) + 1, 512) for image in images])
            return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    from dataclasses import replace

    Wide.identity = replace(ColourModel.identity, dim=512)
    return ModelSet("test", Wide())


def _loaded(profile: str, settings) -> ModelSet:
    from models.registry import load as load_models

    models = load_models(profile, settings)
    models.joint.embed_images([np.zeros((256, 256, 3), np.uint8)] * settings.batch_size)
    return models


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", type=Path, nargs="+")
    parser.add_argument("--models", default="", help="a profile; without it a stand-in that weighs nothing")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.paths[0], arguments.models)))
        return
    print("| file | media | rows | shots | seconds | before MiB | peak MiB | decoder MiB |\n|-|-|-|-|-|-|-|-|")
    for path in arguments.paths:
        command = [sys.executable, "-m", "benchmarks.memory", str(path), "--one", "--models", arguments.models]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        told = json.loads(done.stdout.splitlines()[-1])
        print(
            f"| {path.name} | {told['media_s']:.0f} s | {told['rows']} | {told['shots']} | {told['seconds']:.0f} "
            f"| {told['before_mib']:.0f} | {told['run_mib']:.0f} | {told['decoder_mib']:.0f} |"
        )


if __name__ == "__main__":
    main()
