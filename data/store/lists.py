"""The nearest rows of memory-mapped copies of vectors: through inverted lists or row by row, whichever is less work.

The lists hold RaBitQ codes (Gao and Long 2024) of the vectors turned at random: 80 bytes for a vector of 512. Codes of
one bit a dimension tell as much of each dimension, which only turned vectors have in each. What the lists find is
compared again with the vectors themselves. A filter is known to the lists by a bit for each row and by how many rows of
each list it lets through, so that lists without any are passed over, and as many are looked at as hold enough.
Figures: docs/store.md.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

PROBED = 64  # times the root of a copy's rows are looked at, at least: so many lists
REFINED = 4  # candidates compared with their vectors for each row wanted
LEAST_REFINED = 400
REFINED_BY_ROOT = 0.6  # times the root of all rows: the more there are, the more of them look alike in their codes
SEEN = 16  # rows that may be returned, in the lists looked at, for each candidate
CODES_A_ROW = 6  # codes of lists that are looked at in the time in which one row is compared
PIECE_ROWS = 1024
RUN_ROWS = 64  # rows side by side that are compared where they lie; fewer are brought together first
MOST_FILTERS = 8

_memory = threading.local()


def faiss() -> Any:
    import faiss

    return faiss


@contextmanager
def _one_thread() -> Iterator[None]:
    """One query gives further threads nothing to do, and waiting for them took 40 ms on a machine with other work."""
    before = faiss().omp_get_max_threads()
    faiss().omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss().omp_set_num_threads(before)


def _products(rows: npt.NDArray[np.float32], query: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """`rows @ query` without numpy's threads, for which it waited 20 ms on a machine with other work."""
    out, pointer = np.empty(len(rows), np.float32), faiss().swig_ptr
    faiss().fvec_inner_products_ny(pointer(out), pointer(query), pointer(rows), len(query), len(rows))
    return out


def _tools(dim: int) -> tuple[npt.NDArray[np.float16], Any, Any]:
    """Room for some vectors, what compares halves with a query, and what that needs: this thread's.

    Asking for memory each time takes longer than filling it; FAISS leaves the scanner to whoever asked for it.
    """
    kept: tuple[npt.NDArray[np.float16], Any, Any] | None = getattr(_memory, "tools", None)
    if kept is None or kept[0].shape[1] != dim:
        halves = faiss().ScalarQuantizer(dim, faiss().ScalarQuantizer.QT_fp16)
        scanner = halves.select_InvertedListScanner(faiss().METRIC_INNER_PRODUCT, None, False, None, False)
        kept = _memory.tools = np.empty((PIECE_ROWS, dim), np.float16), scanner, halves
    return kept


@dataclass(frozen=True, slots=True)
class _Passed:
    """What a filter lets through.

    Attributes:
        bits: a bit for each row; None: all.
        of_list: (lists,) rows of each.
    """

    count: int
    bits: npt.NDArray[np.uint8] | None
    of_list: npt.NDArray[np.int64]


