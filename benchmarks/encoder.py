"""The lite encoder path beside the bare ONNX session, in one run: `python -m benchmarks.encoder [--rounds N]`.

Floor: one session with its default threads on pixels that are ready, in batches of several sizes. Ours: decoded RGB
frames as indexing hands them over in, stored vectors out. Also the words: one query.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from data import settings
from models import artifacts
from models.lite.embedder import IMAGE_TOWER, LiteEmbedder


def bare_session(path: str):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pictures", type=int, default=32)
    args = parser.parse_args()
    config = settings.load()
    session = bare_session(str(artifacts.ensure(IMAGE_TOWER, config.cache / "models")))
    lite = LiteEmbedder(config)
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (256, 455, 3), dtype=np.uint8) for _ in range(args.pictures)]
    pixels = rng.standard_normal((args.pictures, 3, 224, 224)).astype(np.float32)
    lite.embed_images(frames)
    floors = {f"batches of {batch}": batch for batch in (1, 2, 16)}
    ratios: dict[str, list[float]] = {name: [] for name in floors}
    for _ in range(args.rounds):  # alternating, so that what else the machine does falls on all
        start = time.perf_counter()
        lite.embed_images(frames)
        ours = time.perf_counter() - start
        for name, batch in floors.items():
            start = time.perf_counter()
            for first in range(0, args.pictures, batch):
                session.run(None, {"pixel_values": pixels[first : first + batch]})
            ratios[name].append((time.perf_counter() - start) / ours)
    for name, seen in ratios.items():
        print(f"pictures a second, ours / bare session in {name}: {statistics.median(seen):.2f}")
    lite.embed_texts(["warm"])
    spent = []
    for text in ["a dog catches a frisbee", "红色的沙发", "sofa", "一个小女孩在海滩上跑步"] * args.rounds:
        start = time.perf_counter()
        lite.embed_texts([text])
        spent.append(time.perf_counter() - start)
    print(f"one query of words: median {statistics.median(spent) * 1e3:.0f} ms")


if __name__ == "__main__":
    main()
