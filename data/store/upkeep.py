"""Looking after a library: make it small and quick, copy it while it is in use, and prove that it is whole."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from data.errors import LibraryBusy, LibraryError
from data.store.create import FOREIGN
from data.store.lance import create_or_open, open_reader
from data.store.manifest import TABLES, read_manifest, unwritable, write_manifest
from data.store.resident import ROWS_AT_ONCE, Media, frame_batches, read_rows
from data.store.rows import vector_column
from data.store.words import index_words

if TYPE_CHECKING:
    import pyarrow as pa

TRIES = 5
COMPARED = 50  # media whose vectors in the index are compared with those in the tables
UNIT_WITHIN = 0.01  # float16 moves the norm of a unit vector by less than 0.001


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `verify` looked at.

    Attributes:
        unfinished: paths and contents that a stopped writer left half done: unseen by searches, done by the next run.
        damage: what is wrong, a line each; empty: the library is whole.
    """

    media: int
    segments: int
    frames: int
    texts: int
    unfinished: int
    damage: tuple[str, ...]


def optimize(directory: Path) -> tuple[int, int]:
    """Merge small pieces, drop old states, and bring the indices up to date, that of vectors in one piece.

    Returns:
        Size on disk before and after, in bytes.

    Raises:
        LibraryBusy: another process is writing to it.
    """
    manifest = read_manifest(directory)
    with create_or_open(directory, manifest.models, profile=manifest.profile) as store:
        before = store.stats().size_on_disk_bytes
        store.optimize()
        return before, store.stats().size_on_disk_bytes


def backup(directory: Path, destination: Path) -> int:
    """Copy the finished media of one moment into a new library; a writer may go on meanwhile. Returns bytes written.

    Args:
        destination: missing or empty. Killed half-way, nothing is there under this name, and a hidden folder
            .NAME.xxxxxxxx beside it may be deleted.

    Raises:
        LibraryError: something is there already, or cannot be written.
        LibraryBusy: a writer removed what was being copied, again and again.
    """
    directory, destination = Path(directory).absolute(), Path(destination).absolute()
    store = open_reader(directory)
    own = None
    try:
        if destination.exists() and (not destination.is_dir() or os.listdir(destination)):
            raise LibraryError(f"There is something at {str(destination)!r}.", remedy="Name a new or an empty folder.")
        destination.parent.mkdir(parents=True, exist_ok=True)
        own = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", dir=destination.parent))
        for turn in range(TRIES):
            making = own / str(turn)  # with the permissions of any new folder, where that of mkdtemp is private
            making.mkdir()
            if _copied(store, making):
                manifest = replace(store.manifest, tables=TABLES, previous=None)
                write_manifest(making, manifest)
                if destination.exists():
                    destination.rmdir()
                os.rename(making, destination)
                return sum(path.stat().st_size for path in destination.rglob("*") if path.is_file())
            shutil.rmtree(making)
        raise LibraryBusy(
            f"The library at {str(directory)!r} changes too fast to be copied.",
            remedy="Try again when nothing is being indexed.",
        )
    except OSError as error:
        raise unwritable(destination, error) from error
    finally:
        store.close()
        if own is not None:
            shutil.rmtree(own, ignore_errors=True)


def _copied(store: Any, making: Path) -> bool:
    """Copy one state of the tables; False when the writer has cleared it away meanwhile."""
    import lancedb
    import pyarrow as pa

    media, tables = _pinned(store)
    try:
        database, schemas = lancedb.connect(str(making / TABLES)), store._schemas
        database.create_table("media", media.table, schema=schemas["media"])
        files = tables["files"].search().to_arrow()
        pairs = zip(files["media_id"].to_pylist(), files["reason"].to_pylist(), strict=True)
        ids = set(media.table["media_id"].to_pylist())
        keep = np.array([bool(reason) or media_id in ids for media_id, reason in pairs], dtype=bool)
        database.create_table("files", files.filter(keep), schema=schemas["files"])
        for name, editions, counts in (
            ("frames", media.editions, "n_frames"),
            ("segments", media.editions, "n_segments"),
            ("texts", media.column("texts_edition"), "n_texts"),
            ("meanings", media.column("texts_edition"), "n_meanings"),
        ):
            copy = database.create_table(name, schema=schemas[name])
            copy.add(pa.RecordBatchReader.from_batches(schemas[name], _rows_of(tables[name], editions)))
            if copy.count_rows() != int(media.column(counts).sum()):
                raise RuntimeError(f"rows of {name} are missing")
        index_words(database.open_table("texts"))
    except FOREIGN as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        if store._tables["media"].version == media.version:
            raise LibraryError(f"The library cannot be copied ({error}).", remedy="Run secondsight verify.") from error
        return False
    return True


