"""A large library beside the libraries it is made of: our store, raw FAISS and raw LanceDB over the same vectors.

    python -m benchmarks.scale --rows 1000000 --folder /some/empty/folder

The vectors are synthetic: topics, scenes within topics, frames within scenes, all Gaussian, so that near and far exist
as they do in footage (uniformly random vectors have no neighbours, and are the worst case of every index). With --steep
they differ more along some axes than along others, as those of image models do: by one over the root of the axis. The
queries are frames of scenes that the library does not hold. Truth is the exact product over the stored float16 vectors.
Each system runs in a process of its own; the systems answer in turn, a few queries each, so that whatever else the
machine does meets all alike; the time of the processor (cpu_ms, of all threads) does not depend on that. All look at
as many lists, and compare as many candidates again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data.store.lists import PROBED, REFINED_BY_ROOT

DIM = 512
FRAMES_A_MEDIUM = 500
FRAMES_A_SCENE = 10
TOPICS = 1000
K = 10
SHARES = (1.0, 0.1, 0.01)  # of the media that a filter lets through
MODELS = {"joint": {"name": "synthetic", "revision": "1", "dim": DIM, "metric": "cosine", "preprocessing": ""}}
WARM_UP, IN_TURN = 200, 10  # queries; before, others, since a mapped file costs more when it is met first
EF_SEARCH = 256  # of HNSW
Search = Callable[[npt.NDArray[np.float32], float], Sequence[int]]

_search: Search  # of this process


@cache
def topics() -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((TOPICS, DIM), dtype=np.float32)


def scenes(rng: np.random.Generator, count: int) -> npt.NDArray[np.float32]:
    """(count, DIM) middles of scenes: their topic, and as much again of their own."""
    return topics()[rng.integers(0, TOPICS, count)] + 0.8 * rng.standard_normal((count, DIM), dtype=np.float32)


def frames(
    rng: np.random.Generator, middles: npt.NDArray[np.float32], each: int, steep: bool
) -> npt.NDArray[np.float32]:
    """(len(middles) * each, DIM) unit vectors of frames."""
    vectors = np.repeat(middles, each, axis=0)
    vectors += 0.5 * rng.standard_normal(vectors.shape, dtype=np.float32)
    if steep:
        vectors *= np.arange(1, DIM + 1, dtype=np.float32) ** -0.5
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def medium(i: int, steep: bool = False) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng([1, i])
    return frames(rng, scenes(rng, FRAMES_A_MEDIUM // FRAMES_A_SCENE), FRAMES_A_SCENE, steep)


def questions(count: int, steep: bool = False, seed: int = 2) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return frames(rng, scenes(rng, count), 1, steep)


def kept(n_media: int, share: float) -> npt.NDArray[np.bool_]:
    """(n_media,) which of them a filter lets through: spread evenly."""
    return np.arange(n_media) % round(1 / share) == 0


def make(folder: Path, n_media: int, n_queries: int, steep: bool) -> dict[str, Any]:
    """Write our library and, on the way, the truth: the K best rows and products for each share and query."""
    from data.store.base import FileRow, MediaRows
    from data.store.lance import create_or_open
    from data.types import MediaInfo, Segment

    asked = questions(n_queries, steep)
    best = {share: (np.full((n_queries, K), -2, np.float32), np.zeros((n_queries, K), np.int64)) for share in SHARES}
    writing_s = 0.0
    store = create_or_open(folder / "library", MODELS, profile="synthetic")
    for start in range(0, n_media, 50):
        batch = []
        for i in range(start, min(start + 50, n_media)):
            vectors = medium(i, steep)
            exact = vectors.astype(np.float16).astype(np.float32)
            products = asked @ exact.T
            for share, (scores, rows) in best.items():
                if kept(n_media, share)[i]:
                    both = np.concatenate([scores, products], axis=1)
                    order = np.argpartition(-both, K, axis=1)[:, :K]
                    here = np.broadcast_to(i * FRAMES_A_MEDIUM + np.arange(len(vectors)), products.shape)
                    rows[:] = np.take_along_axis(np.concatenate([rows, here], axis=1), order, axis=1)
                    scores[:] = np.take_along_axis(both, order, axis=1)
            times_s = np.arange(FRAMES_A_MEDIUM) / 2
            info = MediaInfo("video", 640, 360, FRAMES_A_MEDIUM / 2, "mp4", "h264")
            row = FileRow(f"/films/{i}.mp4", f"{i:040x}", 1, 1, 1, i)
            of_frame = np.zeros(FRAMES_A_MEDIUM, np.int32)
            segments = [Segment(row.media_id, 0, 0.0, FRAMES_A_MEDIUM / 2)]
            fields = {f"share{share}": True for share in SHARES if kept(n_media, share)[i]}
            batch.append(
                MediaRows(
                    row.media_id, info, 1, times_s, of_frame, segments, {"joint": vectors}, row, fields=fields
                )
            )  # fmt: skip
        started = time.perf_counter()
        store.add(batch)
        writing_s += time.perf_counter() - started
    np.savez(folder / "truth.npz", **{str(share): rows for share, (_, rows) in best.items()})
    started = time.perf_counter()
    store.close()
    return {"write_s": round(writing_s, 1), "build_s": round(time.perf_counter() - started, 1)}


def open_system(system: str, folder: Path, n_media: int) -> float | None:
    """Make or open one system in this process; returns how long its index took to build, where it was built here."""
    global _search
    if system == "second sight":
        _search, build_s = ours(folder), None
    elif system.startswith("lancedb"):
        _search, build_s = raw_lance(folder, n_media)
    else:
        _search, build_s = raw_faiss(folder, n_media, system.removeprefix("faiss "))
    return build_s


def ask(share: float, queries: npt.NDArray[np.float32]) -> list[tuple[float, float, list[int]]]:
    """(milliseconds, milliseconds of the processor, rows) of each query."""
    out = []
    for query in queries:
        started, worked = time.perf_counter(), time.process_time()
        rows = list(map(int, _search(query, share)))
        out.append(((time.perf_counter() - started) * 1000, (time.process_time() - worked) * 1000, rows))
    return out


def held_mb() -> int:
    """Memory of this process that is not a mapped file, in MB."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["RssAnon"].split()[0]) // 1024


