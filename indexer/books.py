"""The books of one run: what waits to be written, in which order it is written, and what was counted."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from data.store.base import FileRow, MediaRows, Store
from indexer.decode import Job
from indexer.describe import REMARK_STAGE
from indexer.discover import Candidate, Failure, Survey
from indexer.progress import Meter
from indexer.sampling import Sampling

WRITE_EVERY_MEDIA = 64
WRITE_EVERY_FRAMES = 4096
WRITE_EVERY_S = 10.0
FRAMES_STAGE = "frames"


def stage_of(sampling: Sampling, frame_rate: float) -> str:
    """How frames are chosen, as the library notes it of each medium: "adaptive-2", "fixed-2", "fast-0"."""
    return f"{sampling}-{0 if sampling == 'fast' else frame_rate:g}"


@dataclass(slots=True)
class Books:
    """A run as far as it has come."""

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
    cropped: int = 0
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
        stage = self.stage if rows.info.kind == "video" else stage_of("adaptive", self.frame_rate)
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
