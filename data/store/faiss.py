"""Memory-mapped copies of one channel's vectors with FAISS indices over them, for libraries too large for memory.

LanceDB stays the truth: a copy is made from it by the writer, put in place by one rename, and says which editions it
holds (see data.store.rows). Media written since are searched beside it, media gone since are passed over, so that an
answer is never stale. A library that grows gets further copies; as in a log-structured merge tree (O'Neil et al. 1996)
a copy is made anew together with those before it that are not much larger, so that there are few and each vector is
copied few times. A copy is named FIRST-LAST; one whose span lies within another's has been replaced by it.

The index holds RaBitQ codes (Gao and Long 2024) in inverted lists: 82 bytes for a vector of 512, nothing to train but
the lists. What it finds is compared again with the vectors themselves. Figures: docs/store.md.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data.store.resident import Media, Nearest, Rows, nearest_held

EXACT_ROWS = 20_000  # so many rows or fewer are compared one by one: quicker than, or as quick as, the lists
PROBED = 64  # lists looked at, when all rows may be returned
REFINED = 4  # candidates compared exactly for each row wanted
LEAST_REFINED = 400
REFINED_BY_ROOT = 0.6  # times the root of all rows: the more there are, the more of them look alike in their codes
TRAINING_ROWS_A_LIST = 64
CHUNK_ROWS = 32_768
EXACT_AT_ONCE = 1024
MOST_FILTERS = 8
MOST_OUTSIDE_BYTES = 512 * 2**20  # vectors written since the copy was made, held in memory

_NAME = re.compile(r"(\d{9})-(\d{9})")
_PARTS = ("editions", "offsets", "time_s", "segment", "vectors")

Batch = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.int32], npt.NDArray[np.float16]]


def installed() -> bool:
    """Whether FAISS is there; it comes with secondsight[faiss]."""
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


_memory = threading.local()


def _kept_memory(dim: int) -> tuple[npt.NDArray[np.float16], Any]:
    """Room for some vectors and a FAISS index that compares them, this thread's: memory that was given back and asked
    for again each time took twenty times as long as the products.

    The codes of the index are these very halves; numpy takes ten times as long to widen them as FAISS to multiply them.
    """
    kept: tuple[npt.NDArray[np.float16], Any] | None = getattr(_memory, "kept", None)
    if kept is None or kept[0].shape[1] != dim:
        quantizer, metric = _faiss().ScalarQuantizer.QT_fp16, _faiss().METRIC_INNER_PRODUCT
        flat = _faiss().IndexScalarQuantizer(dim, quantizer, metric)
        kept = _memory.kept = np.empty((EXACT_AT_ONCE, dim), np.float16), flat
    return kept


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
        filters: which rows the last filters let through.
    """

    path: Path
    editions: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    time_s: npt.NDArray[np.float64]
    segment: npt.NDArray[np.int32]
    vectors: npt.NDArray[np.float16]
    lists: Any = field(repr=False)
    filters: dict[bytes, npt.NDArray[np.uint8]] = field(default_factory=dict, repr=False)

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
        refined = max(LEAST_REFINED, REFINED * k, round(REFINED_BY_ROOT * n**0.5))
        if n_allowed <= max(EXACT_ROWS, 2 * refined):
            return self._compared(self._rows(allowed), query, k)
        rows = self._candidates(query, refined, None if n_allowed == n else allowed, n_allowed / n)
        return self._compared(rows if len(rows) >= k else self._rows(allowed), query, k)

    def _rows(self, allowed: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
        """All rows of the allowed editions."""
        starts, counts = self.offsets[:-1][allowed], np.diff(self.offsets)[allowed]
        ends = np.cumsum(counts)
        return np.repeat(starts - (ends - counts), counts) + np.arange(int(counts.sum()))

    def _candidates(
        self, query: npt.NDArray[np.float32], count: int, allowed: npt.NDArray[np.bool_] | None, share: float
    ) -> npt.NDArray[np.intp]:
        # The fewer rows of a list may be returned, the farther away the nearest of them lie.
        probed = min(self.lists.nlist, round(PROBED / np.sqrt(share)))
        options: dict[str, Any] = {"nprobe": probed}
        if allowed is not None:
            bits = self._bits(allowed)
            options["sel"] = _faiss().IDSelectorBitmap(bits)
        _, rows = self.lists.search(query[None], count, params=_faiss().SearchParametersIVF(**options))
        return np.sort(rows[0][rows[0] >= 0])

    def _bits(self, allowed: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
        """A bit for each row; those of the filters asked last are kept, since making them takes as long as a search."""
        key = allowed.tobytes()
        bits = self.filters.get(key)
        if bits is None:
            bits = np.packbits(np.repeat(allowed, np.diff(self.offsets)), bitorder="little")
            if len(self.filters) >= MOST_FILTERS:
                self.filters.clear()
            self.filters[key] = bits
        return bits

    def _compared(
        self, rows: npt.NDArray[np.intp], query: npt.NDArray[np.float32], k: int
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
        """The k nearest of `rows` by their vectors."""
        found, scores = [np.empty(0, np.intp)], [np.empty(0, np.float32)]
        piece, flat = _kept_memory(len(query))
        for start in range(0, len(rows), EXACT_AT_ONCE):
            some = rows[start : start + EXACT_AT_ONCE]
            halves = self.vectors.take(some, axis=0, out=piece[: len(some)], mode="clip")  # "raise" would copy twice
            flat.reset()
            flat.add_sa_codes(halves.view(np.uint8))
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


def places_of(index: VectorIndex, media: Media) -> npt.NDArray[np.intp]:
    """(m,) where the media stand in an index; looked up once for a state of the library."""
    places: npt.NDArray[np.intp] | None = media.facts.get(index.path)
    if places is None:
        places = media.facts[index.path] = index.places(media.editions)
    return places


def outside(parts: Sequence[VectorIndex], media: Media) -> npt.NDArray[np.bool_]:
    """(m,) which of the media no index holds."""
    out = np.ones(len(media.editions), dtype=bool)
    for index in parts:
        out &= places_of(index, media) < 0
    return out


def nearest_indexed(
    parts: Sequence[VectorIndex],
    places: Sequence[npt.NDArray[np.intp]],
    beside: Rows,
    column: str,
    editions: npt.NDArray[np.int64],
    query: npt.NDArray[np.float32],
    k: int,
    allowed: npt.NDArray[np.bool_],
) -> Nearest:
    """The k nearest among what the indices hold of some editions and, exactly, what they do not.

    Args:
        places: for each of the parts, where these editions stand in it (VectorIndex.places).
        beside: all rows of the editions that are in none; column: its vectors.
        editions, allowed: (m,) all that are in force, and which may be returned.
    """
    missing = np.ones(len(editions), dtype=bool)
    found = []
    for index, at in zip(parts, places, strict=True):
        there = at >= 0
        missing &= ~there
        let = np.zeros(len(index.editions), dtype=bool)
        let[at[there & allowed]] = True
        rows, scores = index.search(query, k, let)
        of_row = index.editions[np.searchsorted(index.offsets, rows, side="right") - 1]
        found.append((np.searchsorted(editions, of_row), index.time_s[rows], scores))
    rows, times_s, scores = nearest_held(beside, column, query, k, allowed[missing])
    found.append((np.flatnonzero(missing)[rows], times_s, scores))
    media_rows, times_s, scores = (np.concatenate(each) for each in zip(*found, strict=True))
    best = np.argsort(-scores, kind="stable")[:k]
    return media_rows[best], times_s[best], scores[best]


def in_force(folder: Path) -> list[Path]:
    """The copies in force below `folder`, oldest first."""
    try:
        spans = [found for name in os.listdir(folder) if (found := _NAME.fullmatch(name))]
    except OSError:
        return []
    paths, end = [], -1
    for first, minus_last, name in sorted((int(span[1]), -int(span[2]), span[0]) for span in spans):
        if -minus_last > end and first > end:
            paths.append(folder / name)
            end = -minus_last
    return paths


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
    kept: int,
    editions: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
    dim: int,
    batches: Callable[[], Iterator[Batch]],
) -> bool:
    """Make a copy below `folder` and put it in force; those it replaces stay with whoever has them open.

    Args:
        kept: how many of those in force, the oldest, stay so; the others are replaced.
        editions, counts: (m,) what is wanted, rising, and the rows of each.
        batches: of (edition, time_s, segment, vectors) of rows, in which each edition is in order of time; rows of
            other editions are passed over.

    Returns:
        False when rows are missing, and nothing was put in force.
    """
    before = in_force(folder)
    last = int(before[-1].name.partition("-")[2]) if before else 0
    first = int(before[kept].name.partition("-")[0]) if kept < len(before) else last + 1
    making = folder / "making"
    if making.exists():
        shutil.rmtree(making)
    making.mkdir(parents=True)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    n = int(offsets[-1])
    vectors = np.lib.format.open_memmap(making / "vectors.npy", "w+", np.float16, (n, dim))
    _reserve(making)
    time_s, segment = np.empty(n), np.empty(n, np.int32)
    filled = offsets[:-1].copy()
    for of_row, times, segments, values in batches():
        place = np.searchsorted(editions, of_row)
        known = np.flatnonzero(np.append(editions, -1)[place] == of_row)
        order = known[np.argsort(place[known], kind="stable")]
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
    os.rename(making, folder / f"{first:09}-{last + 1:09}")
    current = in_force(folder)
    for path in folder.iterdir():  # those replaced now, and what a kill left
        if path not in current:
            shutil.rmtree(path, ignore_errors=True)
    return True


def _reserve(making: Path) -> None:
    """Take the room of the mapped vectors at once: an error now, where a full disk met by a write through the mapping
    would end the process (SIGBUS)."""
    path = making / "vectors.npy"
    try:
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except AttributeError:  # macOS, Windows
        return
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.EOPNOTSUPP):  # this file system cannot
            return
        shutil.rmtree(making, ignore_errors=True)
        raise


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
