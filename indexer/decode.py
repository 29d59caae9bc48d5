"""Decoding ahead of the model: one thread reads, hashes and decodes; events come out of a bounded queue in order."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from data.errors import MediaError, MissingExtra
from data.media import open_media
from data.settings import Settings
from data.store.base import FileRow
from data.types import Frame, MediaInfo
from indexer.discover import Candidate, Stopped, content_hash, is_gone
from indexer.segment import ShotDetector

QUEUE_EVENTS = 64  # decoded pictures that may wait for the model: at 256 px short side under 25 MB
LEAST_PICTURES = 8  # a short animation is sampled more densely, so that it still gives moments
DENSEST_RATE_FPS = 10.0


@dataclass(slots=True)
class Job:
    """One new content on its way through decode and model; the shot detector has seen every frame when it ends."""

    candidate: Candidate
    media_id: str
    info: MediaInfo
    shots: ShotDetector = field(default_factory=ShotDetector)
    duration_s: float | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    job: Job
    frame: Frame


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


Event = Picture | Ended | Known | Failed


@contextmanager
def decode_ahead(
    candidates: Sequence[Candidate], known: Mapping[str, FileRow], settings: Settings, *, picture_side: int
) -> Iterator[Iterator[Event | None]]:
    """Events of all candidates, file by file; None while a large file keeps them waiting, so that the caller can stop.

    Leaving the context stops the thread and waits for it.

    An unexpected error of the thread is raised from the iterator.
    """
    events: queue.Queue[Event | BaseException | None] = queue.Queue(maxsize=QUEUE_EVENTS)
    stop = threading.Event()

    def put(event: Event | BaseException | None) -> bool:
        while not stop.is_set():
            try:
                events.put(event, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for event in _events(candidates, known, settings, picture_side, stop):
                if not put(event):
                    return
            put(None)
        except BaseException as error:  # handed over, raised in the caller's thread
            put(error)

    def drain() -> Iterator[Event | None]:
        while True:
            try:
                event = events.get(timeout=0.2)
            except queue.Empty:
                yield None
                continue
            if event is None:
                return
            if isinstance(event, BaseException):
                raise event
            yield event

    thread = threading.Thread(target=work, name="decode", daemon=True)
    thread.start()
    try:
        yield drain()
    finally:
        stop.set()
        thread.join()


def _events(
    candidates: Sequence[Candidate],
    known: Mapping[str, FileRow],
    settings: Settings,
    picture_side: int,
    stop: threading.Event,
) -> Iterator[Event]:
    paths_of: dict[str, list[str]] = {}
    for row in known.values():
        if row.media_id:
            paths_of.setdefault(row.media_id, []).append(row.path)
    for candidate in candidates:
        known_id = candidate.known.media_id if candidate.known is not None else ""
        try:
            media_id = content_hash(candidate.path, stop)
        except Stopped:
            return
        except OSError as error:
            yield Failed(candidate, f"cannot be read: {error.strerror or error}", unreadable=True)
            continue
        text = candidate.row.path
        if media_id in paths_of:
            others = [path for path in paths_of[media_id] if path != text]
            old_path = next((path for path in others if is_gone(path)), None)
            if old_path is not None and known_id != media_id:
                paths_of[media_id].remove(old_path)
            else:
                old_path = None
            paths_of[media_id].append(text)
            yield Known(candidate, media_id, old_path)
            continue
        failed = yield from _decoded(candidate, media_id, settings, picture_side)
        if not failed:
            paths_of[media_id] = [text]


def _decoded(
    candidate: Candidate, media_id: str, settings: Settings, picture_side: int
) -> Iterator[Event]:  # returns whether it failed
    try:
        with open_media(candidate.path, max_pixels=settings.max_pixels) as source:
            job = Job(candidate, media_id, source.info)
            rate_fps = _rate_fps(source.info, settings.frame_rate)
            pictures, end_s = 0, source.info.duration_s
            for frame in source.frames(rate_fps=rate_fps, short_side=picture_side, luma=True):
                if frame.time_s is not None:
                    end_s = max(end_s or 0.0, frame.time_s + (frame.duration_s or 0.0))
                    if frame.luma is not None:
                        job.shots.feed(frame.time_s, frame.luma)
                if frame.rgb is not None:
                    pictures += 1
                    yield Picture(job, frame)
            if pictures == 0:
                yield Failed(candidate, "no picture could be decoded; the file may be damaged")
                return True
            stat = os.stat(candidate.path)
            if (stat.st_size, stat.st_mtime_ns) != (candidate.row.size_bytes, candidate.row.mtime_ns):
                yield Failed(candidate, "it changed while it was read; run the same command again", unreadable=True)
                return True
            job.duration_s, job.warnings = end_s, source.warnings
        yield Ended(job)
        return False
    except (MediaError, MissingExtra) as error:
        yield Failed(candidate, str(error))
    except OSError as error:
        yield Failed(candidate, f"cannot be read: {error.strerror or error}", unreadable=True)
    except Exception as error:  # a codec met something new: that file is skipped, never the run
        reason = " ".join(str(error).split())[:200]
        yield Failed(candidate, f"could not be decoded ({type(error).__name__}: {reason})")
    return True


def _rate_fps(info: MediaInfo, frame_rate: float) -> float:
    if not info.duration_s:
        return frame_rate
    return max(frame_rate, min(DENSEST_RATE_FPS, LEAST_PICTURES / info.duration_s))
