"""Decoding ahead of the model, in processes of its own; events come out of one bounded queue.

One thread for each process takes files in turn: it hashes, asks whether the content is known, has it decoded
(`indexer.process`) and passes on what comes. A process that crashes or goes silent costs its file, and the thread
starts another.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

from data.settings import Settings
from data.store.base import FileRow
from data.types import MediaInfo, Pixels
from indexer import wire
from indexer.discover import Candidate, Stopped, content_hash, is_gone
from indexer.process import Decoder, Lost
from indexer.sampling import Sampling

QUEUE_EVENTS = 64  # decoded pictures that may wait for the model: at 256 px short side under 25 MB


@dataclass(slots=True)
class Job:
    """One new content on its way through decode and model; edges_s and warnings are complete when it ends."""

    candidate: Candidate
    media_id: str
    info: MediaInfo
    edges_s: list[float] | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """A row of a medium. rgb is None where it looks the same as the earlier row number `repeats`."""

    job: Job
    time_s: float | None
    rgb: Pixels | None
    repeats: int | None = None


@dataclass(frozen=True, slots=True)
class Tick:
    """A decoder is at work: it stands at time_s of its file."""

    job: Job
    time_s: float


@dataclass(frozen=True, slots=True)
class Ended:
    job: Job


@dataclass(frozen=True, slots=True)
class Known:
    """The content needs no work. old_path: a path of it that is no longer there, None when it is a further copy."""

    candidate: Candidate
    media_id: str
    old_path: str | None


@dataclass(frozen=True, slots=True)
class Failed:
    """unreadable: the bytes could not be had just now, so what is known of the path stays; else they are no good."""

    candidate: Candidate
    reason: str
    unreadable: bool = False


Event = Picture | Tick | Ended | Known | Failed


@contextmanager
def decode_ahead(
    candidates: Sequence[Candidate],
    known: Mapping[str, FileRow],
    settings: Settings,
    *,
    picture_side: int,
    sampling: Sampling = "adaptive",
    again: frozenset[str] = frozenset(),
    workers: int = 1,
) -> Iterator[Iterator[Event | None]]:
    """Events of all candidates, those of one file in order; None while all wait, so that the caller can stop.

    Leaving the context ends the processes and threads. An unexpected error of a thread is raised from the iterator.

    Args:
        again: contents that are in the library and are decoded once more.
        workers: decoding processes; none is started before there is something to decode.
    """
    work = _Work(candidates, known, settings, picture_side, sampling, again)
    threads = [
        threading.Thread(target=work.run, name=f"decode-{number}", daemon=True)
        for number in range(max(1, min(workers, len(candidates))))
    ]
    work.running = len(threads)
    for thread in threads:
        thread.start()
    try:
        yield work.drain()
    finally:
        work.stop.set()
        work.end_processes()
        for thread in threads:
            thread.join()


class _Work:
    """What the threads share: the files still to do, and which contents are known or in somebody's hands."""

    def __init__(
        self,
        candidates: Sequence[Candidate],
        known: Mapping[str, FileRow],
        settings: Settings,
        picture_side: int,
        sampling: Sampling,
        again: frozenset[str],
    ) -> None:
        self._left = iter(candidates)
        self._job = {
            "picture_side": picture_side, "sampling": sampling,
            "frame_rate": settings.frame_rate, "max_pixels": settings.max_pixels,
        }  # fmt: skip
        self._events: queue.Queue[Event | BaseException | None] = queue.Queue(maxsize=QUEUE_EVENTS)
        self._free = threading.Condition()
        self._in_hand: set[str] = set()
        self._again = set(again)
        self._paths_of: dict[str, list[str]] = {}
        for row in known.values():
            if row.media_id:
                self._paths_of.setdefault(row.media_id, []).append(row.path)
        self._decoders: list[Decoder] = []
        self.stop = threading.Event()
        self.running = 0

    def run(self) -> None:
        decoder = Decoder()
        with self._free:
            self._decoders.append(decoder)
        try:
            while not self.stop.is_set():
                with self._free:
                    candidate = next(self._left, None)
                if candidate is None:
                    break
                for event in self._events_of(candidate, decoder):
                    if not self._put(event):
                        return
            self._put(None)
        except Stopped:
            pass
        except BaseException as error:  # handed over, raised in the caller's thread
            self._put(error)
        finally:
            decoder.end()

    def drain(self) -> Iterator[Event | None]:
        while self.running:
            try:
                event = self._events.get(timeout=0.2)
            except queue.Empty:
                yield None
                continue
            if event is None:
                self.running -= 1
                continue
            if isinstance(event, BaseException):
                raise event
            yield event

    def end_processes(self) -> None:
        with self._free:
            for decoder in self._decoders:
                decoder.kill()
            self._free.notify_all()

    def _put(self, event: Event | BaseException | None) -> bool:
        while not self.stop.is_set():
            try:
                self._events.put(event, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def _events_of(self, candidate: Candidate, decoder: Decoder) -> Iterator[Event]:
        try:
            media_id = content_hash(candidate.path, self.stop)
            stat = candidate.path.stat()
        except OSError as error:
            yield Failed(candidate, f"cannot be read: {error.strerror or error}", unreadable=True)
            return
        if (stat.st_size, stat.st_mtime_ns) != (candidate.row.size_bytes, candidate.row.mtime_ns):
            # A content is never noted with another's size: the run rests on that (`Books._old_content_may_turn_up`).
            yield Failed(candidate, "it changed while it was read; run the same command again", unreadable=True)
            return
        there = self._claim(candidate, media_id)
        if there is not None:
            yield there
            return
        failed = True
        try:
            for event in _decoded(decoder, candidate, media_id, self._job):
                failed = isinstance(event, Failed)
                yield event
        finally:
            with self._free:
                self._in_hand.discard(media_id)
                if not failed:
                    self._paths_of.setdefault(media_id, []).append(candidate.row.path)
                self._free.notify_all()

    def _claim(self, candidate: Candidate, media_id: str) -> Known | None:
        """The content as it is known already; None when it is now this thread's to decode."""
        text = candidate.row.path
        known_id = candidate.known.media_id if candidate.known is not None else ""
        with self._free:
            while media_id in self._in_hand:  # another thread has a copy of it in hand: it may yet fail
                self._free.wait(0.2)
                if self.stop.is_set():
                    raise Stopped
            if media_id in self._again or media_id not in self._paths_of:
                self._again.discard(media_id)
                self._in_hand.add(media_id)
                return None
            paths = self._paths_of[media_id]
            old_path = next((path for path in paths if path != text and is_gone(path)), None)
            if old_path is not None and known_id != media_id:
                paths.remove(old_path)
            else:
                old_path = None
            paths.append(text)
            return Known(candidate, media_id, old_path)


def _decoded(
    decoder: Decoder, candidate: Candidate, media_id: str, options: Mapping[str, object]
) -> Iterator[Picture | Tick | Ended | Failed]:
    """Events of one file; the last is Ended or Failed."""
    row = candidate.row
    job: Job | None = None
    rows = 0
    request = {
        **options, "do": "index", "path": wire.path_out(candidate.path), "stat": [row.size_bytes, row.mtime_ns],
    }  # fmt: skip
    try:
        with closing(decoder.ask(request)) as answers:
            for message, picture in answers:
                match message["is"]:
                    case "open":
                        job = Job(candidate, media_id, wire.info_in(message["info"]))
                    case "row" if job is not None:
                        time_s, repeats = message["time_s"], message.get("repeats")
                        if picture is None and not (isinstance(repeats, int) and 0 <= repeats < rows):
                            raise wire.BadMessage(f"row {rows} repeats {repeats!r}")
                        rows += 1
                        yield Picture(job, None if time_s is None else float(time_s), picture, repeats)
                    case "tick" if job is not None:
                        yield Tick(job, float(message["time_s"]))
                    case "end" if job is not None and rows:
                        edges_s = message["edges_s"]
                        job.edges_s = None if edges_s is None else [float(edge) for edge in edges_s]
                        job.warnings = tuple(str(warning) for warning in message["warnings"])
                        yield Ended(job)
                    case "failed":
                        yield Failed(candidate, str(message["reason"]), bool(message.get("unreadable")))
                    case other:
                        raise wire.BadMessage(f"{other!r} was not expected")
    except Lost as error:  # not the drive's fault: the file was read whole just before, for its hash
        yield Failed(candidate, f"{error}; --retry-failed tries again" if error.by_chance else str(error))
    except wire.NONSENSE as error:
        yield Failed(candidate, str(Lost.by(error)))
