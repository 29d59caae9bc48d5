"""What is made from the tables so that they answer quickly: merged pieces, the word index, the vector indices."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from data.store import faiss
from data.store.resident import Media, frame_batches
from data.store.rows import vector_column
from data.store.words import MOST_UNINDEXED_TEXTS, TEXT_INDEX

if TYPE_CHECKING:
    from data.store.reader import Reader

MOST_FRAGMENTS = 64  # small pieces of a table before they are merged
KEEP_VERSIONS = timedelta(minutes=2)  # older states go: longer than any one read takes
UNINDEXED_SHARE = 0.2  # frames outside the vector index, searched exactly, before they are indexed; likewise gone ones
MERGED_UP_TO = 2  # an index this many times larger than the next is made anew with it


def tidy(tables: Mapping[str, Any], *, most_fragments: int = MOST_FRAGMENTS) -> None:
    """Merge small pieces once there are many: merging at each turn would rewrite the whole table each time."""
    for table in tables.values():
        if table.stats()["fragment_stats"]["num_small_fragments"] > most_fragments:
            table.optimize(cleanup_older_than=KEEP_VERSIONS)


def index_texts(texts: Any) -> None:
    """Put new texts into the word index."""
    stats = texts.index_stats(TEXT_INDEX)
    if stats is not None and stats.num_unindexed_rows > MOST_UNINDEXED_TEXTS:
        texts.optimize(cleanup_older_than=KEEP_VERSIONS)


def index_vectors(store: Reader, media: Media) -> None:
    """Index the vectors of a library too large for memory, when too many of them are not: by FAISS where it is
    installed, otherwise in the database."""
    for channel, model in store.manifest.models.items():
        folder, frames, dim = store._index_folder(channel), store._tables["frames"], int(model["dim"])
        if store._fits(media, dim):
            shutil.rmtree(folder, ignore_errors=True)
        elif not faiss.installed():
            _index_in_database(frames, vector_column(channel))
        else:
            parts = store._open_indices(channel)
            kept = _kept(parts, media, rows_outside(dim))
            if kept is not None:
                new = np.ones(len(media.editions), dtype=bool)
                for index in parts[:kept]:
                    new &= index.places(media.editions) < 0
                editions, counts = media.editions[new], media.column("n_frames")[new]
                first = int(editions.min(initial=0)) if kept else 0
                faiss.build(folder, kept, editions, counts, dim, partial(frame_batches, frames, channel, first))


def rows_outside(dim: int) -> int:
    """So many frames outside the indices are indexed at once, without waiting for the end of a run."""
    return faiss.MOST_OUTSIDE_BYTES // 2 // (4 * dim)


def _kept(parts: Sequence[faiss.VectorIndex], media: Media, most_outside: int) -> int | None:
    """How many of the indices, the oldest, stay when another is made of all other media; None: none is to be made."""
    counts = media.column("n_frames")
    live = [int(counts[index.places(media.editions) >= 0].sum()) for index in parts]
    held, outside = sum(live), int(counts.sum()) - sum(live)
    if sum(len(index.vectors) for index in parts) - held > UNINDEXED_SHARE * held:
        return 0
    if outside <= min(UNINDEXED_SHARE * held, most_outside):
        return None
    kept = len(parts)
    while kept and live[kept - 1] <= MERGED_UP_TO * outside:
        kept -= 1
        outside += live[kept]
    return kept


def _index_in_database(frames: Any, column: str) -> None:
    """IVF with RaBitQ codes: the quickest to build of those that keep recall@10 at 1.0 when refined."""
    from lancedb.index import BTree, IvfRq

    stats = frames.index_stats(f"{column}_idx")
    if stats is None or stats.num_unindexed_rows > UNINDEXED_SHARE * frames.count_rows():
        frames.create_index(column, config=IvfRq(distance_type="dot"), name=f"{column}_idx")
        frames.create_index("edition", config=BTree())
