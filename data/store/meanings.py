"""The vectors of captions: what a text means, found where none of the question's words stands in it.

They are rows of the texts' edition, so that a pass that replaces the texts of a medium takes them along.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from data.store.resident import ROWS_AT_ONCE, Media, Rows, nearest, read_rows, spread, vector_rows
from data.types import TextHit, TextSpan, Vectors

if TYPE_CHECKING:
    import pyarrow as pa

    from data.store.reader import Reader

MOST_BYTES = 256 * 2**20  # vectors held in memory: of 130,000 captions of 512
_COLUMNS = ("start_s", "end_s", "text", "vector")


def meaning_table(batch: Sequence[tuple[int, Sequence[TextSpan], Vectors]], schema: pa.Schema) -> pa.Table:
    """Rows of captions: (edition, spans, (n spans, dim))."""
    import pyarrow as pa

    halves = np.concatenate([vectors.astype(np.float16) for *_, vectors in batch])
    rows = [(edition, span) for edition, spans, _ in batch for span in spans]
    return pa.Table.from_arrays(
        [
            pa.array([edition for edition, _ in rows], pa.int64()),
            pa.array([span.start_s for _, span in rows], pa.float64()),
            pa.array([span.end_s for _, span in rows], pa.float64()),
            pa.array([span.text.encode("utf-8", "replace").decode("utf-8") for _, span in rows], pa.string()),
            pa.FixedSizeListArray.from_arrays(pa.array(halves.ravel()), type=schema.field("vector").type),
        ],
        schema=schema,
    )


def best(
    store: Reader, media: Media, vector: npt.NDArray[np.float32], k: int, allowed: npt.NDArray[np.bool_]
) -> tuple[list[TextHit], Vectors] | None:
    """The k nearest captions of the allowed (m,) media, and their vectors; None when rows are missing."""
    rows, editions, counts = _there(media)
    if int(counts.sum()) * len(vector) * 4 <= MOST_BYTES:
        held = _hold(store, editions, counts)
        if held is None:
            return None
        keep = np.repeat(allowed[rows], counts)
        places, scores = nearest(held.columns["vector"], vector, k, keep)
        of = rows[np.searchsorted(held.offsets, places, side="right") - 1]
        starts, ends, texts, vectors = (held.columns[name][places] for name in _COLUMNS)
    else:
        wanted = allowed[rows]
        found = list(_scanned(store, editions[wanted], vector, k))
        if sum(batch[0] for batch in found) != counts[wanted].sum():
            return None
        scores = np.concatenate([batch[1] for batch in found] or [np.empty(0, np.float32)])
        order = np.argsort(-scores, kind="stable")[:k]
        scores = scores[order]
        columns = (np.concatenate(part)[order] for part in zip(*(batch[2:] for batch in found), strict=True))
        named, starts, ends, texts, vectors = columns
        of = rows[np.searchsorted(editions, named)]
    hits = [
        TextHit(media_id, TextSpan("caption", text, _time(start_s), _time(end_s)), float(score))
        for media_id, text, start_s, end_s, score in zip(media.ids(of), texts, starts, ends, scores, strict=True)
    ]
    return hits, vectors


def of_one(store: Reader, media: Media, media_id: str) -> tuple[list[TextSpan], Vectors] | None:
    """The captions of one medium and their vectors; None when rows are missing."""
    row = slice(media.row_of[media_id], media.row_of[media_id] + 1)
    editions, counts = media.column("texts_edition")[row], media.column("n_meanings")[row]
    rows = read_rows(store._tables["meanings"], _COLUMNS, None, editions, counts)
    if rows is None:
        return None
    starts, ends, texts, vectors = rows.of(0)
    spans = [
        TextSpan("caption", text, _time(start_s), _time(end_s))
        for start_s, end_s, text in zip(starts, ends, texts, strict=True)
    ]
    return spans, vectors


def sample(store: Reader, media: Media, most: int) -> Vectors | None:
    """Up to `most` vectors spread evenly; None when rows are missing."""
    _, editions, counts = _there(media)
    n, dim = int(counts.sum()), store._schemas["meanings"].field("vector").type.list_size
    if n * dim * 4 <= MOST_BYTES:
        held = _hold(store, editions, counts)
        if held is None:
            return None
        vectors: Vectors = held.columns["vector"]
        return vectors[spread(n, most)]
    table = store._tables["meanings"]
    places = spread(table.count_rows(), most).tolist()
    return vector_rows(table.take_offsets(places).select(["vector"]).to_arrow()["vector"])


def _there(media: Media) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Media that have vectors of captions, in order of their texts' edition: rows, editions, counts."""
    of_texts, counts = media.column("texts_edition"), media.column("n_meanings")
    rows = np.flatnonzero(counts > 0)
    rows = rows[np.argsort(of_texts[rows])]
    return rows, of_texts[rows], counts[rows]


def _hold(store: Reader, editions: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> Rows | None:
    with store._mutex:
        held = store._held.get("meanings")
        if held is None or not np.array_equal(held.editions, editions):
            held = read_rows(store._tables["meanings"], _COLUMNS, held, editions, counts)
            if held is not None:
                store._held["meanings"] = held
        return held


def _scanned(
    store: Reader, editions: npt.NDArray[np.int64], vector: npt.NDArray[np.float32], k: int
) -> Iterator[tuple[Any, ...]]:
    """Of every batch of a table too large for memory how many rows are of the editions, and of the best of them
    scores, editions, starts, ends, texts, vectors."""
    for batch in store._tables["meanings"].search().select(["edition", *_COLUMNS]).to_batches(batch_size=ROWS_AT_ONCE):
        named = batch["edition"].to_numpy(zero_copy_only=False)
        halves = batch["vector"].flatten().to_numpy(zero_copy_only=False).reshape(batch.num_rows, -1)
        vectors = halves.astype(np.float32)
        keep = np.isin(named, editions)
        places, scores = nearest(vectors, vector, k, keep)
        columns = (batch[name].to_numpy(zero_copy_only=False)[places] for name in _COLUMNS[:3])
        yield int(keep.sum()), scores, named[places], *columns, vectors[places]


def _time(time_s: float) -> float | None:
    return None if time_s != time_s else float(time_s)
