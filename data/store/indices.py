"""What is made from the tables so that they answer quickly: merged pieces, the word index, the vector indices."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from data.errors import LibraryError
from data.store import faiss
from data.store.create import FOREIGN
from data.store.resident import Media, frame_batches
from data.store.rows import vector_column
from data.store.words import MOST_UNINDEXED_TEXTS, TEXT_INDEX

if TYPE_CHECKING:
    from data.store.reader import Reader

MOST_FRAGMENTS = 64  # small pieces of a table before they are merged
KEEP_VERSIONS = timedelta(minutes=2)  # older states go beside a run: longer than any one read takes
KEEP_VERSIONS_OPTIMIZED = timedelta(seconds=5)  # likewise when asked for: a search takes less, other reads try again
UNINDEXED_SHARE = 0.2  # frames outside the vector index, searched exactly, before they are indexed; likewise gone ones
LEFT_OUTSIDE = 8192  # frames that the end of a run leaves outside: compared in the time of a search of one index more
MERGED_UP_TO = 2  # an index this many times larger than the next is made anew with it


def tidy(tables: Mapping[str, Any], *, most_fragments: int = MOST_FRAGMENTS) -> None:
    """Merge small pieces once there are many: merging at each turn would rewrite the whole table each time."""
    for table in tables.values():
        if table.stats()["fragment_stats"]["num_small_fragments"] > most_fragments:
            table.optimize(cleanup_older_than=KEEP_VERSIONS)


def drop_old_states(tables: Mapping[str, Any]) -> None:
    """Wait until no search reads what was in force before, and remove that."""
    time.sleep(KEEP_VERSIONS_OPTIMIZED.total_seconds())
    for table in tables.values():
        table.optimize(cleanup_older_than=KEEP_VERSIONS_OPTIMIZED)


def index_texts(texts: Any) -> None:
    """Put new texts into the word index."""
    stats = texts.index_stats(TEXT_INDEX)
    if stats is not None and stats.num_unindexed_rows > MOST_UNINDEXED_TEXTS:
        texts.optimize(cleanup_older_than=KEEP_VERSIONS)


def index_vectors(store: Reader, most_outside: int = LEFT_OUTSIDE, *, in_one: bool = False) -> None:
    """Index the vectors of a library too large for memory, when more than so many of them, or a fifth, are not: by
    FAISS where it is installed, otherwise in the database.

    Args:
        in_one: FAISS's indices, if there are several, are made one, which is searched sooner.
    """
    media = store._current()
    for channel, model in store.manifest.models.items():
        folder, frames, dim = store._index_folder(channel), store._tables["frames"], int(model["dim"])
        if store._fits(media, dim):
            shutil.rmtree(folder, ignore_errors=True)
        elif not faiss.installed():
            _index_in_database(frames, vector_column(channel))
        else:
            parts = store._open_indices(channel)
            kept = 0 if in_one and len(parts) > 1 else _kept(parts, media, most_outside)
            if kept is not None:
                new = np.ones(len(media.editions), dtype=bool)
                for index in parts[:kept]:
                    new &= index.places(media.editions) < 0
                editions, counts = media.editions[new], media.column("n_frames")[new]
                first = int(editions.min(initial=0)) if kept else 0
                faiss.build(folder, kept, editions, counts, dim, partial(frame_batches, frames, channel, first))


class Beside:
    """Indexes vectors in a thread of its own while writing goes on, one index at a time.

    What goes wrong there (media removed meanwhile, a full disk) is met again, and told, at the end of the run.
    """

    def __init__(self, reader: Callable[[], Reader]) -> None:
        self._reader = reader
        self._thread: threading.Thread | None = None

    def start(self, most_outside: int) -> None:
        """Index what is there now; waits for the index before."""
        self.wait()
        self._thread = threading.Thread(target=self._index, args=(most_outside,), name="vector index")
        self._thread.start()

    def wait(self) -> None:
        if self._thread is not None:
            self._thread.join()

    def _index(self, most_outside: int) -> None:
        with suppress(LibraryError, *FOREIGN):
            index_vectors(self._reader(), most_outside)


def rows_outside(dim: int) -> int:
    """So many frames outside the indices are indexed beside the run, without waiting for its end."""
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