@dataclass(eq=False)
class VectorIndex:
    """One copy, open. Safe to share between threads.

    Attributes:
        path: its folder.
        editions: (m,) int64, rising.
        offsets: (m + 1,) rows of edition i are offsets[i]:offsets[i + 1], in order of time.
        time_s, segment: (n,) of each row.
        vectors: (n, dim) float16, memory-mapped.
        axes: (dim, dim) turned at random; the vectors in the lists are `vectors @ axes.T`.
        lists: the FAISS index; its ids are rows.
    """

    path: Path
    editions: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    time_s: npt.NDArray[np.float64]
    segment: npt.NDArray[np.int32]
    vectors: npt.NDArray[np.float16]
    axes: npt.NDArray[np.float32]
    lists: Any = field(repr=False)
    _filters: dict[bytes, _Passed] = field(default_factory=dict, init=False, repr=False)

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

    @cached_property
    def _middles(self) -> npt.NDArray[np.float32]:
        """(lists, dim)."""
        middles: npt.NDArray[np.float32] = self.lists.quantizer.reconstruct_n(0, self.lists.nlist)
        return middles

    @cached_property
    def _sizes(self) -> npt.NDArray[np.int64]:
        """(lists,) rows of each."""
        return np.array([self.lists.get_list_size(i) for i in range(self.lists.nlist)], np.int64)

    @cached_property
    def _list_of_row(self) -> npt.NDArray[np.uint16]:
        """(n,); with n lists for n * n rows, 16 bits do up to four thousand million."""
        out = np.empty(len(self.vectors), np.uint16)
        for i, size in enumerate(self._sizes.tolist()):
            if size:
                out[faiss().rev_swig_ptr(self.lists.invlists.get_ids(i), size)] = i
        return out

    def _passed(self, allowed: npt.NDArray[np.bool_]) -> _Passed:
        """Those of the filters asked last are kept, since making them takes longer than a search."""
        if allowed.all():
            return _Passed(len(self.vectors), None, self._sizes)
        key = allowed.tobytes()
        passed = self._filters.get(key)
        if passed is None:
            of_row = np.repeat(allowed, np.diff(self.offsets))
            count = int(of_row.sum())
            few = 2 * count <= len(of_row)
            of_list = np.bincount(self._list_of_row[of_row if few else ~of_row], minlength=self.lists.nlist)
            bits = np.packbits(of_row, bitorder="little")
            passed = _Passed(count, bits, of_list if few else self._sizes - of_list)
            if len(self._filters) >= MOST_FILTERS:
                self._filters.clear()
            self._filters[key] = passed
        return passed

    def _rows(self, allowed: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """All rows of the allowed editions."""
        starts, counts = self.offsets[:-1][allowed], np.diff(self.offsets)[allowed]
        ends = np.cumsum(counts)
        return np.repeat(starts - (ends - counts), counts) + np.arange(int(counts.sum()))


def nearest(
    parts: Sequence[VectorIndex], query: npt.NDArray[np.float32], k: int, allowed: Sequence[npt.NDArray[np.bool_]]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float32]]:
    """Editions, times and dot products of the k nearest rows of all copies, best first; fewer only when no more are
    allowed.

    The lists of all copies are ranked together, and as many candidates compared as of one copy of all rows. As many
    lists are looked at as if each copy were searched alone, wherever the nearest are: of fewer rows, lists tell less.

    Args:
        query: (dim,).
        allowed: for each of the copies (m,) of its editions whose rows may be returned.
    """
    query = np.ascontiguousarray(query)
    n = sum(len(index.vectors) for index in parts)
    refined = max(LEAST_REFINED, REFINED * k, round(REFINED_BY_ROOT * n**0.5))
    with _one_thread():
        passed = [index._passed(let) for index, let in zip(parts, allowed, strict=True)]
        turned = {id(axes): _products(axes, query) for axes in {id(index.axes): index.axes for index in parts}.values()}
        of_part = [turned[id(index.axes)] for index in parts]
        roots = sum(len(index.vectors) ** 0.5 for index in parts)
        near, looked_at = _near_lists(parts, of_part, passed, PROBED * roots, SEEN * refined * roots / n**0.5)
        rows = None
        if sum(each.count for each in passed) > refined + looked_at / CODES_A_ROW:
            rows = _candidates(parts, of_part, passed, near, refined)
        if rows is None or sum(map(len, rows)) < k:
            rows = [index._rows(let) for index, let in zip(parts, allowed, strict=True)]
        return _compared(parts, rows, query, k)


