"""Ten million vectors: exact search on a GPU, by torch and by FAISS, and a library of ours for benchmarks.scale.

    python -m benchmarks.scale_gpu --rows 10000000 --folder /some/empty/folder
    python -m benchmarks.scale --rows 10000000 --queries 100 --folder /the/same/folder --systems "second sight"

Needs torch with CUDA and FAISS, of which faiss-gpu answers on the GPU too. Vectors as in benchmarks.scale, and the
truth, are made on the GPU.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch

from benchmarks.scale import DIM, FRAMES_A_MEDIUM, FRAMES_A_SCENE, MODELS, SHARES, TOPICS, K, kept, questions, topics
from data.store.base import FileRow, MediaRows
from data.store.create import size_bytes
from data.store.lance import create_or_open
from data.types import MediaInfo, Segment

TOGETHER = 100  # queries at once
MEDIA_AT_ONCE = 256
STEP_ROWS = 500_000


def vectors_of(rows: int) -> torch.Tensor:
    """(rows, DIM) float16 of frames."""
    torch.manual_seed(0)
    middles = torch.from_numpy(topics()).cuda()
    out = torch.empty(rows, DIM, dtype=torch.half, device="cuda")
    for start in range(0, rows, STEP_ROWS):
        some = min(STEP_ROWS, rows - start)
        of = middles[torch.randint(TOPICS, (some // FRAMES_A_SCENE,), device="cuda")]
        made = (of + 0.8 * torch.randn_like(of)).repeat_interleave(FRAMES_A_SCENE, 0)
        made += 0.5 * torch.randn_like(made)
        out[start : start + some] = torch.nn.functional.normalize(made).half()
    return out


def timed(call: Callable[[int], Any], turns: int) -> tuple[float, float]:
    """(p50, p95) in milliseconds."""
    took_ms = []
    for turn in range(turns):
        started = time.perf_counter()
        call(turn)
        took_ms.append((time.perf_counter() - started) * 1000)
    return round(float(np.percentile(took_ms[2:], 50)), 2), round(float(np.percentile(took_ms[2:], 95)), 2)


def nearest_true(held: torch.Tensor, query: torch.Tensor, mask: torch.Tensor) -> list[int]:
    near = (held @ query.half()).masked_fill_(~mask, -2).topk(40 * K).indices  # in halves: nearly sorted
    return near[(held[near].float() @ query).topk(K).indices].tolist()


def on_gpu(held: torch.Tensor, asked: torch.Tensor, truth: Sequence[list[int]]) -> None:
    """One query and TOGETHER, from and to the host: torch's product, FAISS flat and FAISS lists, all in halves."""

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
    single, batch = asked.numpy(), asked.repeat(TOGETHER // len(asked) + 1, 1)[:TOGETHER].numpy()
    for name, search in systems.items():
        found = sum(len(set(true) & set(rows)) for true, rows in zip(truth, search(single).tolist(), strict=True))
        row = {"gpu": name, "rows": len(held), "recall@10": round(found / K / len(truth), 3), "build_s": build_s[name]}
        row["one_ms"] = timed(lambda turn, search=search: search(single[turn % len(single)][None]), 60)
        row["together_ms"] = timed(lambda _, search=search: search(batch), 12)
        print(json.dumps(row), flush=True)


def write(folder: Path, held: torch.Tensor) -> None:
    """Write our library and the truth as benchmarks.scale does."""
    n_media, started = len(held) // FRAMES_A_MEDIUM, time.perf_counter()
    times_s, of_frame = np.arange(FRAMES_A_MEDIUM) / 2, np.zeros(FRAMES_A_MEDIUM, np.int32)
    info = MediaInfo("video", 640, 360, FRAMES_A_MEDIUM / 2, "mp4", "h264")
    with create_or_open(folder / "library", MODELS, profile="synthetic", bulk=True) as store:
        for done in range(0, n_media, MEDIA_AT_ONCE):
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
        written_s = time.perf_counter() - started
    row = {"rows": len(held), "write_s": round(written_s, 1)}
    row |= {"index_s": round(time.perf_counter() - started - written_s, 1)}
    row |= {"size_mb": size_bytes(folder / "library") >> 20, "most_memory_mb": most_held_mb()}
    print(json.dumps(row), flush=True)


def most_held_mb() -> int:
    """The most memory that this process has had, mapped files and the host's side of the GPU included, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--folder", type=Path, required=True)
    arguments = parser.parse_args()
    n_media, folder = arguments.rows // FRAMES_A_MEDIUM, arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    held, asked = vectors_of(n_media * FRAMES_A_MEDIUM), torch.from_numpy(questions(arguments.queries)).cuda()
    truth = {}
    for share in SHARES:
        mask = torch.from_numpy(np.repeat(kept(n_media, share), FRAMES_A_MEDIUM)).cuda()
        truth[str(share)] = [nearest_true(held, query, mask) for query in asked]
    on_gpu(held, asked.cpu(), truth["1.0"])
    write(folder, held)
    np.savez(folder / "truth.npz", **{share: np.array(rows) for share, rows in truth.items()})


if __name__ == "__main__":
    main()
