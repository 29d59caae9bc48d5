"""A memory-mapped copy of one channel's vectors with a FAISS index over it, for libraries too large for memory.

LanceDB stays the truth: the copy is made from it by the writer, put in place by one rename, and says which editions it
holds (see data.store.rows). Media written since are searched beside it, media gone since are passed over, so that an
answer is never stale; a new copy is made when the difference has grown.

The index holds RaBitQ codes (Gao and Long 2024) in inverted lists: 82 bytes for a vector of 512, nothing to train but
the lists. What it finds is compared again with the vectors themselves. Figures: docs/store.md.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data.store.resident import Nearest, Rows, nearest, nearest_held

EXACT_ROWS = 20_000  # so many rows or fewer are compared one by one: quicker than, or as quick as, the lists
PROBED = 64  # lists looked at, when all rows may be returned
REFINED = 4  # candidates compared exactly for each row wanted
LEAST_REFINED = 400
TRAINING_ROWS_A_LIST = 64
CHUNK_ROWS = 32_768
MOST_OUTSIDE_BYTES = 512 * 2**20  # vectors written since the copy was made, held in memory

_NAME = re.compile(r"(\d{12})")
_PARTS = ("editions", "offsets", "time_s", "segment", "vectors")

Batch = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.int32], npt.NDArray[np.float16]]


def installed() -> bool:
    """Whether FAISS is there; it comes with secondsight[faiss] or secondsight[faiss-gpu]."""
    from importlib.util import find_spec

    return find_spec("faiss") is not None


def _faiss() -> Any:
    import faiss

    return faiss


@contextmanager
def _one_thread() -> Iterator[None]:
    """One query gives further threads nothing to do, and waiting for them took 40 ms on a machine with other work."""
    before = _faiss().omp_get_max_threads()
    _faiss().omp_set_num_threads(1)
    try:
        yield
    finally:
        _faiss().omp_set_num_threads(before)


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """One copy, open.

    Attributes:
        path: its folder.
        editions: (m,) int64, rising.
        offsets: (m + 1,) rows of edition i are offsets[i]:offsets[i + 1], in order of time.
        time_s, segment: (n,) of each row.
        vectors: (n, dim) float16, memory-mapped.
        lists: the FAISS index; its ids are rows.
    """

    path: Path
    editions: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    time_s: npt.NDArray[np.float64]
    segment: npt.NDArray[np.int32]
    vectors: npt.NDArray[np.float16]
    lists: Any = field(repr=False)

    def search(
        self, query: npt.NDArray[np.float32], k: int, allowed: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
        """Rows of the k largest dot products, best first, and the products; fewer only when no more are allowed.

        Args:
            query: (dim,).
            allowed: (m,) editions whose rows may be returned.
        """
        with _one_thread():
            return self._search(query, k, allowed)

    def _search(
        self, query: npt.NDArray[np.float32], k: int, allowed: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
        counts = np.diff(self.offsets)
        n_allowed, n = int(counts[allowed].sum()), len(self.vectors)
        refined = max(LEAST_REFINED, REFINED * k)
        if n_allowed <= max(EXACT_ROWS, 2 * refined):
            return self._exact(query, k, allowed)
        rows = self._candidates(query, refined, None if n_allowed == n else np.repeat(allowed, counts), n_allowed / n)
        if len(rows) < k:
            return self._exact(query, k, allowed)
        best, scores = nearest(self.vectors[rows].astype(np.float32), query, k, None)
        return rows[best], scores

    def _candidates(
        self, query: npt.NDArray[np.float32], count: int, keep: npt.NDArray[np.bool_] | None, share: float
    ) -> npt.NDArray[np.intp]:
        # The fewer rows of a list may be returned, the farther away the nearest of them lie.
        probed = min(self.lists.nlist, round(PROBED / np.sqrt(share)))
        options: dict[str, Any] = {"nprobe": probed}
        if keep is not None:
            bits = np.packbits(keep, bitorder="little")
            options["sel"] = _faiss().IDSelectorBitmap(bits)
        _, rows = self.lists.search(query[None], count, params=_faiss().SearchParametersIVF(**options))
        return np.sort(rows[0][rows[0] >= 0])

    def _exact(
        self, query: npt.NDArray[np.float32], k: int, allowed: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
        rows = np.flatnonzero(np.repeat(allowed, np.diff(self.offsets)))
        found, scores = [np.empty(0, np.intp)], [np.empty(0, np.float32)]
        for start in range(0, len(rows), CHUNK_ROWS):
            some = rows[start : start + CHUNK_ROWS]
            # Its codes are these very halves; numpy takes ten times as long to widen them as FAISS to multiply them.
            flat = _faiss().IndexScalarQuantizer(len(query), _faiss().ScalarQuantizer.QT_fp16, self.lists.metric_type)
            flat.add_sa_codes(self.vectors[some].view(np.uint8))
            products, places = flat.search(query[None], min(k, len(some)))
            found.append(some[places[0]])
            scores.append(products[0])
        all_rows, all_scores = np.concatenate(found), np.concatenate(scores)
        best = np.lexsort((all_rows, -all_scores))[:k]
        return all_rows[best], all_scores[best]

    def of(self, edition: int) -> tuple[npt.NDArray[Any], ...] | None:
        """Times, segments and float32 vectors of one edition; None when it is not among these."""
        place = int(np.searchsorted(self.editions, edition))
        if place == len(self.editions) or self.editions[place] != edition:
            return None
        rows = slice(self.offsets[place], self.offsets[place + 1])
        return np.array(self.time_s[rows]), np.array(self.segment[rows]), self.vectors[rows].astype(np.float32)

    def places(self, editions: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
        """(len(editions),) where each stands in `self.editions`; -1 for one that is not there."""
        found = np.searchsorted(self.editions, editions)
        there = np.append(self.editions, -1)[found] == editions
        return np.where(there, found, -1)


def nearest_indexed(
    index: VectorIndex,
    outside: Rows,
    column: str,
    editions: npt.NDArray[np.int64],
    query: npt.NDArray[np.float32],
    k: int,
    allowed: npt.NDArray[np.bool_],
) -> Nearest:
    """The k nearest among what the index holds of some editions and, exactly, what it does not.

    Args:
        outside: all rows of the editions that are not in the index; column: its vectors.
        editions, allowed: (m,) all that are in force, and which may be returned.
    """
    places = index.places(editions)
    there = places >= 0
    let = np.zeros(len(index.editions), dtype=bool)
    let[places[there & allowed]] = True
    rows, scores = index.search(query, k, let)
    found = index.editions[np.searchsorted(index.offsets, rows, side="right") - 1]
    beside, times_s, beside_scores = nearest_held(outside, column, query, k, allowed[~there])
    media_rows = np.concatenate([np.searchsorted(editions, found), np.flatnonzero(~there)[beside]])
    times_s, scores = np.concatenate([index.time_s[rows], times_s]), np.concatenate([scores, beside_scores])
    best = np.argsort(-scores, kind="stable")[:k]
    return media_rows[best], times_s[best], scores[best]


def newest(folder: Path) -> Path | None:
    """The copy in force below `folder`; None when there is none."""
    try:
        names = [name for name in os.listdir(folder) if _NAME.fullmatch(name)]
    except OSError:
        return None
    return folder / max(names) if names else None


def open_index(path: Path) -> VectorIndex:
    """Open the copy at `path`; nothing but its small parts is read.

    Raises:
        OSError, ValueError, RuntimeError: a part is missing or is none.
    """
    parts = [np.load(path / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in _PARTS]
    editions, offsets, time_s, segment, vectors = parts
    lists = _faiss().read_index(str(path / "lists.faiss"), _faiss().IO_FLAG_MMAP_IFC)
    n = len(vectors)
    if not (len(offsets) == len(editions) + 1 and offsets[-1] == len(time_s) == len(segment) == n == lists.ntotal):
        raise ValueError(f"the parts of {path.name} do not fit together")
    return VectorIndex(path, np.array(editions), np.array(offsets), time_s, segment, vectors, lists)


def build(
    folder: Path,
    editions: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
    dim: int,
    batches: Callable[[], Iterator[Batch]],
) -> bool:
    """Make a copy below `folder` and put it in force; the one before stays with whoever has it open.

    Args:
        editions, counts: (m,) what is wanted, rising, and the rows of each.
        batches: of (edition, time_s, segment, vectors) of rows, in which each edition is in order of time; rows of
            other editions are passed over.

    Returns:
        False when rows are missing, and nothing was put in force.
    """
    before = newest(folder)
    name = f"{int(before.name) + 1 if before else 1:012}"
    making = folder / "making"
    if making.exists():
        shutil.rmtree(making)
    making.mkdir(parents=True)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    n = int(offsets[-1])
    vectors = np.lib.format.open_memmap(making / "vectors.npy", "w+", np.float16, (n, dim))
    time_s, segment = np.empty(n), np.empty(n, np.int32)
    filled = offsets[:-1].copy()
    for of_row, times, segments, values in batches():
        place = np.searchsorted(editions, of_row)
        kept = np.flatnonzero(np.append(editions, -1)[place] == of_row)
        order = kept[np.argsort(place[kept], kind="stable")]
        here, starts, sizes = np.unique(place[order], return_index=True, return_counts=True)
        if (filled[here] + sizes > offsets[here + 1]).any():
            return False
        rows = np.repeat(filled[here] - starts, sizes) + np.arange(len(order))
        time_s[rows], segment[rows], vectors[rows] = times[order], segments[order], values[order]
        filled[here] += sizes
    if not np.array_equal(filled, offsets[1:]):
        return False
    lists = _lists(vectors)
    _faiss().write_index(lists, str(making / "lists.faiss"))
    vectors.flush()
    for part, array in (("editions", editions), ("offsets", offsets), ("time_s", time_s), ("segment", segment)):
        np.save(making / f"{part}.npy", array, allow_pickle=False)
    os.rename(making, folder / name)
    if before is not None:
        shutil.rmtree(before, ignore_errors=True)
    return True


def _lists(vectors: npt.NDArray[np.float16]) -> Any:
    """The trained and filled index: about sqrt(n) lists, as FAISS's guidelines have it."""
    n, dim = vectors.shape
    wanted = max(1, min(round(n**0.5), n // 40))
    lists = _faiss().index_factory(dim, f"IVF{wanted},RaBitQ", _faiss().METRIC_INNER_PRODUCT)
    lists.cp.niter, lists.cp.min_points_per_centroid = 10, 1
    some = np.linspace(0, n - 1, min(n, TRAINING_ROWS_A_LIST * wanted)).astype(np.intp)
    lists.train(vectors[np.unique(some)].astype(np.float32))
    for start in range(0, n, CHUNK_ROWS):
        lists.add(vectors[start : start + CHUNK_ROWS].astype(np.float32))
    return lists
