"""Rows of finished media held in memory, and the exact nearest neighbours among them.

For 50,000 vectors of 512 one product in memory takes 8 ms and the database's own scan 90 ms. What is held is keyed by
edition (see data.store.rows): an edition never changes, so a newer state of the library only adds and drops editions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from data.store.base import Filter
from data.store.rows import decode, vector_column

if TYPE_CHECKING:
    import pyarrow as pa

MOST_IDS_BY_NAME = 1000  # more than these are looked up by a scan
ROWS_AT_ONCE = 16_384
MOST_EDITIONS_BY_NAME = 2000  # more than these are read by a scan of the whole table

# Rows of the media, times and products of the nearest frames, best first.
Nearest: TypeAlias = tuple[npt.NDArray[np.intp], npt.NDArray[np.float64], npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Media:
    """The finished media of one version of the library, in order of edition (the order of writing).

    Attributes:
        version: of the `media` table.
        table: its rows.
        editions: (m,) int64, rising.
        kinds: (m,) their kinds.
        row_of: media_id -> row; names: the media_ids.
        facts: what data.store.conditions has read of them: reading the text of their fields takes long.
    """

    version: int
    table: pa.Table
    editions: npt.NDArray[np.int64]
    kinds: npt.NDArray[Any]
    row_of: dict[str, int]
    names: list[str]
    facts: dict[Any, Any] = field(default_factory=dict, repr=False)

    @staticmethod
    def read(table: Any) -> Media:
        """Read the newest state of the database table `media`."""
        while True:
            version = table.version
            rows = table.to_arrow()
            if table.version == version:
                break
        rows = rows.sort_by("edition").combine_chunks()
        ids = [decode(text) for text in rows["media_id"].to_pylist()]
        return Media(
            version,
            rows,
            rows["edition"].to_numpy(),
            np.array(rows["kind"].to_pylist(), dtype=object),
            {media_id: row for row, media_id in enumerate(ids)},
            ids,
        )

    def column(self, name: str) -> npt.NDArray[Any]:
        return self.table[name].to_numpy()

    def ids(self, rows: npt.NDArray[np.intp]) -> list[str]:
        return [self.names[row] for row in rows.tolist()]

    def rows(self, media_ids: Sequence[str]) -> list[int]:
        """Rows of those that are there, in the order asked."""
        return [self.row_of[media_id] for media_id in media_ids if media_id in self.row_of]

    def allowed(self, where: Filter) -> npt.NDArray[np.bool_]:
        """(m,) which media `where` lets through."""
        if where.media_ids:
            allowed = np.zeros(len(self.editions), dtype=bool)
            allowed[self.rows(where.media_ids)] = True
        else:
            allowed = np.ones(len(self.editions), dtype=bool)
        if where.kinds:
            allowed &= np.isin(self.kinds, where.kinds)
        allowed[self.rows(where.exclude_media_ids)] = False
        return allowed


@dataclass(frozen=True, slots=True)
class Rows:
    """Some columns of all rows of `editions`, in order of edition and, within one, of the first column.

    Attributes:
        editions: (m,) int64, rising: those of the media of the state that was read.
        offsets: (m + 1,) rows of media i are offsets[i]:offsets[i + 1].
        columns: name -> (n, ...) values; times are NaN where a still has none.
    """

    editions: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    columns: dict[str, npt.NDArray[Any]]

    def of(self, row: int) -> tuple[npt.NDArray[Any], ...]:
        """The columns of one medium, in the order they were asked for."""
        return tuple(values[self.offsets[row] : self.offsets[row + 1]] for values in self.columns.values())


def read_rows(
    table: Any,
    columns: Sequence[str],
    have: Rows | None,
    editions_wanted: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
) -> Rows | None:
    """The rows of `editions_wanted`, reading from the database only what `have` lacks.

    Args:
        table: `frames` or `segments`.
        columns: what to read; the first gives the order within one medium.
        have: what was read before, of any state of the library.
        editions_wanted: (m,), rising.
        counts: (m,) how many rows each must have.

    Returns:
        None when rows are missing: the writer has replaced a medium meanwhile, or the library is damaged.
    """
    held = have.editions if have is not None else np.empty(0, dtype=np.int64)
    missing = np.setdiff1d(editions_wanted, held, assume_unique=True)
    query = table.search().select(["edition", *columns])
    if len(missing) <= MOST_EDITIONS_BY_NAME:
        query = query.where(edition_filter(missing)) if len(missing) else query.where("false")
    found = query.to_arrow()
    editions = found["edition"].to_numpy()
    fresh = np.isin(editions, missing)
    parts = {name: _array(found[name], fresh) for name in columns}
    editions = editions[fresh]
    if have is not None and len(held):
        of_held = np.repeat(held, np.diff(have.offsets))
        kept = np.isin(of_held, editions_wanted)
        if kept.all():
            kept = slice(None)  # type: ignore[assignment]  # a view: vectors are large
        editions = np.concatenate([of_held[kept], editions])
        parts = {name: np.concatenate([have.columns[name][kept], part]) for name, part in parts.items()}
    order = np.lexsort((parts[columns[0]], editions))
    if not np.array_equal(order, np.arange(len(order))):
        editions, parts = editions[order], {name: part[order] for name, part in parts.items()}
    offsets = np.append(np.searchsorted(editions, editions_wanted), len(editions))
    if not np.array_equal(np.diff(offsets), counts):
        return None
    return Rows(editions_wanted, offsets, parts)


def frame_batches(
    frames: Any, channel: str, first: int = 0
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.int32], npt.NDArray[np.float16]]]:
    """The rows of the table `frames` from an edition on, some at a time: edition, time, segment, vector."""
    column = vector_column(channel)
    query = frames.search().select(["edition", "time_s", "segment", column])
    if first:
        query = query.where(f"edition >= {first}")
    for batch in query.to_batches(batch_size=ROWS_AT_ONCE):
        vectors = batch[column].flatten().to_numpy(zero_copy_only=False).reshape(batch.num_rows, -1)
        numbers = (batch[name].to_numpy(zero_copy_only=False) for name in ("edition", "time_s", "segment"))
        yield (*numbers, vectors)


def edition_filter(editions: npt.NDArray[np.int64]) -> str:
    return f"edition IN ({', '.join(map(str, editions.tolist()))})"


def _array(column: pa.ChunkedArray, keep: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """Rows of a column: numbers as they are (nulls NaN), vectors as (n, dim) float32."""
    import pyarrow as pa

    if not pa.types.is_fixed_size_list(column.type):
        return column.to_numpy()[keep]
    out = np.empty((int(keep.sum()), column.type.list_size), dtype=np.float32)
    done = seen = 0
    for chunk in column.chunks:
        part = chunk.flatten().to_numpy(zero_copy_only=False).reshape(len(chunk), -1)
        part = part[keep[seen : seen + len(chunk)]]
        out[done : done + len(part)] = part
        done, seen = done + len(part), seen + len(chunk)
    return out


def wholes(times_s: npt.NDArray[np.float64], segments: npt.NDArray[np.int32]) -> npt.NDArray[np.intp]:
    """Rows that are no parts of stills (data.crops)."""
    return np.flatnonzero(~np.isnan(times_s) | (segments == 0))


def spread(count: int, most: int) -> npt.NDArray[np.intp]:
    """Up to `most` of the numbers under count, evenly."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.intp)) if count else np.empty(0, np.intp)


