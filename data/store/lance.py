"""The library in LanceDB: six tables in one directory, one writer, any number of readers.

Each table commits on its own, so the order of writing makes a medium whole or invisible: frames, segments and texts
under a new edition, the paths, and last the row of `media` that puts the edition in force (see data.store.rows). What a
kill leaves behind belongs to no edition in force; the next writer removes it.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data.errors import LibraryError, LibraryNotFound
from data.store import indices, reader
from data.store.base import SCHEMA_VERSION, FileRow, MediaRows
from data.store.create import create_tables
from data.store.lock import acquire, release
from data.store.manifest import (
    NEW_TABLES,
    TABLES,
    Manifest,
    check_matches,
    read_manifest,
    unwritable,
)
from data.store.put_texts import put_texts
from data.store.resident import Media, edition_filter
from data.store.rows import (
    check,
    check_fields,
    decode,
    encode,
    file_columns,
    frame_rows,
    media_columns,
    one_of,
    segment_table,
    text_table,
)
from data.types import FieldValue, TextChannel, TextSpan, Vectors

__all__ = ["LanceStore", "Manifest", "create_or_open", "open_reader", "read_manifest"]

DELETED_AT_ONCE = 10_000


def create_or_open(
    directory: Path, models: Mapping[str, Mapping[str, Any]], *, profile: str, bulk: bool = False
) -> LanceStore:
    """Open the library for writing, making it when there is none. It stays locked until it is closed.

    Args:
        directory: of the library: missing, empty, or a library.
        models: channel -> identity {"name", "revision", "dim", "metric", "preprocessing"}.
        profile: name of the set of models, for the manifest.
        bulk: vectors are indexed once, when it is closed, and not as it grows: less work, and till then searches of
            what is new are slow.

    Raises:
        LibraryBusy: another process is writing to it.
        IndexMismatch: it was made with other models or by a newer release. One of an older release is upgraded.
        LibraryDamaged: a part is missing or unreadable.
        LibraryError: the directory holds something else, or cannot be written.
    """
    directory = Path(directory).absolute()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        foreign = sorted(n for n in os.listdir(directory) if not n.startswith("library.") and n != NEW_TABLES)
    except (OSError, ValueError) as error:
        raise unwritable(directory, error) from error
    try:
        read_manifest(directory)
    except LibraryNotFound:
        if foreign:
            raise LibraryError(
                f"{str(directory)!r} is not a library, and not empty: it holds {foreign[0]!r}.",
                remedy="Name an empty or a new directory with --library.",
            ) from None
    lock = acquire(directory)
    try:
        try:
            manifest = read_manifest(directory)
        except LibraryNotFound:
            manifest = create_tables(directory, models, profile)
        manifest = _current_schema(directory, manifest)
        check_matches(directory, manifest, models)
        return LanceStore(directory, manifest, lock, bulk)
    except BaseException:
        release(directory, lock)
        raise


def open_reader(directory: Path, models: Mapping[str, Mapping[str, Any]] | None = None) -> LanceStore:
    """Open the library for reading: takes no lock, and every call sees the newest finished state.

    Args:
        directory: of the library.
        models: where given, the library must have been made with exactly these.

    Raises:
        LibraryNotFound: nothing is indexed there.
        IndexMismatch: it was made with other models or by a newer release. One of an older release is upgraded.
        LibraryDamaged: a part is missing or unreadable.
    """
    directory = Path(directory).absolute()
    manifest = read_manifest(directory)
    if manifest.schema_version != SCHEMA_VERSION:
        lock = acquire(directory)
        try:
            manifest = _current_schema(directory, read_manifest(directory))
        finally:
            release(directory, lock)
    check_matches(directory, manifest, models)
    return LanceStore(directory, manifest, None)


def _current_schema(directory: Path, manifest: Manifest) -> Manifest:
    """The manifest once the tables have their name, which a creation that was killed may not have given them, and are
    of this schema. Needs the lock."""
    from data.store.migrate import upgrade

    tables = directory / TABLES
    if (directory / NEW_TABLES).is_dir() and not (tables.is_dir() and os.listdir(tables)):
        with suppress(FileNotFoundError):
            tables.rmdir()  # empty: made by an earlier release that could not upgrade
        os.rename(directory / NEW_TABLES, tables)
    return manifest if manifest.schema_version == SCHEMA_VERSION else upgrade(directory, manifest)


class LanceStore(reader.Reader):
    """A Store (data.store.base) on LanceDB; writes when it was opened by `create_or_open`.

    Attributes:
        directory: of the library.
        manifest: what it was made with.
    """

    def __init__(self, directory: Path, manifest: Manifest, lock: Any, bulk: bool = False) -> None:
        super().__init__(directory, manifest)
        self._bulk, self._lock = bulk, lock
        self._one_writer = threading.RLock()  # not the readers' lock: no search waits for a write
        self._next_edition = self._frames_since = 0
        self._changed = False
        self._beside = indices.Beside(lambda: reader.Reader(directory, manifest))
        if lock is not None:
            with self._writing():
                self._recover()

    def __enter__(self) -> LanceStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, batch: Sequence[MediaRows]) -> None:
        """Write the batch so that a kill at any point leaves each medium whole or invisible. Replaces same ids.

        Of two with the same id the last counts, and both their paths.

        Raises:
            ValueError: parts of a medium do not fit together.
            LibraryError: the library cannot be written.
        """
        for rows in batch:
            check(rows, self.manifest.models)
        last = {rows.media_id: rows for rows in batch}
        if not last:
            return
        with self._writing():
            fresh = list(enumerate(last.values(), start=self._next_edition))
            self._next_edition += len(fresh)
            frames = sum(len(rows.times_s) for _, rows in fresh)
            if frames:
                self._tables["frames"].add(frame_rows(fresh, self._schemas["frames"]))
            for name, table in (
                ("segments", segment_table(fresh, self._schemas["segments"])),
                ("texts", text_table([(e, rows.texts) for e, rows in fresh], self._schemas["texts"])),
            ):
                if table.num_rows:
                    self._tables[name].add(table)
            unnamed = self._upsert_files([rows.file for rows in batch])
            self._upsert("media", "media_id", [media_columns(rows, edition) for edition, rows in fresh])
            replaced = [self._edition_of[media_id] for media_id in last if media_id in self._edition_of]
            old_texts = [self._texts_of[media_id] for media_id in last if media_id in self._texts_of]
            for editions in (self._edition_of, self._texts_of):
                editions.update((rows.media_id, edition) for edition, rows in fresh)
            self._delete_editions(replaced)
            self._delete_texts(old_texts)
            self._drop(unnamed)
            indices.tidy(self._tables)
            self._frames_since += frames
        most_outside = min(indices.rows_outside(each["dim"]) for each in self.manifest.models.values())
        if self._frames_since > most_outside and not self._bulk:
            self._frames_since = 0
            self._beside.start(most_outside)

    def put_texts(self, media_id: str, channel: TextChannel, spans: Sequence[TextSpan], *, stage: str) -> None:
        """Replace one channel's texts of a finished medium and note the stage as done, whole or not at all.

        Args:
            spans: all of that channel, in order of time.
            stage: how it was done, kept under the channel's name in the medium's stages.

        Raises:
            ValueError: a span of another channel, or times that are no interval. KeyError: no such medium.
        """
        self.put_many_texts(channel, [(media_id, spans, stage)])

    def put_many_texts(self, channel: TextChannel, batch: Sequence[tuple[str, Sequence[TextSpan], str]]) -> None:
        """`put_texts` of several media, (media_id, spans, stage) each once, at the cost of one; each whole or not."""
        put_texts(self, channel, batch)

    def put_captions(self, batch: Sequence[tuple[str, Sequence[TextSpan], str, Vectors]], *, model: str) -> None:
        """put_many_texts of captions with their vectors, (media_id, spans, stage, (n spans, dim)), made by `model`."""
        put_texts(self, "caption", [each[:3] for each in batch], [each[3] for each in batch], model)

    def put_fields(self, fields: Mapping[str, Mapping[str, FieldValue]]) -> None:
        """media_id -> fields, replacing those of each medium named; unknown media are passed over.

        Raises:
            ValueError: a value that is no text, finite number or truth value.
        """
        for values in fields.values():
            check_fields(values)
        with self._writing():
            media = self._current()
            known = [media_id for media_id in fields if media_id in media.row_of]
            rows = media.table.take(media.rows(known)).to_pylist() if known else []
            for media_id, row in zip(known, rows, strict=True):
                row["fields"] = json.dumps(dict(fields[media_id]))
            if rows:
                self._upsert("media", "media_id", rows)

    def record_files(self, rows: Iterable[FileRow]) -> None:
        """Upsert path rows: moves, further copies, failures. Contents no path names any more go.

        A row with a reason names no content.
        """
        rows = list(rows)
        if not rows:
            return
        with self._writing():
            self._drop(self._upsert_files(rows))

    def forget_paths(self, paths: Iterable[str]) -> int:
        """Drop path rows; contents no path names any more go with their rows. Returns contents removed."""
        known = [path for path in dict.fromkeys(paths) if path in self._id_of]
        if not known:
            return 0
        with self._writing():
            self._delete("files", "path", known)
            return self._drop(self._unname([self._id_of.pop(path) for path in known]))

    def close(self) -> None:
        """Merge small pieces, and let the lock go. Closing twice is harmless."""
        lock, self._lock = self._lock, None
        if lock is not None:
            try:
                self._beside.wait()
                if self._changed:
                    with self._writing(lock):
                        indices.tidy(self._tables)
                        indices.index_vectors(self)
                        indices.index_texts(self._tables["texts"])
            finally:
                release(self.directory, lock)
        super().close()

    @contextmanager
    def _writing(self, lock: Any = None) -> Iterator[None]:
        if lock is None and self._lock is None:
            raise LibraryError(
                f"The library at {str(self.directory)!r} is open for reading only.", remedy="Open it for writing first."
            )
        try:
            with self._one_writer:
                yield
        except reader.FOREIGN as error:
            raise unwritable(self.directory, error) from error

    def _recover(self) -> None:
        """Learn what is there, and remove what a killed writer left."""
        media, names, editions, of_texts = self._consistent(self._inventory)
        self._edition_of: dict[str, int] = dict(zip(media.row_of, media.editions.tolist(), strict=True))
        self._texts_of: dict[str, int] = dict(zip(media.row_of, media.column("texts_edition").tolist(), strict=True))
        # A path whose content was never finished is forgotten, and so looked at again.
        lost = {path for path, media_id in names.items() if media_id and media_id not in self._edition_of}
        self._delete("files", "path", list(lost))
        self._id_of = {path: media_id for path, media_id in names.items() if path not in lost}
        self._names = Counter(self._id_of.values())
        orphans = np.setdiff1d(editions, media.editions)
        self._delete_editions(orphans)
        self._delete_texts(np.setdiff1d(of_texts, media.column("texts_edition")))
        # The clock keeps the numbers of removed media from coming back: a reader may still hold their rows.
        newest = max(int(editions.max(initial=0)), int(of_texts.max(initial=0)))
        self._next_edition = max(newest, time.time_ns() // 1000) + 1
        self._drop([media_id for media_id in self._edition_of if not self._names[media_id]])

    def _inventory(
        self, media: Media
    ) -> tuple[Media, dict[str, str], npt.NDArray[np.int64], npt.NDArray[np.int64]] | None:
        """Path -> the content it names ("" for a failure), all editions, and all of texts.

        None when rows of `media` are missing.
        """
        files = self._tables["files"].search().select(["path", "media_id", "reason"]).to_arrow()
        columns = (files[name].to_pylist() for name in ("path", "media_id", "reason"))
        names = {
            decode(path): "" if reason else decode(media_id) for path, media_id, reason in zip(*columns, strict=True)
        }
        there = {}
        for table, counts, named in (
            ("segments", "n_segments", media.editions),
            ("frames", "n_frames", media.editions),
            ("texts", "n_texts", media.column("texts_edition")),
            ("meanings", "n_meanings", media.column("texts_edition")),
        ):
            column = self._tables[table].search().select(["edition"]).to_arrow()["edition"].to_numpy()
            editions, found = np.unique(column, return_counts=True)
            visible = np.isin(editions, named)
            expected = media.column(counts)
            wanted = dict(zip(named[expected > 0].tolist(), expected[expected > 0].tolist(), strict=True))
            if dict(zip(editions[visible].tolist(), found[visible].tolist(), strict=True)) != wanted:
                return None
            there[table] = editions
        frames = np.unique(np.concatenate([media.editions, there["segments"], there["frames"]]))
        return media, names, frames, np.union1d(there["texts"], there["meanings"])

    def _upsert(self, table: str, key: str, columns: Sequence[Mapping[str, Any]]) -> None:
        import pyarrow as pa

        rows = pa.Table.from_pylist(list(columns), schema=self._schemas[table])
        self._tables[table].merge_insert(key).when_matched_update_all().when_not_matched_insert_all().execute(rows)
        self._changed = True

    def _upsert_files(self, rows: Iterable[FileRow]) -> list[str]:
        """Returns the contents that have lost their last path."""
        last = {row.path: row for row in rows}
        self._upsert("files", "path", [file_columns(row) for row in last.values()])
        before = [self._id_of.get(path, "") for path in last]
        for row in last.values():
            media_id = "" if row.reason else row.media_id
            self._id_of[row.path] = media_id
            self._names[media_id] += 1
        return self._unname(before)

    def _unname(self, media_ids: Sequence[str]) -> list[str]:
        self._names.subtract(media_ids)
        return [media_id for media_id in dict.fromkeys(media_ids) if media_id and self._names[media_id] <= 0]

    def _drop(self, media_ids: Iterable[str]) -> int:
        known = [media_id for media_id in media_ids if media_id in self._edition_of]
        self._delete("media", "media_id", known)
        self._delete_editions([self._edition_of.pop(media_id) for media_id in known])
        self._delete_texts([self._texts_of.pop(media_id) for media_id in known])
        return len(known)

    def _delete(self, table: str, column: str, texts: Sequence[str]) -> None:
        for start in range(0, len(texts), DELETED_AT_ONCE):
            some = [encode(text) for text in texts[start : start + DELETED_AT_ONCE]]
            self._tables[table].delete(one_of(column, some))
            self._changed = True

    def _delete_texts(self, editions: Iterable[int]) -> None:
        self._delete_editions(editions, "texts", "meanings")

    def _delete_editions(self, editions: Iterable[int], *tables: str) -> None:
        every = np.array(list(editions), dtype=np.int64)
        for start in range(0, len(every), DELETED_AT_ONCE):
            for name in tables or ("segments", "frames"):
                self._tables[name].delete(edition_filter(every[start : start + DELETED_AT_ONCE]))
            self._changed = True

    def optimize(self) -> None:
        """Merge small pieces, drop old states, and bring the indices up to date, that of vectors in one piece."""
        self._beside.wait()
        with self._writing():
            indices.tidy(self._tables, most_fragments=0)
            indices.index_vectors(self, in_one=True)
            indices.drop_old_states(self._tables)
