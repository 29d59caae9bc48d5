"""Where a run stands, how fast each part of it is, and when it will be done."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from data.store.base import FileRow
from indexer.decode import Job

TELL_EVERY_S = 0.1
SETTLED_S = 2.0  # no estimate is made of less


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands. Bytes count the files that need work, a video's in proportion to its decoded time.

    Attributes:
        stage: "index", then perhaps "listen" and "read", last "done".
        media_s: seconds of video and animation done so far.
        elapsed_s: since the work began.
        eta_s: seconds still to go at the rate of the bytes so far; None while it is too early to say.
        rates: what is done a second: "bytes", "media_s", "rows" (written), "pictures" (embedded).
        busy: share of the elapsed time spent in "decode" (waiting for a decoder), "embed" and "write".
    """

    stage: str
    path: str
    done_bytes: int
    total_bytes: int
    done_files: int
    total_files: int
    media_s: float
    elapsed_s: float = 0.0
    eta_s: float | None = None
    rates: Mapping[str, float] = field(default_factory=dict)
    busy: Mapping[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Meter:
    """Counts a run. Several files may be in hand at once."""

    total_bytes: int
    total_files: int
    tell_to: Callable[[Progress], None] | None
    spent_s: dict[str, float] = field(default_factory=lambda: {"decode": 0.0, "embed": 0.0, "write": 0.0})
    rows: int = 0
    pictures: int = 0
    _started_s: float = field(default_factory=time.monotonic)
    _told_s: float = 0.0
    _done_bytes: int = 0
    _done_files: int = 0
    _media_s: float = 0.0
    _parts: dict[str, tuple[int, float]] = field(default_factory=dict)  # path -> bytes, seconds of a file in hand
    _path: str = ""

    def saw(self, job: Job, time_s: float | None) -> None:
        row, duration_s = job.candidate.row, job.info.duration_s
        self._path = row.path
        if time_s is not None and duration_s:
            self._parts[row.path] = (int(row.size_bytes * min(1.0, time_s / duration_s)), time_s)

    def ended(self, row: FileRow, media_s: float = 0.0) -> None:
        self._done_files += 1
        self._done_bytes += row.size_bytes
        self._media_s += media_s
        self._parts.pop(row.path, None)

    def tell(self, *, stage: str = "index", always: bool = False) -> None:
        """A few times a second."""
        now_s = time.monotonic()
        if self.tell_to is None or not (always or now_s - self._told_s > TELL_EVERY_S):
            return
        self._told_s = now_s
        done = self._done_bytes + sum(part for part, _ in self._parts.values())
        media_s = self._media_s + sum(part for _, part in self._parts.values())
        elapsed_s = max(now_s - self._started_s, 1e-6)
        eta_s = None
        if done and elapsed_s > SETTLED_S:
            eta_s = round((self.total_bytes - done) * elapsed_s / done, 1)
        counts = {"bytes": done, "media_s": media_s, "rows": self.rows, "pictures": self.pictures}
        self.tell_to(
            Progress(
                stage, self._path, done, self.total_bytes, self._done_files, self.total_files, media_s,
                round(elapsed_s, 3), eta_s,
                {name: round(count / elapsed_s, 3) for name, count in counts.items()},
                {name: round(spent_s / elapsed_s, 3) for name, spent_s in self.spent_s.items()},
            )
        )  # fmt: skip

    def tell_texts(self, stage: str, path: str, done: int, total: int) -> None:
        """Progress of the texts, counted in media."""
        if self.tell_to is not None:
            elapsed_s = time.monotonic() - self._started_s
            bytes_ = self.total_bytes
            self.tell_to(Progress(stage, path, bytes_, bytes_, done, total, self._media_s, round(elapsed_s, 3)))