def _pinned(store: Any) -> tuple[Media, dict[str, Any]]:
    """The media of one moment, and the other tables as they were then.

    A writer removes rows that the media name only after it has changed the media, so tables whose versions were read
    between two equal versions of the media hold all their rows.
    """
    import lancedb

    database = lancedb.connect(str(store.directory / store.manifest.tables))
    while True:
        media = store._current()
        versions = {name: store._tables[name].version for name in store._tables if name != "media"}
        if store._tables["media"].version == media.version:
            break
    tables = {name: database.open_table(name) for name in versions}
    for name, version in versions.items():
        tables[name].checkout(version)
    return media, tables


def _rows_of(table: Any, editions: npt.NDArray[np.int64]) -> Iterator[pa.RecordBatch]:
    """The rows of these editions, a few thousand at a time."""
    for batch in table.search().to_batches(batch_size=ROWS_AT_ONCE):
        keep = np.isin(batch["edition"].to_numpy(zero_copy_only=False), editions)
        if keep.any():
            yield batch.filter(keep)


def verify(directory: Path) -> Verdict:
    """Read every row of the library and compare it with what the media say.

    Raises:
        LibraryNotFound, LibraryDamaged: it cannot even be opened.
    """
    with open_reader(directory) as store:
        verdict: Verdict = store._consistent(lambda media: _looked_at(store, media))
        return verdict


def _looked_at(store: Any, media: Media) -> Verdict | None:
    damage = []
    if store._inventory(media) is None:
        damage.append("rows of segments, frames or texts are missing")
    named = {row.media_id for row in store.files().values() if not row.reason}
    for channel in store.manifest.models:
        bad = 0
        for editions, _, _, vectors in frame_batches(store._tables["frames"], channel):
            norms = np.linalg.norm(vectors[np.isin(editions, media.editions)].astype(np.float32), axis=1)
            bad += int((~(np.abs(norms - 1) <= UNIT_WITHIN)).sum())
        if bad:
            damage.append(f"{bad} vectors of {channel!r} are not finite or not of length 1")
        if not _index_agrees(store, media, channel):
            folder = store._index_folder(channel)
            damage.append(f"the index of {channel!r} differs from the tables; delete {str(folder)!r}, it is made again")
    if damage and store._tables["media"].version != media.version:
        return None  # a writer has moved on: look again
    segments, frames, texts = (int(media.column(name).sum()) for name in ("n_segments", "n_frames", "n_texts"))
    unfinished = len(named ^ set(media.row_of))
    return Verdict(len(media.editions), segments, frames, texts, unfinished, tuple(damage))


def _index_agrees(store: Any, media: Media, channel: str) -> bool:
    """Whether the indices hold what the tables do, by a sample of the media."""
    columns = ("time_s", vector_column(channel))
    for index in store._index(media, channel):
        held = np.flatnonzero(index.places(media.editions) >= 0)
        some = held[:: max(1, len(held) // COMPARED)]
        rows = read_rows(store._tables["frames"], columns, None, media.editions[some], media.column("n_frames")[some])
        if rows is None:
            return True  # told as missing rows, or a writer has moved on
        for i, edition in enumerate(rows.editions):
            (times_s, _, vectors), (true_times_s, true_vectors) = index.of(edition), rows.of(i)
            if not (np.array_equal(times_s, true_times_s, equal_nan=True) and np.array_equal(vectors, true_vectors)):
                return False
    return True
