"""What a GPU would give a large library: our index on the CPU beside a brute-force product on the GPU, same vectors.

    python -m benchmarks.scale_gpu --rows 10000000 --folder /some/empty/folder

Needs torch with CUDA and secondsight[faiss]. Vectors as in benchmarks.scale, made on the GPU.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.scale import DIM, FRAMES_A_MEDIUM, FRAMES_A_SCENE, SHARES, TOPICS, K, kept
from data.store import faiss


def vectors_of(rows: int, queries: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(rows, DIM) float16 of frames, and (queries, DIM) of scenes that are not among them."""
    torch.manual_seed(0)
    topics = torch.randn(TOPICS, DIM, device="cuda")

    def made(scenes: int, each: int) -> torch.Tensor:
        middles = topics[torch.randint(TOPICS, (scenes,), device="cuda")] + 0.8 * torch.randn(
            scenes, DIM, device="cuda"
        )
        some = middles.repeat_interleave(each, 0)
        some += 0.5 * torch.randn_like(some)
        return torch.nn.functional.normalize(some).half()

    asked = made(queries, 1)
    out = torch.empty(rows, DIM, dtype=torch.half, device="cuda")
    step = 1_000_000
    for start in range(0, rows, step):
        some = min(step, rows - start)
        out[start : start + some] = made(some // FRAMES_A_SCENE, FRAMES_A_SCENE)
    return out, asked


def timed(call: Callable[[], Any], turns: int) -> tuple[float, float]:
    """(p50, p95) in milliseconds."""
    took_ms = []
    for _ in range(turns):
        started = time.perf_counter()
        call()
        took_ms.append((time.perf_counter() - started) * 1000)
    return round(float(np.percentile(took_ms, 50)), 2), round(float(np.percentile(took_ms, 95)), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--folder", type=Path, required=True)
    arguments = parser.parse_args()
    n_media = arguments.rows // FRAMES_A_MEDIUM
    held, asked = vectors_of(n_media * FRAMES_A_MEDIUM, arguments.queries)
    host = held.cpu().numpy()

    def batches() -> Iterator[faiss.Batch]:
        for i in range(0, n_media, 32):
            some = min(32, n_media - i)
            rows = slice(i * FRAMES_A_MEDIUM, (i + some) * FRAMES_A_MEDIUM)
            n = some * FRAMES_A_MEDIUM
            yield np.repeat(np.arange(i, i + some), FRAMES_A_MEDIUM), np.zeros(n), np.zeros(n, np.int32), host[rows]

    started = time.perf_counter()
    faiss.build(arguments.folder, 0, np.arange(n_media), np.full(n_media, FRAMES_A_MEDIUM), DIM, batches)
    print(json.dumps({"rows": len(host), "build_s": round(time.perf_counter() - started, 1)}), flush=True)
    (path,) = faiss.in_force(arguments.folder)
    index, queries = faiss.open_index(path), asked.float().cpu().numpy()
    for share in SHARES:
        let = kept(n_media, share)
        mask = torch.from_numpy(np.repeat(let, FRAMES_A_MEDIUM)).cuda()
        turn = iter(range(10**9))

        def on_gpu(mask: torch.Tensor = mask, turn: Iterator[int] = turn) -> torch.Tensor:
            scores = held @ asked[next(turn) % len(asked)]
            return scores.masked_fill_(~mask, -2).topk(K).indices.cpu()

        def on_cpu(let: Any = let, turn: Iterator[int] = turn) -> np.ndarray:
            return index.search(queries[next(turn) % len(asked)], K, let)[0]

        found = 0
        for i, query in enumerate(asked):
            near = (held @ query).masked_fill_(~mask, -2).topk(40 * K).indices  # in halves: nearly sorted
            true_rows = near[(held[near].float() @ query.float()).topk(K).indices].tolist()
            found += len(set(true_rows) & set(index.search(queries[i], K, let)[0].tolist()))
        gpu, cpu = timed(on_gpu, arguments.queries), timed(on_cpu, arguments.queries)
        row = {"share": share, "gpu_ms": gpu, "cpu_ms": cpu, "cpu_recall@10": round(found / K / len(asked), 3)}
        print(json.dumps(row), flush=True)
    batch = asked[:64]
    p50_ms, _ = timed(lambda: (held @ batch.T).topk(K, 0).indices.cpu(), 20)
    print(json.dumps({"gpu_ms_a_query_of_64": round(p50_ms / len(batch), 3), "gpu": torch.cuda.get_device_name()}))


if __name__ == "__main__":
    main()
