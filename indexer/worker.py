"""The process that decodes. A codec that crashes, hangs or eats memory on a bad file takes this process, never the run.

It reads one job a line from stdin and answers on stdout, last with "end" or "failed". To "index": "open", then a "row"
with its picture (or with the number of an earlier row it repeats) for each frame that is wanted and a "tick" now and
then between them. To "pictures", "sound" and "subtitles": one message each. It ends when its stdin closes, so it never
outlives the run.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from data.errors import MediaError, MissingExtra, MissingMedia
from data.media import open_media
from data.types import MediaInfo
from indexer import wire
from indexer.sampling import Choice, Sampler, Sampling
from indexer.segment import ShotDetector, edges_s

MEMORY_BYTES = 12 << 30  # of address space: many times what an 8K film takes, less than what a hostile one asks for
TICK_S = 0.2
LEAST_PICTURES = 8  # a short animation is sampled more densely, so that it still gives moments
DENSEST_RATE_FPS = 10.0


def serve() -> None:
    """Run until stdin closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the run, which ends this process in order
    _limit_memory()
    out = os.fdopen(os.dup(1), "wb", buffering=1 << 20)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nothing that a library prints gets among the messages
    jobs: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def listen() -> None:
        with suppress(Exception):
            while (message := wire.receive(sys.stdin.buffer)) is not None:
                jobs.put(message[0])
        os._exit(0)  # whatever a codec is at just now

    threading.Thread(target=listen, daemon=True).start()
    while True:
        answer(jobs.get(), out)


def _limit_memory() -> None:
    with suppress(ImportError, ValueError, OSError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(MEMORY_BYTES, hard)
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def answer(job: dict[str, Any], out: BinaryIO) -> None:
    """Everything that is asked of one file, as messages; an error is a message too."""
    try:
        path = wire.path_in(job["path"])
        os.stat(path)  # FFmpeg takes a file that is gone for a damaged one
        _DO[job["do"]](path, job, out)
    except BrokenPipeError:
        os._exit(0)
    except MissingMedia as error:
        wire.send(out, {"is": "failed", "reason": str(error), "unreadable": True})
    except (MediaError, MissingExtra) as error:
        wire.send(out, {"is": "failed", "reason": str(error)})
    except MemoryError:
        wire.send(out, {"is": "failed", "reason": "decoding it takes more memory than is allowed"})
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
        wire.send(out, {"is": "failed", "reason": reason, "unreadable": True})
    except Exception as error:  # a codec met something new: that file is skipped, never the run
        reason = " ".join(str(error).split())[:200]
        wire.send(out, {"is": "failed", "reason": f"could not be decoded ({type(error).__name__}: {reason})"})


def _index(path: Path, job: dict[str, Any], out: BinaryIO) -> None:
    with open_media(path, max_pixels=job["max_pixels"]) as source:
        wire.send(out, {"is": "open", "info": wire.info_out(source.info)})
        still = source.info.duration_s is None
        fast = job["sampling"] == "fast" and source.info.kind == "video"
        sampling: Sampling = "adaptive" if job["sampling"] == "fast" and not fast else job["sampling"]
        sampler = Sampler(_rate_fps(source.info, job["frame_rate"]), sampling)
        shots = ShotDetector(key_frames=fast)
        rows, end_s, told_s = 0, source.info.duration_s or 0.0, time.monotonic()
        choice: Choice | None = None

        def choose(time_s: float, duration_s: float | None, luma: Any) -> bool:
            nonlocal choice
            shots.feed(time_s, luma)
            choice = sampler(time_s, duration_s, luma)
            return choice is not None and choice.repeats is None

        for frame in source.frames(
            short_side=job["picture_side"], luma=not still, choose=None if still else choose, key_frames=fast
        ):
            if frame.time_s is not None:
                end_s = max(end_s, frame.time_s + (frame.duration_s or 0.0))
            if frame.rgb is not None:
                wire.send(out, {"is": "row", "time_s": frame.time_s}, frame.rgb)
            elif choice is not None:
                wire.send(out, {"is": "row", "time_s": frame.time_s, "repeats": choice.repeats})
            elif time.monotonic() - told_s > TICK_S:
                wire.send(out, {"is": "tick", "time_s": frame.time_s})
            else:
                continue
            told_s = time.monotonic()
            rows += frame.rgb is not None or choice is not None
        if rows == 0:
            wire.send(out, {"is": "failed", "reason": "no picture could be decoded; the file may be damaged"})
            return
        stat = os.stat(path)
        if [stat.st_size, stat.st_mtime_ns] != job["stat"]:
            reason = "it changed while it was read; run the same command again"
            wire.send(out, {"is": "failed", "reason": reason, "unreadable": True})
            return
        edges = None if still else edges_s(shots, end_s)
        wire.send(out, {"is": "end", "edges_s": edges, "warnings": source.warnings})


def _pictures(path: Path, job: dict[str, Any], out: BinaryIO) -> None:
    with open_media(path, max_pixels=job["max_pixels"]) as source:
        side = job["short_side"]
        if source.info.duration_s is None:
            frames = iter([source.frame_at(None, short_side=side)])
        else:
            frames = source.frames(
                rate_fps=job["rate_fps"], start_s=job["start_s"], end_s=job["end_s"], short_side=side
            )
        for frame in frames:
            wire.send(out, {"is": "picture", "time_s": frame.time_s, "duration_s": frame.duration_s}, frame.rgb)
    wire.send(out, {"is": "end"})


def _sound(path: Path, job: dict[str, Any], out: BinaryIO) -> None:
    from data.media.audio import sound

    for piece in sound(path, rate_hz=job["rate_hz"]):
        wire.send(out, {"is": "sound", "start_s": piece.start_s}, piece.samples)
    wire.send(out, {"is": "end"})


def _subtitles(path: Path, job: dict[str, Any], out: BinaryIO) -> None:
    from data.media.subtitles import embedded

    for span in embedded(path, job["duration_s"]):
        line = {"text": span.text, "start_s": span.start_s, "end_s": span.end_s, "language": span.language}
        wire.send(out, {"is": "line", **line})
    wire.send(out, {"is": "end"})


_DO = {"index": _index, "pictures": _pictures, "sound": _sound, "subtitles": _subtitles}


def _rate_fps(info: MediaInfo, frame_rate: float) -> float:
    if not info.duration_s:
        return frame_rate
    return max(frame_rate, min(DENSEST_RATE_FPS, LEAST_PICTURES / info.duration_s))


if __name__ == "__main__":
    serve()
