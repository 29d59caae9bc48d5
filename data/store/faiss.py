"""Memory-mapped copies of one channel's vectors with FAISS indices over them, for libraries too large for memory.

LanceDB stays the truth: a copy is made from it by the writer, put in place by one rename, and says which editions it
holds (see data.store.rows). Media written since are searched beside it, media gone since are passed over, so that an
answer is never stale. A library that grows gets further copies; as in a log-structured merge tree (O'Neil et al. 1996)
a copy is made anew together with those before it that are not much larger, so that there are few and each vector is
copied few times. A copy is named FIRST-LAST; one whose span lies within another's has been replaced by it.

How a copy is searched: data.store.lists.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data.store import lists
from data.store.lists import VectorIndex, faiss
from data.store.resident import Media, Nearest, Rows, nearest_held

TRAINING_ROWS_A_LIST = 64
CHUNK_ROWS = 32_768
MOST_OUTSIDE_BYTES = 512 * 2**20  # vectors written since the copy was made, held in memory

_axes_in_use: dict[bytes, npt.NDArray[np.float32]] = {}  # one for all copies: a query is turned once
_NAME = re.compile(r"(\d{9})-(\d{9})")
_PARTS = ("editions", "offsets", "time_s", "segment", "vectors", "axes")

Batch = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.int32], npt.NDArray[np.float16]]


def installed() -> bool:
    """Whether FAISS is there; it comes with secondsight[faiss]."""
    from importlib.util import find_spec

    return find_spec("faiss") is not None


@dataclass(frozen=True, slots=True)
class Divided:
    """The media of one state by the indices that hold them.

    Attributes:
        places: for each index (m,) where the media stand in it (VectorIndex.places).
        outside: (m,) which are in none; editions, counts: theirs, and how many rows each has.
    """

    places: list[npt.NDArray[np.intp]]
    outside: npt.NDArray[np.bool_]
    editions: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]


def divided(parts: Sequence[VectorIndex], media: Media) -> Divided:
    """Looked up once for a state of the library."""
    key = tuple(index.path for index in parts)
    found: Divided | None = media.facts.get(key)
    if found is None:
        places = [index.places(media.editions) for index in parts]
        outside = np.ones(len(media.editions), dtype=bool)
        for at in places:
            outside &= at < 0
        found = Divided(places, outside, media.editions[outside], media.column("n_frames")[outside])
        media.facts[key] = found
    return found


def nearest_indexed(
    parts: Sequence[VectorIndex],
    media: Media,
    beside: Rows,
    column: str,
    query: npt.NDArray[np.float32],
    k: int,
    allowed: npt.NDArray[np.bool_],
) -> Nearest:
    """The k nearest among what the indices hold of the media and, exactly, what they do not.

    Args:
        beside: all rows of the media that are in none; column: its vectors.
        allowed: (m,) of the media.
    """
    of_media, let = divided(parts, media), []
    for index, at in zip(parts, of_media.places, strict=True):
        of_index = np.zeros(len(index.editions), dtype=bool)
        of_index[at[allowed & (at >= 0)]] = True
        let.append(of_index)
    editions, times_s, scores = lists.nearest(parts, query, k, let)
    rows = np.searchsorted(media.editions, editions)
    if not len(beside.editions):
        return rows, times_s, scores
    more, more_times_s, more_scores = nearest_held(beside, column, query, k, allowed[of_media.outside])
    rows = np.concatenate([rows, np.flatnonzero(of_media.outside)[more]])
    times_s, scores = np.concatenate([times_s, more_times_s]), np.concatenate([scores, more_scores])
    best = np.argsort(-scores, kind="stable")[:k]
    return rows[best], times_s[best], scores[best]


def names_in(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def in_force(folder: Path) -> list[Path]:
    """The copies in force below `folder`, oldest first."""
    spans = [found for name in names_in(folder) if (found := _NAME.fullmatch(name))]
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
    editions, offsets, time_s, segment, vectors, axes = parts
    coded = faiss().read_index(str(path / "lists.faiss"), faiss().IO_FLAG_MMAP_IFC)
    axes = _axes_in_use.setdefault(axes.tobytes(), np.array(axes))
    n = len(vectors)
    if not (len(offsets) == len(editions) + 1 and offsets[-1] == len(time_s) == len(segment) == n == coded.ntotal):
        raise ValueError(f"the parts of {path.name} do not fit together")
    return VectorIndex(path, np.array(editions), np.array(offsets), time_s, segment, vectors, axes, coded)


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
    try:
        if not _write(making, editions, counts, dim, batches):
            return False
        os.rename(making, folder / f"{first:09}-{last + 1:09}")
    finally:
        shutil.rmtree(making, ignore_errors=True)  # of one not finished: its room was taken in full
    current = in_force(folder)
    for path in folder.iterdir():  # those replaced now, and what a kill left
        if path not in current:
            shutil.rmtree(path, ignore_errors=True)
    return True


def _write(
    making: Path,
    editions: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
    dim: int,
    batches: Callable[[], Iterator[Batch]],
) -> bool:
    """Write the parts of a copy; False when rows are missing."""
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
    axes = _axes(dim)
    lists = _lists(vectors, axes)
    faiss().write_index(lists, str(making / "lists.faiss"))
    vectors.flush()
    small: dict[str, npt.NDArray[Any]] = {
        "editions": editions,
        "offsets": offsets,
        "time_s": time_s,
        "segment": segment,
        "axes": axes,
    }
    for part, array in small.items():
        np.save(making / f"{part}.npy", array, allow_pickle=False)
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
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # which this file system cannot
            raise


def _axes(dim: int) -> npt.NDArray[np.float32]:
    """(dim, dim) axes turned at random: the Q of the QR decomposition of a Gaussian matrix."""
    return np.linalg.qr(np.random.default_rng(0).standard_normal((dim, dim)))[0].astype(np.float32)


def _lists(vectors: npt.NDArray[np.float16], axes: npt.NDArray[np.float32]) -> Any:
    """The trained and filled index of the turned vectors: about sqrt(n) lists, as FAISS's guidelines have it."""
    n, dim = vectors.shape
    wanted = max(1, min(round(n**0.5), n // 40))
    lists = faiss().index_factory(dim, f"IVF{wanted},RaBitQ", faiss().METRIC_INNER_PRODUCT)
    lists.cp.niter, lists.cp.min_points_per_centroid = 10, 1
    some = np.linspace(0, n - 1, min(n, TRAINING_ROWS_A_LIST * wanted)).astype(np.intp)
    lists.train(vectors[np.unique(some)].astype(np.float32) @ axes.T)
    for start in range(0, n, CHUNK_ROWS):
        lists.add(vectors[start : start + CHUNK_ROWS].astype(np.float32) @ axes.T)
    return lists