def _near_lists(
    parts: Sequence[VectorIndex],
    turned: Sequence[npt.NDArray[np.float32]],
    passed: Sequence[_Passed],
    least_rows: float,
    least_passed: float,
) -> tuple[list[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]], int]:
    """Of each copy the lists to look at and their middles' products, and the rows in them all: the nearest lists of all
    copies that hold so many rows, and so many that may be returned."""
    products = np.concatenate([_products(index._middles, of) for index, of in zip(parts, turned, strict=True)])
    may = np.concatenate([each.of_list for each in passed])
    order = np.argsort(-products)
    if any(each.bits is not None for each in passed):
        order = order[may[order] > 0]
    rows = np.cumsum(np.concatenate([index._sizes for index in parts])[order])
    count = 1 + max(
        int(np.searchsorted(rows, least_rows)), int(np.searchsorted(np.cumsum(may[order]), least_passed))
    )  # fmt: skip
    near, out, first = order[:count], [], 0
    for index in parts:  # best first, so that FAISS seldom has to put one candidate in another's place
        lists = near[(near >= first) & (near < first + index.lists.nlist)]
        out.append((lists - first, products[lists]))
        first += index.lists.nlist
    return out, int(rows[min(count, len(rows)) - 1]) if len(rows) else 0


def _candidates(
    parts: Sequence[VectorIndex],
    turned: Sequence[npt.NDArray[np.float32]],
    passed: Sequence[_Passed],
    near: Sequence[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]],
    count: int,
) -> list[npt.NDArray[np.int64]]:
    """The rows of each copy, rising, that are the `count` nearest of all by their codes."""
    pointer = faiss().swig_ptr
    scores, rows = np.full((len(parts), count), -np.inf, np.float32), np.full((len(parts), count), -1, np.int64)
    for i, (index, of, each, (lists, products)) in enumerate(zip(parts, turned, passed, near, strict=True)):
        if len(lists):
            selector = None if each.bits is None else faiss().IDSelectorBitmap(each.bits)
            options = faiss().SearchParametersIVF(nprobe=len(lists), sel=selector)
            index.lists.search_preassigned_c(  # the wrapper without "_c" takes no filter
                1, pointer(of), count, pointer(lists), pointer(products), pointer(scores[i]), pointer(rows[i]), False,
                options,
            )  # fmt: skip
    good = rows >= 0
    if len(parts) > 1:
        good &= scores >= np.partition(scores, -count, axis=None)[-count]
    return [np.sort(of[keep]) for of, keep in zip(rows, good, strict=True)]


def _compared(
    parts: Sequence[VectorIndex], rows: Sequence[npt.NDArray[np.int64]], query: npt.NDArray[np.float32], k: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float32]]:
    """Editions, times and products of the k nearest of the rows of each copy, which rise, by their vectors.

    FAISS multiplies the halves where they lie; numpy takes ten times as long to widen them alone.
    """
    pointer = faiss().swig_ptr
    piece, scanner, _ = _tools(len(query))
    scanner.set_query(pointer(query))
    scanner.set_list(0, 0.0)
    k = min(k, sum(map(len, rows)))
    scores, best = np.full(k, -np.inf, np.float32), np.full(k, -1, np.int64)
    first = 0
    for index, of in zip(parts, rows, strict=True):
        named = of + first  # rows counted through all copies
        ends = np.append(np.flatnonzero(np.diff(of) != 1) + 1, len(of))
        side_by_side = len(of) >= RUN_ROWS * len(ends)
        start = 0
        for end in ends.tolist() if side_by_side else range(PIECE_ROWS, len(of) + PIECE_ROWS, PIECE_ROWS):
            some, ids = of[start:end], named[start:end]
            if side_by_side:
                halves = index.vectors[some[0] : some[0] + len(some)]
            else:  # mode "raise" would copy twice
                halves = index.vectors.take(some, axis=0, out=piece[: len(some)], mode="clip")
            codes = halves.view(np.uint8)
            scanner.scan_codes(len(some), pointer(codes), pointer(ids), pointer(scores), pointer(best), k)
            start = end
        first += len(index.vectors)
    order = np.lexsort((best, -scores))
    best, scores = best[order], scores[order]
    editions, times_s = np.empty(k, np.int64), np.empty(k)
    first = 0
    for index in parts:
        here = np.flatnonzero((best >= first) & (best < first + len(index.vectors)))
        of = best[here] - first
        editions[here] = index.editions[np.searchsorted(index.offsets, of, side="right") - 1]
        times_s[here] = index.time_s[of]
        first += len(index.vectors)
    return editions, times_s, scores