def ours(folder: Path) -> Search:
    from data.store.base import Condition, Filter
    from data.store.lance import open_reader

    store = open_reader(folder / "library")

    def search(query: npt.NDArray[np.float32], share: float) -> list[int]:
        where = Filter() if share == 1 else Filter(conditions=(Condition(f"share{share}", "=", True),))
        hits = store.search_vectors("joint", query, K, where)
        return [int(hit.media_id, 16) * FRAMES_A_MEDIUM + round((hit.time_s or 0) * 2) for hit in hits]

    return search


def raw_faiss(folder: Path, n_media: int, kind: str) -> tuple[Search, float | None]:
    """kind: a factory string."""
    import faiss

    # Names of parts rise as their rows do.
    parts = [np.load(path, mmap_mode="r") for path in sorted((folder / "library").rglob("vectors.npy"))]
    n = sum(len(part) for part in parts)
    refined = round(REFINED_BY_ROOT * n**0.5)
    started = time.perf_counter()
    index = faiss.index_factory(DIM, kind, faiss.METRIC_INNER_PRODUCT)
    index.train(np.concatenate([part[:: max(1, round(n**0.5) // 64)] for part in parts]).astype(np.float32))
    for part in parts:
        for start in range(0, len(part), 32_768):
            index.add(part[start : start + 32_768].astype(np.float32))
    build_s = time.perf_counter() - started
    faiss.omp_set_num_threads(1)  # as ours: for one query more threads only wait
    bits = {share: np.packbits(np.repeat(kept(n_media, share), FRAMES_A_MEDIUM), bitorder="little") for share in SHARES}

    def search(query: npt.NDArray[np.float32], share: float) -> Sequence[int]:
        selector = None if share == 1 else faiss.IDSelectorBitmap(bits[share])
        if kind.startswith("IVF"):
            options = faiss.SearchParametersIVF(nprobe=PROBED, sel=selector)
        elif kind.startswith("HNSW"):
            options = faiss.SearchParametersHNSW(efSearch=EF_SEARCH, sel=selector)
        else:
            options = faiss.SearchParameters(sel=selector)
        if "Refine" in kind:
            options = faiss.IndexRefineSearchParameters(k_factor=refined / K, base_index_params=options)
        return index.search(query[None], K, params=options)[1][0]

    return search, build_s


def raw_lance(folder: Path, n_media: int) -> tuple[Search, float | None]:
    """LanceDB's own vector index over the same table, and a B-tree under the filter."""
    import lancedb
    from lancedb.index import BTree, IvfRq

    table = lancedb.connect(str(folder / "library" / "tables")).open_table("frames")
    refined = round(REFINED_BY_ROOT * table.count_rows() ** 0.5)
    build_s = None
    if "vec_joint_idx" not in {index.name for index in table.list_indices()}:
        started = time.perf_counter()
        table.create_index("vec_joint", config=IvfRq(distance_type="dot"))
        table.create_index("edition", config=BTree())
        build_s = time.perf_counter() - started
    editions = np.unique(table.search().select(["edition"]).to_arrow()["edition"].to_numpy())
    filters = {
        share: f"edition IN ({', '.join(map(str, editions[kept(n_media, share)].tolist()))})" for share in SHARES[1:]
    }

    def search(query: npt.NDArray[np.float32], share: float) -> list[int]:
        asked = table.search(query.astype(np.float16), vector_column_name="vec_joint").distance_type("dot")
        asked = asked.nprobes(PROBED).refine_factor(refined // K).limit(K).select(["edition", "time_s", "_distance"])
        if share < 1:
            asked = asked.where(filters[share], prefilter=True)
        found = asked.to_arrow()
        places = np.searchsorted(editions, found["edition"].to_numpy())
        return (places * FRAMES_A_MEDIUM + np.round(found["time_s"].to_numpy() * 2).astype(int)).tolist()

    return search, build_s


def process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--folder", type=Path, required=True, help="kept, and used again")
    parser.add_argument("--systems", nargs="+", help="by default ours and four others; FAISS's are factory strings")
    parser.add_argument("--steep", action="store_true", help="vectors that differ more along some axes")
    arguments = parser.parse_args()
    folder, n_media = arguments.folder, arguments.rows // FRAMES_A_MEDIUM
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "truth.npz").exists():
        shutil.rmtree(folder / "library", ignore_errors=True)
        with process() as pool:
            print(
                json.dumps(pool.submit(make, folder, n_media, arguments.queries, arguments.steep).result()), flush=True
            )
    lists = round((n_media * FRAMES_A_MEDIUM) ** 0.5)
    kinds = ("SQfp16", f"IVF{lists},SQfp16", f"IVF{lists},RaBitQ,Refine(SQfp16)")
    names = arguments.systems or ["second sight", *(f"faiss {kind}" for kind in kinds), "lancedb IVF_RQ"]
    pools, build_s = {name: process() for name in names}, {}
    for name, pool in pools.items():
        build_s[name] = pool.submit(open_system, name, folder, n_media).result()
        print(f"{name}: open", file=sys.stderr, flush=True)
    asked, truth = questions(arguments.queries, arguments.steep), np.load(folder / "truth.npz")
    others = questions(WARM_UP, arguments.steep, seed=3)
    for share in SHARES:
        said: dict[str, list[tuple[float, float, list[int]]]] = {name: [] for name in names}
        for pool in pools.values():
            pool.submit(ask, share, others if share == 1 else others[:IN_TURN]).result()
        for start in range(0, len(asked), IN_TURN):
            for name, pool in pools.items():
                said[name] += pool.submit(ask, share, asked[start : start + IN_TURN]).result()
        for name, answers in said.items():
            p50, p95 = np.percentile([took_ms for took_ms, _, _ in answers], (50, 95))
            cpu_ms = np.median([worked_ms for _, worked_ms, _ in answers])
            found = sum(
                len(set(ours) & set(true)) for (_, _, ours), true in zip(answers, truth[str(share)], strict=True)
            )
            row = {"system": name, "share": share, "recall@10": round(found / (K * len(asked)), 3)}
            row |= {"p50_ms": round(p50, 2), "p95_ms": round(p95, 2), "cpu_ms": round(cpu_ms, 2)}
            row |= {"memory_mb": pools[name].submit(held_mb).result()}
            print(json.dumps(row | {"build_s": build_s[name] and round(build_s[name])}), flush=True)
    for pool in pools.values():
        pool.shutdown()


if __name__ == "__main__":
    main()