def vector_rows(column: pa.ChunkedArray) -> npt.NDArray[np.float32]:
    """A column of vectors as (n, dim) float32."""
    return _array(column, np.ones(len(column), dtype=bool))


def nearest_held(
    held: Rows, column: str, query: npt.NDArray[np.float32], k: int, allowed: npt.NDArray[np.bool_]
) -> Nearest:
    """The k nearest rows of the allowed (m,) media of `held`."""
    keep = None if allowed.all() else np.repeat(allowed, np.diff(held.offsets))
    rows, scores = nearest(held.columns[column], query, k, keep)
    return np.searchsorted(held.offsets, rows, side="right") - 1, held.columns["time_s"][rows], scores


def nearest(
    vectors: npt.NDArray[np.float32], query: npt.NDArray[np.float32], k: int, keep: npt.NDArray[np.bool_] | None
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """Rows of the k largest dot products among the kept, best first (of equals the earlier row), and the products."""
    if keep is None:
        rows, scores = None, vectors @ query
    else:
        rows = np.flatnonzero(keep)
        # Gathering rows costs more than multiplying them, unless few are kept.
        scores = vectors[rows] @ query if 4 * len(rows) < len(vectors) else (vectors @ query)[rows]
    if k < len(scores):
        floor = np.partition(scores, len(scores) - k)[len(scores) - k]
        best = np.flatnonzero(scores >= floor)  # all equals of the last, so that the order decides among them
    else:
        best = np.arange(len(scores))
    best = best[np.argsort(-scores[best], kind="stable")][:k]
    return best if rows is None else rows[best], scores[best]
