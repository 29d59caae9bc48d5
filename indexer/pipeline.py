"""index(): files in, a searchable library out. The stages stand in order in that one function.

Decoding runs in a thread of its own behind a bounded queue, so that decoder and model work at the same time and memory
stays flat however long a video is; pictures of many files share one batch of the model. What a medium adds is
written whole or not at all, so stopping at any point leaves a library that searches and a next run that takes up.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from data.settings import Settings
from data.store.base import FileRow, MediaRows, Store
from data.store.lance import create_or_open
from indexer.decode import Ended, Failed, Job, Known, Picture, decode_ahead
from indexer.discover import Failure, survey
from indexer.embed import BatchEmbedder
from indexer.enrich import Tell, enrich
from models.base import ModelSet

WRITE_EVERY_MEDIA = 64
WRITE_EVERY_FRAMES = 4096
WRITE_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands. Bytes count the files that need work, a video's in proportion to its decoded time."""

    stage: str
    path: str
    done_bytes: int
    total_bytes: int
    done_files: int
    total_files: int
    media_s: float


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What a run did. Counts are of paths.

    Attributes:
        indexed: new or changed, now searchable.
        failed: not searchable, with the reason.
        warnings: searchable, but not whole (a truncated video, say).
        texts: spans of subtitles, speech and on-screen text that came in.
        ignored: extension -> files in folders passed over because they are not media.
    """

    indexed: int
    unchanged: int
    moved: int
    removed: int
    failed: tuple[Failure, ...]
    warnings: tuple[Failure, ...]
    texts: int
    ignored: dict[str, int]
    seconds: float
    interrupted: bool


def index(
    paths: Sequence[Path],
    *,
    library: Path,
    models: ModelSet,
    settings: Settings,
    keep_missing: bool = False,
    listen: bool = False,
    read: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> IndexReport:
    """Bring the library up to date with the files below `paths`.

    Args:
        paths: files and folders. Nothing outside them is touched, except that a file found to have moved leaves its
            old place.
        library: folder of the library, made when absent.
        keep_missing: keep the rows of files that are gone.
        listen: transcribe the speech of videos without subtitles. Subtitles are always read.
        read: read what is written in pictures.
        on_progress: called a few times a second from this thread.
        should_stop: asked between pictures; True ends the run with what is finished kept.

    Raises:
        LibraryError: the library cannot be opened for writing, or holds another model's vectors (IndexMismatch).
        MissingExtra, WeightsUnavailable: a model that listens or reads was asked for and is not here.
    """
    started = time.monotonic()
    identities = {channel: identity.as_dict() for channel, identity in models.identities().items()}
    store = create_or_open(library, identities, profile=models.profile)
    run: _Run | None = None
    try:
        known = store.files()
        found = survey(paths, known, skip=[library])
        todo = [candidate for candidate in found.candidates if not candidate.untouched]
        run = _Run(store, known, total_bytes=sum(c.row.size_bytes for c in todo), total_files=len(todo))
        run.failed.extend(found.failed)
        embedder = BatchEmbedder(models.joint, settings.batch_size, on_done=run.write)

        with decode_ahead(todo, known, settings, picture_side=models.picture_side) as events:
            for event in events:
                if should_stop is not None and should_stop():
                    run.interrupted = True
                    break
                match event:
                    case Picture(job, frame):
                        embedder.add(job, frame)
                        run.saw(job, frame.time_s)
                    case Ended(job):
                        embedder.end(job)
                        run.finished(job)
                    case Known(candidate, media_id, old_path):
                        run.known_content(candidate.row, media_id, old_path)
                    case Failed(candidate, reason, unreadable):
                        embedder.drop(candidate.path)
                        run.fail(candidate.row, reason, keep=unreadable)
                if on_progress is not None:
                    run.tell(on_progress)
        embedder.flush()
        run.write_all()

        gone = [path for path in found.gone if path not in run.moved_from]
        removed = 0 if keep_missing or run.interrupted else len(gone)
        store.forget_paths([*run.moved_from, *(gone if removed else ())])
        if not run.interrupted:
            texts = enrich(
                store, paths, models, settings, listen=listen, read=read,
                tell=run.teller(on_progress), should_stop=should_stop,
            )  # fmt: skip
            run.warnings.extend(texts.warnings)
            run.interrupted, run.texts = texts.interrupted, texts.spans
        if on_progress is not None:
            run.tell(on_progress, stage="done", always=True)
    except BaseException:
        if run is not None:
            run.write_all()  # what was finished before the defect is kept
        raise
    finally:
        store.close()
    return IndexReport(
        indexed=run.indexed,
        unchanged=len(found.candidates) - len(todo),
        moved=run.moved,
        removed=removed,
        failed=tuple(run.failed),
        warnings=tuple(run.warnings),
        texts=run.texts,
        ignored=found.ignored,
        seconds=round(time.monotonic() - started, 3),
        interrupted=run.interrupted,
    )


def remove(paths: Sequence[Path], *, library: Path) -> int:
    """Take files, or all files below folders, out of the library; the files themselves are not touched.

    Returns:
        How many paths left the library.
    """
    from data.store.lance import read_manifest

    manifest = read_manifest(library)
    store = create_or_open(library, manifest.models, profile=manifest.profile)
    try:
        roots = [os.path.abspath(path) for path in paths]
        leaving = [
            name
            for name in store.files()
            if any(name == root or name.startswith(root.rstrip("/") + "/") for root in roots)
        ]
        store.forget_paths(leaving)
        return len(leaving)
    finally:
        store.close()


@dataclass(slots=True)
class _Run:
    """The books of one run: what waits to be written, what was counted, where it stands."""

    store: Store
    known: dict[str, FileRow]
    total_bytes: int
    total_files: int
    indexed: int = 0
    moved: int = 0
    texts: int = 0
    interrupted: bool = False
    moved_from: set[str] = field(default_factory=set)
    failed: list[Failure] = field(default_factory=list)
    warnings: list[Failure] = field(default_factory=list)
    _waiting: list[MediaRows] = field(default_factory=list)
    _changed: list[MediaRows] = field(default_factory=list)
    _file_rows: list[FileRow] = field(default_factory=list)
    _wrote_at: float = field(default_factory=time.monotonic)
    _told_at: float = 0.0
    _done_bytes: int = 0
    _part_bytes: int = 0
    _done_files: int = 0
    _media_s: float = 0.0
    _part_s: float = 0.0
    _path: str = ""

    def saw(self, job: Job, time_s: float | None) -> None:
        self._path = job.candidate.row.path
        if time_s is not None and job.info.duration_s:
            self._part_s = time_s
            self._part_bytes = int(job.candidate.row.size_bytes * min(1.0, time_s / job.info.duration_s))

    def finished(self, job: Job) -> None:
        self._media_s += job.duration_s or 0.0
        for warning in job.warnings:
            self.warnings.append(Failure(job.candidate.row.path, warning))
        self._count(job.candidate.row)

    def write(self, rows: MediaRows) -> None:
        """A medium is whole: written with the next batch."""
        self.indexed += 1
        before = self.known.get(rows.file.path)
        if before is not None and before.media_id:
            # Its old content may turn up under another name later in this run, and the store drops a content with its
            # last name: so names are written first.
            self._changed.append(rows)
            return
        self._waiting.append(rows)
        frames = sum(len(waiting.times_s) for waiting in self._waiting)
        late = time.monotonic() - self._wrote_at > WRITE_EVERY_S
        if len(self._waiting) >= WRITE_EVERY_MEDIA or frames >= WRITE_EVERY_FRAMES or late:
            self.write_media()

    def known_content(self, row: FileRow, media_id: str, old_path: str | None) -> None:
        """The same bytes are in the library already: a move when their old path is gone, otherwise a further copy."""
        self._file_rows.append(replace(row, media_id=media_id))
        if old_path is None:
            self.indexed += 1
        else:
            self.moved += 1
            self.moved_from.add(old_path)
        self._count(row)

    def fail(self, row: FileRow, reason: str, *, keep: bool) -> None:
        """keep: a content that was found under this path before stays found; the store drops it with a failed row."""
        self.failed.append(Failure(row.path, reason))
        if not (keep and row.path in self.known):
            self._file_rows.append(replace(row, reason=reason))
        self._count(row)

    def write_media(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            self.store.add(waiting)
        self._wrote_at = time.monotonic()

    def write_all(self) -> None:
        """New media, then the names, then what replaces the content of a name; again, and nothing is written twice."""
        self.write_media()
        rows, self._file_rows = self._file_rows, []
        if rows:
            self.store.record_files(rows)
        self._waiting, self._changed = self._changed, []
        self.write_media()

    def tell(self, on_progress: Callable[[Progress], None], *, stage: str = "index", always: bool = False) -> None:
        now = time.monotonic()
        if always or now - self._told_at > 0.1:
            self._told_at = now
            done = self._done_bytes + self._part_bytes
            media_s = self._media_s + self._part_s
            on_progress(
                Progress(stage, self._path, done, self.total_bytes, self._done_files, self.total_files, media_s)
            )

    def teller(self, on_progress: Callable[[Progress], None] | None) -> Tell | None:
        """Progress of the texts, counted in media."""
        if on_progress is None:
            return None

        def tell(stage: str, path: str, done: int, total: int) -> None:
            on_progress(Progress(stage, path, self.total_bytes, self.total_bytes, done, total, self._media_s))

        return tell

    def _count(self, row: FileRow) -> None:
        self._done_files += 1
        self._done_bytes += row.size_bytes
        self._part_bytes, self._part_s = 0, 0.0
