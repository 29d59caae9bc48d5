"""The lite encoder path beside the bare ONNX session, in one run: `python -m benchmarks.encoder [--rounds N]`.

Floor: the session on pixels that are ready. Ours: decoded RGB frames in, stored vectors out. Also the words: one query.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from data import settings
from models import artifacts
from models.lite.clip import ClipImageTower
from models.lite.embedder import IMAGE_TOWER, LiteEmbedder


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=8)
    args = parser.parse_args()
    config = settings.load(batch_size=args.batch)
    tower = ClipImageTower(artifacts.ensure(IMAGE_TOWER, config.cache / "models"), config.threads, args.batch)
    lite = LiteEmbedder(config)
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (720, 1280, 3), dtype=np.uint8) for _ in range(args.batch)]
    pixels = rng.standard_normal((args.batch, 3, 224, 224)).astype(np.float32)
    tower.run(pixels)
    lite.embed_images(frames)
    ratios = []
    for _ in range(args.rounds):  # alternating, so that what else the machine does falls on both
        start = time.perf_counter()
        tower.run(pixels)
        middle = time.perf_counter()
        lite.embed_images(frames)
        ratios.append((middle - start) / (time.perf_counter() - middle))
    print(f"ours / bare session, pictures a second: {statistics.median(ratios):.2f} (720p frames, batch {args.batch})")
    lite.embed_texts(["warm"])
    spent = []
    for text in ["a dog catches a frisbee", "红色的沙发", "sofa", "一个小女孩在海滩上跑步"] * args.rounds:
        start = time.perf_counter()
        lite.embed_texts([text])
        spent.append(time.perf_counter() - start)
    print(f"one query of words: median {statistics.median(spent) * 1e3:.0f} ms")


if __name__ == "__main__":
    main()
