"""What is made from the tables so that they answer quickly: merged pieces, the word index, the vector indices."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from data.store import faiss
from data.store.resident import Media, frame_batches
from data.store.rows import vector_column
from data.store.words import MOST_UNINDEXED_TEXTS, TEXT_INDEX

if TYPE_CHECKING:
    from data.store.reader import Reader

MOST_FRAGMENTS = 64  # small pieces of a table before they are merged
KEEP_VERSIONS = timedelta(minutes=2)  # older states go: longer than any one read takes
UNINDEXED_SHARE = 0.2  # frames outside the vector index, searched exactly, before it is built again


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
        if store._fits(media, model["dim"]):
            shutil.rmtree(store._index_folder(channel), ignore_errors=True)
        elif not faiss.installed():
            _index_in_database(store._tables["frames"], vector_column(channel))
        elif _is_stale(store, media, channel):
            counts = media.column("n_frames")
            batches = partial(frame_batches, store._tables["frames"], channel)
            faiss.build(store._index_folder(channel), media.editions, counts, model["dim"], batches)


def _is_stale(store: Reader, media: Media, channel: str) -> bool:
    index = store._index(media, channel)
    if index is None:
        return True
    live = int(media.column("n_frames")[index.places(media.editions) >= 0].sum())
    return max(int(media.column("n_frames").sum()), len(index.vectors)) - live > UNINDEXED_SHARE * live


def _index_in_database(frames: Any, column: str) -> None:
    """IVF with RaBitQ codes: the quickest to build of those that keep recall@10 at 1.0 when refined."""
    from lancedb.index import BTree, IvfRq

    stats = frames.index_stats(f"{column}_idx")
    if stats is None or stats.num_unindexed_rows > UNINDEXED_SHARE * frames.count_rows():
        frames.create_index(column, config=IvfRq(distance_type="dot"), name=f"{column}_idx")
        frames.create_index("edition", config=BTree())
