"""index(): files in, a searchable library out. The stages stand in order in that one function.

Decoding runs in processes of its own behind a bounded queue, so that decoder and model work at the same time, memory
stays flat however long a video is, and a codec that crashes costs one file; pictures of many files share one batch of
the model. What a medium adds is written whole or not at all, so stopping at any point leaves a library that searches
and a next run that takes up.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from data.settings import Settings
from data.store.base import FileRow, MediaRows, Store
from data.store.lance import create_or_open
from indexer.decode import Ended, Failed, Job, Known, Picture, Tick, decode_ahead
from indexer.describe import REMARK_STAGE
from indexer.discover import Candidate, Failure, Survey, survey
from indexer.embed import BatchEmbedder
from indexer.enrich import enrich
from indexer.metadata import apply_metadata
from indexer.progress import Meter, Progress
from indexer.sampling import Sampling
from indexer.tables import Table
from models.base import ModelSet

__all__ = ["IndexReport", "Progress", "index", "remove"]

WRITE_EVERY_MEDIA = 64
WRITE_EVERY_FRAMES = 4096
WRITE_EVERY_S = 10.0
FRAMES_STAGE = "frames"


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What a run did. Counts are of paths.

    Attributes:
        indexed: new, changed or upgraded, now searchable.
        failed: not searchable, with the reason; files that failed before and are unchanged are among them.
        not_retried: how many of `failed` were not tried again.
        warnings: searchable, but not whole (a truncated video, say); folders that look unmounted.
        texts: spans of subtitles, speech and on-screen text that came in.
        told: media of which tables or sidecars said something new.
        ignored: extension -> files in folders passed over because they are not media.
    """

    indexed: int
    unchanged: int
    moved: int
    removed: int
    failed: tuple[Failure, ...]
    not_retried: int
    warnings: tuple[Failure, ...]
    texts: int
    told: int
    ignored: dict[str, int]
    seconds: float
    interrupted: bool


