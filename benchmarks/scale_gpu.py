"""Ten million vectors from end to end: our store on the CPU beside exact search on a GPU, by torch and by FAISS.

    python -m benchmarks.scale_gpu --rows 10000000 --folder /some/empty/folder

Needs torch with CUDA and FAISS, of which faiss-gpu answers on the GPU too. Vectors as in benchmarks.scale, made on the
GPU. What takes longer than --write-s to write is left out, and the rest measured.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch

from benchmarks.scale import DIM, FRAMES_A_MEDIUM, FRAMES_A_SCENE, MODELS, SHARES, TOPICS, K, held_mb, kept
from data.store.base import Condition, FileRow, Filter, MediaRows
from data.store.lance import create_or_open, open_reader
from data.types import MediaInfo, Segment

TOGETHER = 100  # queries at once
MEDIA_AT_ONCE = 64
STEP_ROWS = 500_000


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
    for start in range(0, rows, STEP_ROWS):
        some = min(STEP_ROWS, rows - start)
        out[start : start + some] = made(some // FRAMES_A_SCENE, FRAMES_A_SCENE)
    return out, asked


def timed(call: Callable[[int], Any], turns: int) -> tuple[float, float]:
    """(p50, p95) in milliseconds."""
    took_ms = []
    for turn in range(turns):
        started = time.perf_counter()
        call(turn)
        took_ms.append((time.perf_counter() - started) * 1000)
    return round(float(np.percentile(took_ms[2:], 50)), 2), round(float(np.percentile(took_ms[2:], 95)), 2)


def nearest_true(held: torch.Tensor, query: torch.Tensor, mask: torch.Tensor) -> list[int]:
    near = (held @ query).masked_fill_(~mask, -2).topk(40 * K).indices  # in halves: nearly sorted
    return near[(held[near].float() @ query.float()).topk(K).indices].tolist()


def on_gpu(held: torch.Tensor, asked: torch.Tensor) -> None:
    """One query and TOGETHER, from and to the host: torch's product, FAISS flat and FAISS lists, all in halves."""
    questions, everything = asked.float().cpu(), torch.ones(len(held), dtype=torch.bool, device="cuda")
    truth = [nearest_true(held, query, everything) for query in asked]

    def torch_flat(queries: np.ndarray) -> np.ndarray:
        return (held @ torch.from_numpy(queries).cuda().half().T).topk(K, 0).indices.T.cpu().numpy()

    systems: dict[str, Callable[[np.ndarray], np.ndarray]] = {"torch": torch_flat}
    build_s = {"torch": 0.0}
    if hasattr(faiss, "StandardGpuResources"):
        resources = faiss.StandardGpuResources()
        flat = faiss.GpuIndexFlatConfig()
        flat.useFloat16 = True
        n_lists, metric = round(len(held) ** 0.5), faiss.METRIC_INNER_PRODUCT
        for name, index in (
            ("faiss-gpu flat", faiss.GpuIndexFlatIP(resources, DIM, flat)),
            (
                f"faiss-gpu IVF{n_lists},SQfp16",
                faiss.GpuIndexIVFScalarQuantizer(resources, DIM, n_lists, faiss.ScalarQuantizer.QT_fp16, metric, False),
            ),
        ):
            started = time.perf_counter()
            if not index.is_trained:
                index.train(held[:: max(1, len(held) // (64 * n_lists))].float().cpu().numpy())
                index.nprobe = 64
            for start in range(0, len(held), STEP_ROWS):
                index.add(held[start : start + STEP_ROWS].float().cpu().numpy())
            build_s[name] = round(time.perf_counter() - started, 1)
            systems[name] = lambda queries, index=index: index.search(queries, K)[1]
    single, batch = questions.numpy(), questions.repeat(TOGETHER // len(questions) + 1, 1)[:TOGETHER].numpy()
    for name, search in systems.items():
        found = sum(len(set(true) & set(rows)) for true, rows in zip(truth, search(single).tolist(), strict=True))
        row = {"gpu": name, "rows": len(held), "recall@10": round(found / K / len(truth), 3), "build_s": build_s[name]}
        row["one_ms"] = timed(lambda turn, search=search: search(single[turn % len(single)][None]), 60)
        row["together_ms"] = timed(lambda _, search=search: search(batch), 12)
        print(json.dumps(row), flush=True)


def write(folder: Path, held: torch.Tensor, write_s: float) -> int:
    """Write our library; returns the media written."""
    n_media, started = len(held) // FRAMES_A_MEDIUM, time.perf_counter()
    times_s, of_frame = np.arange(FRAMES_A_MEDIUM) / 2, np.zeros(FRAMES_A_MEDIUM, np.int32)
    info = MediaInfo("video", 640, 360, FRAMES_A_MEDIUM / 2, "mp4", "h264")
    with create_or_open(folder / "library", MODELS, profile="synthetic") as store:
        done = 0
        while done < n_media and time.perf_counter() - started < write_s:
            batch = []
            some = held[done * FRAMES_A_MEDIUM : (done + MEDIA_AT_ONCE) * FRAMES_A_MEDIUM].cpu().numpy()
            for i, vectors in enumerate(some.reshape(-1, FRAMES_A_MEDIUM, DIM), done):
                row = FileRow(f"/films/{i}.mp4", f"{i:040x}", 1, 1, 1, i)
                fields = {f"share{share}": True for share in SHARES if kept(n_media, share)[i]}
                segments = [Segment(row.media_id, 0, 0.0, FRAMES_A_MEDIUM / 2)]
                batch.append(
                    MediaRows(
                        row.media_id, info, 1, times_s, of_frame, segments, {"joint": vectors}, row, fields=fields
                    )
                )  # fmt: skip
            store.add(batch)
            done += len(batch)
        written_s = time.perf_counter() - started
    row = {"rows": done * FRAMES_A_MEDIUM, "write_s": round(written_s, 1)}
    row |= {"rest_of_index_s": round(time.perf_counter() - started - written_s, 1), "memory_mb": held_mb()}
    print(json.dumps(row), flush=True)
    return done


def on_cpu(folder: Path, held: torch.Tensor, asked: torch.Tensor, n_media: int) -> None:
    store, questions = open_reader(folder / "library"), asked.float().cpu().numpy()
    parts = [len(index.vectors) for index in store._open_indices("joint")]
    print(json.dumps({"parts": parts, "size_mb": store.stats().size_on_disk_bytes >> 20}), flush=True)
    for share in SHARES:
        where = Filter() if share == 1 else Filter(conditions=(Condition(f"share{share}", "=", True),))
        mask = torch.from_numpy(np.repeat(kept(len(held) // FRAMES_A_MEDIUM, share), FRAMES_A_MEDIUM)).cuda()
        mask[n_media * FRAMES_A_MEDIUM :] = False
        said: list[list[int]] = []

        def search(turn: int, where: Filter = where, said: list[list[int]] = said) -> None:
            hits = store.search_vectors("joint", questions[turn % len(questions)], K, where)
            said.append([int(hit.media_id, 16) * FRAMES_A_MEDIUM + round((hit.time_s or 0) * 2) for hit in hits])

        took_ms = timed(search, 2 * len(questions))
        found = sum(len(set(nearest_true(held, q, mask)) & set(rows)) for q, rows in zip(asked, said, strict=False))
        row = {"cpu": "second sight", "share": share, "recall@10": round(found / K / len(asked), 3), "ms": took_ms}
        print(json.dumps(row | {"memory_mb": held_mb()}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--write-s", type=float, default=1e9)
    arguments = parser.parse_args()
    n_media = arguments.rows // FRAMES_A_MEDIUM
    held, asked = vectors_of(n_media * FRAMES_A_MEDIUM, arguments.queries)
    on_gpu(held, asked)
    on_cpu(arguments.folder, held, asked, write(arguments.folder, held, arguments.write_s))


if __name__ == "__main__":
    main()
