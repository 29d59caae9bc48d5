"""Looking after a library: make it small and quick, copy it while it is in use, and prove that it is whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from data.errors import LibraryBusy, LibraryError
from data.store.create import FOREIGN
from data.store.lance import create_or_open, open_reader
from data.store.manifest import TABLES, read_manifest, unwritable, write_manifest
from data.store.resident import Media, edition_filter, frame_batches
from data.store.words import index_words

TRIES = 5
EDITIONS_AT_ONCE = 500
UNIT_WITHIN = 0.01  # float16 moves the norm of a unit vector by less than 0.001


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `verify` looked at, and what is wrong with it, a line each; an empty `damage` is a whole library."""

    media: int
    segments: int
    frames: int
    texts: int
    damage: tuple[str, ...]


def optimize(directory: Path) -> tuple[int, int]:
    """Merge small pieces, drop old states, and bring the indices of words and vectors up to date.

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
        destination: missing or empty. Killed half-way, nothing is there under this name.

    Raises:
        LibraryError: something is there already, or cannot be written.
        LibraryBusy: a writer removed what was being copied, again and again.
    """
    directory, destination = Path(directory).absolute(), Path(destination).absolute()
    store = open_reader(directory)
    making = destination.with_name(f"{destination.name}.part")
    try:
        if destination.exists() and (not destination.is_dir() or os.listdir(destination)):
            raise LibraryError(f"There is something at {str(destination)!r}.", remedy="Name a new or an empty folder.")
        for _ in range(TRIES):
            if making.exists():
                shutil.rmtree(making)
            making.mkdir(parents=True)
            if _copied(store, making):
                manifest = replace(store.manifest, tables=TABLES, previous=None)
                write_manifest(making, manifest)
                if destination.exists():
                    destination.rmdir()
                os.rename(making, destination)
                return sum(path.stat().st_size for path in destination.rglob("*") if path.is_file())
        raise LibraryBusy(
            f"The library at {str(directory)!r} changes too fast to be copied.",
            remedy="Try again when nothing is being indexed.",
        )
    except OSError as error:
        raise unwritable(destination, error) from error
    finally:
        store.close()
        shutil.rmtree(making, ignore_errors=True)


def _copied(store: Any, making: Path) -> bool:
    """Copy one state of the tables; False when the writer has removed rows of it meanwhile."""
    import lancedb

    media = store._current()
    database = lancedb.connect(str(making / TABLES))
    schemas, tables = store._schemas, store._tables
    database.create_table("media", media.table, schema=schemas["media"])
    wanted = {
        "frames": (media.editions, "n_frames"),
        "segments": (media.editions, "n_segments"),
        "texts": (media.column("texts_edition"), "n_texts"),
    }
    try:
        ids = set(media.table["media_id"].to_pylist())
        files = tables["files"].to_arrow()
        pairs = zip(files["media_id"].to_pylist(), files["reason"].to_pylist(), strict=True)
        keep = np.array([bool(reason) or media_id in ids for media_id, reason in pairs], dtype=bool)
        database.create_table("files", files.filter(keep), schema=schemas["files"])
        for name, (editions, counts) in wanted.items():
            copy = database.create_table(name, schema=schemas[name])
            for rows in _rows_of(tables[name], editions):
                copy.add(rows)
            if copy.count_rows() != int(media.column(counts).sum()):
                return False
    except FOREIGN as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        if store._tables["media"].version == media.version:
            raise LibraryError(f"The library cannot be copied ({error}).", remedy="Run secondsight verify.") from error
        return False
    index_words(database.open_table("texts"))
    return True


def _rows_of(table: Any, editions: Any) -> Iterator[Any]:
    for start in range(0, len(editions), EDITIONS_AT_ONCE):
        yield table.search().where(edition_filter(np.asarray(editions)[start : start + EDITIONS_AT_ONCE])).to_arrow()


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
    damage += [f"no path names the content {media_id}" for media_id in media.row_of if media_id not in named]
    damage += [f"a path names the content {media_id}, which is not there" for media_id in named - set(media.row_of)]
    for channel in store.manifest.models:
        bad = 0
        for editions, _, _, vectors in frame_batches(store._tables["frames"], channel):
            norms = np.linalg.norm(vectors[np.isin(editions, media.editions)].astype(np.float32), axis=1)
            bad += int((~(np.abs(norms - 1) <= UNIT_WITHIN)).sum())
        if bad:
            damage.append(f"{bad} vectors of {channel!r} are not finite or not of length 1")
        index = store._index(media, channel)
        if index is not None and not np.isfinite(index.vectors[:: max(1, len(index.vectors) // 1000)]).all():
            damage.append(f"the index of {channel!r} holds vectors that are not finite: delete {index.path.parent}")
    if damage and store._tables["media"].version != media.version:
        return None  # a writer has moved on: look again
    segments, frames, texts = (int(media.column(name).sum()) for name in ("n_segments", "n_frames", "n_texts"))
    return Verdict(len(media.editions), segments, frames, texts, tuple(damage))