def index(
    paths: Sequence[Path],
    *,
    library: Path,
    models: ModelSet,
    settings: Settings,
    sampling: Sampling = "adaptive",
    keep_missing: bool = False,
    prune: bool = False,
    retry_failed: bool = False,
    listen: bool = False,
    crop: bool = False,
    read: bool = False,
    metadata: Sequence[Table] = (),
    on_progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> IndexReport:
    """Bring the library up to date with the files below `paths`.

    Args:
        paths: files and folders (indexer.sources expands globs and lists). Nothing outside them is touched, except
            that a file found to have moved leaves its old place.
        library: folder of the library, made when absent.
        sampling: "fast" looks at key frames only; a later run that is not fast does those videos again, in full.
        keep_missing: keep the rows of files that are gone.
        prune: let them go even where a given folder is empty or is not there, as one is that is not mounted.
        retry_failed: try files again that failed before and have not changed since.
        listen: transcribe the speech of videos without subtitles. Subtitles are always read.
        crop: look at parts of stills too, so that a picture of a thing finds the room it stands in.
        read: read what is written in pictures.
        metadata: what their owner says of the files, beside each one's own FILE.json.
        on_progress: called a few times a second from this thread.
        should_stop: asked between pictures; True ends the run with what is finished kept.

    Raises:
        LibraryError: the library cannot be opened for writing, or holds another model's vectors (IndexMismatch).
        MissingExtra, WeightsUnavailable: a model that listens or reads was asked for and is not here.
    """
    started_s = time.monotonic()
    identities = {channel: identity.as_dict() for channel, identity in models.identities().items()}
    store = create_or_open(library, identities, profile=models.profile)
    run: _Run | None = None
    try:
        known = store.files()
        found = survey(paths, known, skip=[library])
        stage = _stage(sampling, settings.frame_rate)
        upgrades = _upgrades(store, stage)
        todo, quarantined = _todo(found.candidates, upgrades, retry_failed)
        meter = Meter(sum(candidate.row.size_bytes for candidate in todo), len(todo), on_progress)
        sizes = Counter(candidate.row.size_bytes for candidate in todo)
        run = _Run(store, known, meter, stage, settings.frame_rate, upgrades, sizes)
        run.failed.extend((*found.failed, *quarantined))
        embedder = BatchEmbedder(models.joint, models.tagger, settings.batch_size, on_done=run.write)

        with decode_ahead(
            todo, known, settings, picture_side=models.picture_side, sampling=sampling, again=upgrades,
            workers=_workers(settings),
        ) as events:  # fmt: skip
            while True:
                with run.timed("decode"):
                    event = next(events, _END)
                if event is _END:
                    break
                if should_stop is not None and should_stop():
                    run.interrupted = True
                    break
                match event:
                    case Picture(job, time_s, rgb, repeats):
                        with run.timed("embed"):
                            embedder.add(job, time_s, rgb, repeats)
                        meter.rows, meter.pictures = meter.rows + 1, meter.pictures + (rgb is not None)
                        meter.saw(job, time_s)
                    case Tick(job, time_s):
                        meter.saw(job, time_s)
                    case Ended(job):
                        embedder.end(job)
                        run.finished(job)
                    case Known(candidate, media_id, old_path):
                        run.known_content(candidate.row, media_id, old_path)
                    case Failed(candidate, reason, unreadable):
                        embedder.drop(candidate.path)
                        run.fail(candidate, reason, unreadable=unreadable)
                meter.tell()
        with run.timed("embed"):
            embedder.flush()
        run.write_all()

        gone = [] if keep_missing or run.interrupted else run.gone(found, prune=prune)
        store.forget_paths([*run.moved_from, *gone])
        if not run.interrupted:
            beside = ".json" in found.ignored or not all(path.is_dir() for path in paths)
            said = apply_metadata(store, metadata, sidecars_of=paths if beside else ())
            run.warnings.extend(said.problems)
            run.told = said.changed
            texts = enrich(
                store, paths, models, settings, listen=listen, read=read, crop=crop,
                tell=meter.tell_texts, should_stop=should_stop,
            )  # fmt: skip
            run.warnings.extend(texts.warnings)
            run.interrupted, run.texts = texts.interrupted, texts.spans
        meter.tell(stage="done", always=True)
    except BaseException:
        if run is not None:
            run.write_all()  # what was finished before the defect is kept
        raise
    finally:
        store.close()
    return IndexReport(
        indexed=run.indexed,
        unchanged=len(found.candidates) - len(todo) - len(quarantined),
        moved=run.moved,
        removed=len(gone),
        failed=tuple(run.failed),
        not_retried=len(quarantined),
        warnings=tuple(run.warnings),
        texts=run.texts,
        told=run.told,
        ignored=found.ignored,
        seconds=round(time.monotonic() - started_s, 3),
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


_END = object()


def _workers(settings: Settings) -> int:
    """Decoding processes. A decoder has threads of its own, so a quarter of the cores keeps a model fed."""
    return settings.workers or min(8, max(1, (os.cpu_count() or 1) // 4))


def _stage(sampling: Sampling, frame_rate: float) -> str:
    """How frames are chosen, as the library notes it of each medium: "adaptive-2", "fixed-2", "fast-0"."""
    return f"{sampling}-{0 if sampling == 'fast' else frame_rate:g}"


def _rate_of(stage: str) -> float:
    """Base rate of a noted stage; a library of an older release does not say, and has no fast passes."""
    try:
        return float(stage.rpartition("-")[2])
    except ValueError:
        return float("inf")


def _upgrades(store: Store, stage: str) -> frozenset[str]:
    """Videos and animations in the library with fewer frames than this run would give them."""
    stages = store.stages()
    short = {name for name, done in stages.items() if _rate_of(done.get(FRAMES_STAGE, "")) < _rate_of(stage)}
    return (
        frozenset(item.media_id for item in store.media(sorted(short)) if item.info.duration_s)
        if short
        else frozenset()
    )


def _todo(
    candidates: Sequence[Candidate], upgrades: frozenset[str], retry_failed: bool
) -> tuple[list[Candidate], list[Failure]]:
    """(files to work on, files that failed before and are left alone)."""
    todo: list[Candidate] = []
    quarantined: list[Failure] = []
    coming: set[str] = set()
    for candidate in candidates:
        known_id = candidate.known.media_id if candidate.known is not None else ""
        if candidate.failed_before and not retry_failed:
            quarantined.append(Failure(candidate.row.path, candidate.failed_before))
        elif not candidate.untouched:
            todo.append(candidate)
        elif known_id in upgrades and known_id not in coming:  # of several copies one
            coming.add(known_id)
            todo.append(candidate)
    return todo, quarantined


@dataclass(slots=True)
class _Run:
    """The books of one run: what waits to be written, and what was counted."""

    store: Store
    known: dict[str, FileRow]
    meter: Meter
    stage: str
    frame_rate: float
    upgrades: frozenset[str]
    sizes: Counter[int]  # of the files to work on
    indexed: int = 0
    moved: int = 0
    texts: int = 0
    told: int = 0
    interrupted: bool = False
    moved_from: set[str] = field(default_factory=set)
    failed: list[Failure] = field(default_factory=list)
    warnings: list[Failure] = field(default_factory=list)
    _waiting: list[MediaRows] = field(default_factory=list)
    _changed: list[MediaRows] = field(default_factory=list)
    _file_rows: list[FileRow] = field(default_factory=list)
    _wrote_s: float = field(default_factory=time.monotonic)

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        started_s = time.monotonic()
        try:
            yield
        finally:
            self.meter.spent_s[part] += time.monotonic() - started_s

    def finished(self, job: Job) -> None:
        row = job.candidate.row
        self.warnings.extend(Failure(row.path, warning) for warning in job.warnings)
        self.meter.ended(row, job.edges_s[-1] if job.edges_s else 0.0)

    def write(self, rows: MediaRows) -> None:
        """A medium is whole: written with the next batch."""
        self.indexed += 1
        # Only videos have key frames: an animation of a fast run is whole.
        stage = self.stage if rows.info.kind == "video" else _stage("adaptive", self.frame_rate)
        rows = replace(rows, stages={**rows.stages, FRAMES_STAGE: stage})
        if rows.media_id in self.upgrades:
            rows = self._with_what_was_there(rows)
        if self._old_content_may_turn_up(rows):
            self._changed.append(rows)
            return
        self._waiting.append(rows)
        frames = sum(len(waiting.times_s) for waiting in self._waiting)
        late = time.monotonic() - self._wrote_s > WRITE_EVERY_S
        if len(self._waiting) >= WRITE_EVERY_MEDIA or frames >= WRITE_EVERY_FRAMES or late:
            self.write_media()

    def _old_content_may_turn_up(self, rows: MediaRows) -> bool:
        """What this path held may be found under another name in this run, and the store drops a content with its last
        name: so names are written first. Only a file of that very size can hold it; without one nothing waits."""
        before = self.known.get(rows.file.path)
        if before is None or before.media_id in ("", rows.media_id):
            return False
        return self.sizes[before.size_bytes] > (rows.file.size_bytes == before.size_bytes)

    def _with_what_was_there(self, rows: MediaRows) -> MediaRows:
        """Texts and fields do not rest on the frames: they stay when these are done again."""
        stages = self.store.stages().get(rows.media_id, {})
        stages.pop(REMARK_STAGE, None)
        item = next(iter(self.store.media([rows.media_id])), None)
        return replace(
            rows,
            texts=self.store.texts(rows.media_id),
            stages={**stages, **rows.stages},
            fields=item.fields if item is not None else {},
        )

    def known_content(self, row: FileRow, media_id: str, old_path: str | None) -> None:
        """The same bytes are in the library already: a move when their old path is gone, otherwise a further copy."""
        self._file_rows.append(replace(row, media_id=media_id))
        if old_path is None:
            self.indexed += 1
        else:
            self.moved += 1
            self.moved_from.add(old_path)
        self.meter.ended(row)

    def fail(self, candidate: Candidate, reason: str, *, unreadable: bool) -> None:
        """What was found under this path before stays found where the bytes could not be had, or are those it was
        made of; the store drops it with a failed row."""
        row, before = candidate.row, candidate.known
        self.failed.append(Failure(row.path, reason))
        kept = before is not None and before.media_id and (unreadable or candidate.untouched)
        if not kept:
            # A time no file has: bytes that could not be had just now are asked for again by the next run.
            self._file_rows.append(replace(row, reason=reason, mtime_ns=-1 if unreadable else row.mtime_ns))
        self.meter.ended(row)

    def gone(self, found: Survey, *, prune: bool) -> list[str]:
        """Paths that leave the library. A given folder with nothing left in it takes nothing along: it is told."""
        leaving = [path for path in found.gone if path not in self.moved_from]
        for folder, names in found.emptied.items():
            names = tuple(name for name in names if name not in self.moved_from)
            if prune:
                leaving.extend(names)
            elif names:
                there = os.path.isdir(folder)
                state = "is empty, as a drive is that is not mounted" if there else "no such file or folder"
                count = f"{len(names):,} {'file' if len(names) == 1 else 'files'}"
                told = Failure(
                    folder,
                    f"{state}; what was indexed from it stays ({count}). "
                    "'secondsight remove PATH' or 'index --prune PATH' takes it out",
                )
                (self.warnings if there else self.failed).append(told)
        return leaving

    def write_media(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            with self.timed("write"):
                self.store.add(waiting)
        self._wrote_s = time.monotonic()

    def write_all(self) -> None:
        """New media, then the names, then what replaces the content of a name; again, and nothing is written twice."""
        self.write_media()
        rows, self._file_rows = self._file_rows, []
        if rows:
            self.store.record_files(rows)
        self._waiting, self._changed = self._changed, []
        self.write_media()
