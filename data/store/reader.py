"""The reading half of the LanceDB store: every call answers from one finished state of the library."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from data.errors import IndexMismatch, LibraryBusy
from data.store import conditions, faiss, meanings, on_disk
from data.store.base import FileRow, Filter, FrameVectors, StoreStats
from data.store.create import FOREIGN, open_tables, size_bytes
from data.store.lists import VectorIndex
from data.store.manifest import VECTORS, Manifest, damaged
from data.store.resident import MOST_IDS_BY_NAME, Media, Rows, nearest_held, read_rows, spread, vector_rows, wholes
from data.store.rows import decode, file_rows, media_item, one_of, schemas, segment, text_spans, vector_column
from data.store.words import best_spans
from data.types import Hit, MediaItem, Segment, TextChannel, TextHit, TextSpan, Vectors

T = TypeVar("T")

# Vectors of one channel held in memory: 260,000 frames of 512, or 36 hours of film at 2 a second.
MOST_RESIDENT_BYTES = 512 * 2**20
TRIES = 20


class Reader:
    """See data.store.lance.LanceStore. Safe to share between threads.

    Attributes:
        directory: of the library.
        manifest: what it was made with.
    """

    def __init__(self, directory: Path, manifest: Manifest) -> None:
        self.directory, self.manifest = directory, manifest
        self._schemas = schemas(manifest.models)
        self._tables = open_tables(directory, manifest.tables, self._schemas)
        self._mutex = threading.RLock()
        self._media: Media | None = None
        self._seen: set[str] | None = None
        self._versions = os.fspath(directory / manifest.tables / "media.lance" / "_versions")
        self._held: dict[str, Rows] = {}
        vectors = directory / VECTORS / manifest.tables
        self._folders = {channel: vectors / quote(channel, safe="") for channel in manifest.models}
        self._indices: dict[str, tuple[list[str], tuple[VectorIndex, ...]]] = {}

    def files(self) -> dict[str, FileRow]:
        """All paths that were looked at, by path."""
        return self._consistent(lambda _: file_rows(self._tables["files"].to_arrow()))

    def media(self, media_ids: Sequence[str] | None = None) -> Iterator[MediaItem]:
        """Finished media: those asked for, in that order, or all in order of writing; unknown ids are left out.

        The path is that of a copy that exists, where one does.
        """
        return iter(self._consistent(lambda media: self._items(media, media_ids)))

    def segments(self, media_id: str) -> list[Segment]:
        """Segments of a medium in order; none when there is no such medium."""

        def read(media: Media) -> list[Segment] | None:
            row = media.row_of.get(media_id)
            if row is None:
                return []
            held = self._hold("segments", "segments", ("index", "start_s", "end_s", "seen"), media, "n_segments")
            if held is None:
                return None
            columns = (column.tolist() for column in held.of(row))
            return [segment(media_id, i, _time(s), _time(e), seen) for i, s, e, seen in zip(*columns, strict=True)]

        return self._consistent(read)

    def search_vectors(self, channel: str, vector: npt.NDArray[np.float32], k: int, where: Filter) -> list[Hit]:
        """The k nearest frames by dot product, best first; fewer only when no more exist.

        Exact, but for libraries too large for memory, whose wide searches go through the vector index.

        Args:
            channel: one of the manifest's.
            vector: (dim,) float32.
            k: how many, at least 1.
            where: what may be returned.

        Raises:
            IndexMismatch: the library has no such channel, or its vectors have another length.
        """
        dim = self._dim(channel)
        query = np.asarray(vector, dtype=np.float32)
        if query.shape != (dim,):
            raise IndexMismatch(
                f"A query vector of shape {query.shape} does not fit the {channel!r} vectors of length {dim} "
                f"in the library at {str(self.directory)!r}.",
                remedy=f"Search with the profile it was made with, {self.manifest.profile}.",
            )
        if k < 1 or not np.isfinite(query).all():
            raise ValueError(f"k = {k} must be at least 1, and the query finite")
        return self._consistent(lambda media: self._nearest(media, channel, query, k, where))

    def frame_vectors(self, channel: str, media_id: str) -> FrameVectors:
        """All frames of a medium in one channel, in order of time; none when there is no such medium."""
        dim = self._dim(channel)

        def read(media: Media) -> FrameVectors | None:
            row = media.row_of.get(media_id)
            if row is None:
                return FrameVectors(np.empty(0), np.empty(0, np.int32), np.empty((0, dim), np.float32))
            if self._fits(media, dim):
                held = self._hold_frames(media, channel)
            else:
                for index in self._index(media, channel):
                    found = index.of(media.editions[row])
                    if found is not None:
                        return FrameVectors(*found)
                one = slice(row, row + 1)
                counts = media.column("n_frames")[one]
                held = read_rows(self._tables["frames"], _frame_columns(channel), None, media.editions[one], counts)
                row = 0
            return None if held is None else FrameVectors(*held.of(row))

        return self._consistent(read)

    def search_texts(
        self, words: str, k: int, where: Filter, *, channels: Sequence[TextChannel] = (), phrase: bool = False
    ) -> list[TextHit]:
        """The k best spans by BM25 (Robertson and Zaragoza 2009), best first, in English and Chinese.

        Fewer only when no more hold any of the words; what was just written is found as well.

        Args:
            channels: empty means all. phrase: the words must stand together, in this order.
        """
        if k < 1:
            raise ValueError(f"k = {k} must be at least 1")
        texts = self._tables["texts"]
        return self._consistent(
            lambda media: best_spans(texts, media, self._allowed(media, where), words, k, channels, phrase)
        )

    def texts(self, media_id: str, channels: Sequence[TextChannel] = ()) -> list[TextSpan]:
        """Spans of one medium in order of time; channels: empty means all."""

        def read(media: Media) -> list[TextSpan] | None:
            row = media.row_of.get(media_id)
            if row is None or not media.column("n_texts")[row]:
                return []
            edition = media.column("texts_edition")[row]
            found = self._tables["texts"].search().where(f"edition = {edition}").to_arrow()
            if found.num_rows != media.column("n_texts")[row]:
                return None
            spans = text_spans(found)
            kept = [span for span in spans if not channels or span.channel in channels]
            return sorted(kept, key=lambda span: (span.start_s or 0.0, span.end_s or 0.0))

        return self._consistent(read)

    def search_meanings(self, vector: Any, k: int, where: Filter) -> tuple[list[TextHit], Vectors]:
        """The k captions nearest by dot product, best first, exactly, and their vectors. vector: (dim,) float32."""
        return self._consistent(lambda media: meanings.best(self, media, vector, k, self._allowed(media, where)))

    def meanings(self, media_id: str) -> tuple[list[TextSpan], Vectors]:
        """Captions of one medium that have vectors, and those, (n, dim)."""
        return self._consistent(lambda media: meanings.of_one(self, media, media_id))

    def sample_meanings(self, most: int) -> Vectors:
        """Up to `most` captions' vectors, (n, dim), spread evenly over the library."""
        return self._consistent(lambda media: meanings.sample(self, media, most))

    def stages(self) -> dict[str, dict[str, str]]:
        """media_id -> what was done to it, of all finished media."""

        def read(media: Media) -> dict[str, dict[str, str]]:
            stages = media.table["stages"].to_pylist()
            return {media_id: json.loads(stages[row]) for media_id, row in media.row_of.items()}

        return self._consistent(read)

    def sample_vectors(self, channel: str, most: int) -> Vectors:
        """Up to `most` frames' vectors, (n, dim), spread evenly over the library in order of writing."""
        dim = self._dim(channel)

        def read(media: Media) -> Vectors | None:
            column = vector_column(channel)
            if self._fits(media, dim):
                held = self._hold_frames(media, channel)
                if held is None:
                    return None
                rows = wholes(held.columns["time_s"], held.columns["segment"])
                vectors: Vectors = held.columns[column][rows[spread(len(rows), most)]]
                return vectors
            some = self._tables["frames"].take_offsets(spread(self._tables["frames"].count_rows(), most).tolist())
            found = some.select(["time_s", "segment", column]).to_arrow()
            return vector_rows(found[column])[wholes(found["time_s"].to_numpy(), found["segment"].to_numpy())]

        return self._consistent(read)

    def stats(self) -> StoreStats:
        """Counts of finished media and of paths; the size is that of the whole directory."""

        def read(media: Media) -> StoreStats:
            files = self._tables["files"]
            return StoreStats(
                media=dict(sorted(Counter(media.kinds.tolist()).items())),
                files=files.count_rows(),
                failed=files.count_rows("reason != ''"),
                segments=int(media.column("n_segments").sum()),
                frames=int(media.column("n_frames").sum()),
                texts=int(media.column("n_texts").sum()),
                duration_s=float(np.nansum(media.column("duration_s"))),
                size_on_disk_bytes=size_bytes(self.directory),
            )

        return self._consistent(read)

    def close(self) -> None:
        """Let go of what is held in memory."""
        self._media, self._held, self._indices = None, {}, {}

    # One state of the library

    def _consistent(self, read: Callable[[Media], T | None]) -> T:
        """What `read` makes of the newest finished media; again when it found rows gone because a writer moved on."""
        for _ in range(TRIES):
            cause: Exception | str = "rows are missing"
            version = None
            try:
                media = self._current()
                version = media.version
                result = read(media)
                if result is not None:
                    return result
            except FOREIGN as error:
                cause = error
            try:
                moved_on = version is not None and self._tables["media"].version != version
            except FOREIGN as error:
                cause, moved_on = error, False
            if not moved_on:
                raise damaged(self.directory, cause) from (cause if isinstance(cause, Exception) else None)
        raise LibraryBusy(f"The library at {str(self.directory)!r} changes too fast to be read.", remedy="Try again.")

    def _current(self) -> Media:
        with self._mutex:
            seen = self._seen_states()
            if self._media is None or seen is None or seen != self._seen:
                if self._media is None or self._tables["media"].version != self._media.version:
                    self._media = Media.read(self._tables["media"])
                self._seen = seen
            return self._media

    def _seen_states(self) -> set[str] | None:
        """Names of the states of the media, of which each write makes a new one.

        Asking the database instead goes through a thread of its own, which on a busy machine took longer than a search.
        """
        try:
            return set(os.listdir(self._versions))
        except OSError:
            return None

    def _hold(self, key: str, table: str, columns: tuple[str, ...], media: Media, counts: str) -> Rows | None:
        """Rows of all `media`, from memory as far as they were read before."""
        with self._mutex:
            held = self._held.get(key)
            if held is not None and np.array_equal(held.editions, media.editions):
                return held
            held = read_rows(self._tables[table], columns, held, media.editions, media.column(counts))
            if held is not None:
                self._held[key] = held
            return held

    def _hold_frames(self, media: Media, channel: str) -> Rows | None:
        return self._hold(vector_column(channel), "frames", _frame_columns(channel), media, "n_frames")

    def _hold_outside(self, parts: Sequence[VectorIndex], media: Media, channel: str) -> Rows | None:
        """Rows of the media that the indices do not hold."""
        out = faiss.divided(parts, media)
        with self._mutex:
            key = f"outside {channel}"
            held = self._held.get(key)
            if held is None or not np.array_equal(held.editions, out.editions):
                held = read_rows(self._tables["frames"], _frame_columns(channel), held, out.editions, out.counts)
                if held is not None:
                    self._held[key] = held
            return held

    def _index(self, media: Media, channel: str) -> tuple[VectorIndex, ...]:
        """The FAISS indices to search; none where there are none, or what they lack would not fit in memory."""
        parts = self._open_indices(channel) if faiss.installed() else ()
        outside = int(faiss.divided(parts, media).counts.sum())
        return parts if outside * self._dim(channel) * 4 <= faiss.MOST_OUTSIDE_BYTES else ()

    def _open_indices(self, channel: str) -> tuple[VectorIndex, ...]:
        """Those in force, oldest first."""
        with self._mutex:
            for _ in range(2):
                names = faiss.names_in(self._index_folder(channel))
                seen, parts = self._indices.get(channel, ([], ()))
                if names == seen:
                    return parts
                held = {index.path: index for index in parts}
                paths = faiss.in_force(self._index_folder(channel))
                try:
                    parts = tuple(held.get(path) or faiss.open_index(path) for path in paths)
                except FOREIGN:  # it is being replaced, or is of another release: the tables know the same
                    continue
                self._indices[channel] = names, parts
                return parts
            return ()

    def _index_folder(self, channel: str) -> Path:
        return self._folders[channel]

    def _fits(self, media: Media, dim: int) -> bool:
        return int(media.column("n_frames").sum()) * dim * 4 <= MOST_RESIDENT_BYTES

    def _dim(self, channel: str) -> int:
        if channel not in self.manifest.models:
            raise IndexMismatch(
                f"The library at {str(self.directory)!r} has no {channel!r} vectors, "
                f"only {', '.join(map(repr, self.manifest.models))}.",
                remedy=f"Search with the profile it was made with, {self.manifest.profile}.",
            )
        return int(self.manifest.models[channel]["dim"])

    # What the calls are made of

    def _items(self, media: Media, media_ids: Sequence[str] | None) -> list[MediaItem]:
        rows = list(range(len(media.editions))) if media_ids is None else media.rows(media_ids)
        if not rows:
            return []
        columns = media.table.take(rows).to_pylist()
        query = self._tables["files"].search().select(["path", "media_id"])
        if len(rows) <= MOST_IDS_BY_NAME:
            query = query.where(f"reason = '' AND {one_of('media_id', [row['media_id'] for row in columns])}")
        else:
            query = query.where("reason = ''")
        found = query.to_arrow()
        paths = defaultdict(list)
        for media_id, path in zip(found["media_id"].to_pylist(), found["path"].to_pylist(), strict=True):
            paths[media_id].append(decode(path))
        # A medium whose only path was just given other content is about to go.
        return [media_item(row, paths[row["media_id"]]) for row in columns if row["media_id"] in paths]

    def _nearest(
        self, media: Media, channel: str, query: npt.NDArray[np.float32], k: int, where: Filter
    ) -> list[Hit] | None:
        allowed = self._allowed(media, where)
        if not allowed.any():
            return []
        if self._fits(media, len(query)):
            held = self._hold_frames(media, channel)
            found = None if held is None else nearest_held(held, vector_column(channel), query, k, allowed)
        else:
            parts = self._index(media, channel)
            if not parts:
                frames = self._tables["frames"]
                found = on_disk.nearest_on_disk(frames, media, allowed, where, channel, query, k)
            else:
                outside = self._hold_outside(parts, media, channel)
                if outside is None:
                    return None
                found = faiss.nearest_indexed(parts, media, outside, vector_column(channel), query, k, allowed)
        return None if found is None else _hits(media, channel, *found)

    def _allowed(self, media: Media, where: Filter) -> npt.NDArray[np.bool_]:
        """(m,) which media `where` lets through, conditions included."""
        allowed = media.allowed(where)
        return allowed & conditions.hold(where.conditions, media, self._paths) if where.conditions else allowed

    def _paths(self) -> dict[str, list[str]]:
        """media_id -> its paths."""
        found = self._tables["files"].search().select(["path", "media_id"]).where("reason = ''").to_arrow()
        paths: dict[str, list[str]] = defaultdict(list)
        for media_id, path in zip(found["media_id"].to_pylist(), found["path"].to_pylist(), strict=True):
            paths[decode(media_id)].append(decode(path))
        return paths


def _frame_columns(channel: str) -> tuple[str, ...]:
    return "time_s", "segment", vector_column(channel)


def _hits(media: Media, channel: str, media_rows: Any, times_s: Any, scores: Any) -> list[Hit]:
    return [
        Hit(media_id, _time(time_s), channel, score)
        for media_id, time_s, score in zip(media.ids(media_rows), times_s.tolist(), scores.tolist(), strict=True)
    ]


def _time(time_s: float) -> float | None:
    return None if time_s != time_s else time_s
