"""A process that decodes (`indexer.worker`), as the run holds it: started, asked, watched, and ended in any case.

A codec that crashes, hangs or talks nonsense takes that process, and the next file gets a new one.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Mapping
from pathlib import Path

from indexer import wire
from indexer.discover import Stopped

SILENCE_S = 60.0  # a decoder that says nothing for so long hangs
WATCH_S = 0.5
LEAST_BUDGET_S = 300.0  # time a decoder may take for any file ...
BUDGET_PER_MEDIA_S = 20.0  # ... and more for each second the file plays
_FROM_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM)  # no decoder does that to itself
_START = "import sys; sys.path.append(sys.argv[1]); from indexer.worker import serve; serve()"
_ROOT = str(Path(__file__).resolve().parent.parent)


class Lost(Exception):
    """The process did not come through a file: why, in a line for the person whose file it is.

    Attributes:
        by_chance: it was killed from outside or waited in vain, for memory or for a drive: the file may be whole.
        silent: it waited in vain.
    """

    def __init__(self, reason: str, *, by_chance: bool = False, silent: bool = False) -> None:
        super().__init__(reason)
        self.by_chance, self.silent = by_chance or silent, silent

    @classmethod
    def by(cls, error: object) -> Lost:
        return cls(f"the decoder ended on it ({error}); the file may be damaged: copy or convert it")


class Decoder:
    """A decoding process, started when it is first needed and again after it was lost. One thread uses it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._deadline_s: float | None = None
        self._late = False
        self._paused_s = 0.0
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._watch: threading.Thread | None = None

    def ask(
        self, request: Mapping[str, object], *, media_s: float = 0.0, silence_s: float | None = None
    ) -> Generator[tuple[wire.Message, wire.Payload | None], None, None]:
        """What it answers, message by message, the last "end" or "failed". Closed before that, the process ends.

        Args:
            media_s: how long the file plays, where that is known before; otherwise its "open" tells.
            silence_s: how long it may say nothing; SILENCE_S when left out.

        Raises:
            Lost: it crashed, was late or sent what is no message. Stopped: it was killed from outside.
        """
        quiet_s, budget_s = silence_s or SILENCE_S, LEAST_BUDGET_S + BUDGET_PER_MEDIA_S * media_s
        self._late, spent_s, whole = False, 0.0, False
        try:
            if self._process is not None and self._process.poll() is not None:
                self._reap()  # it died after the file before: that is not this one's fault
            process = self._started()
            assert process.stdin is not None and process.stdout is not None
            wire.send(process.stdin, request)  # type: ignore[arg-type]
            while not whole:
                asked_s = self._awake_s()
                self._deadline_s = asked_s + min(quiet_s, max(budget_s - spent_s, 0.0))
                received = wire.receive(process.stdout)  # type: ignore[arg-type]
                self._deadline_s = None
                spent_s += self._awake_s() - asked_s
                if received is None:
                    raise wire.BadMessage("closed")
                message, payload = received
                if message["is"] == "open":
                    budget_s += BUDGET_PER_MEDIA_S * (message["info"]["duration_s"] or 0.0)
                whole = message["is"] in ("end", "failed")
                yield message, payload
        except (*wire.NONSENSE, OSError) as error:
            raise self._lost(error, spent_s, quiet_s if spent_s < budget_s else 0.0) from None
        finally:
            self._deadline_s = None
            if not whole:
                self._reap()

    def kill(self) -> None:
        """From any thread: what it decodes is cut off."""
        self._ended.set()
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def end(self) -> None:
        """Ends the process and reaps it."""
        self.kill()
        self._reap()

    def _started(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._process is None and not self._ended.is_set():
                # -P: a folder named like one of ours in the working directory is not to be imported.
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-c", _START, _ROOT],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                    bufsize=1 << 20, start_new_session=True,
                )  # fmt: skip
            if self._process is None:
                raise Stopped
            if self._watch is None:
                self._watch = threading.Thread(target=self._kill_when_late, name="decode-watch", daemon=True)
                self._watch.start()
            return self._process

    def _awake_s(self) -> float:
        """A clock that stands while this process stands still (Ctrl-Z, a paused machine): that is nobody's silence."""
        return time.monotonic() - self._paused_s

    def _kill_when_late(self) -> None:
        looked_s = time.monotonic()
        while not self._ended.wait(WATCH_S):
            before_s, looked_s = looked_s, time.monotonic()
            if looked_s - before_s > 4 * WATCH_S:
                self._paused_s += looked_s - before_s
            deadline_s = self._deadline_s
            if deadline_s is not None and self._awake_s() > deadline_s:
                with self._lock:
                    if self._process is not None:
                        self._late = True
                        self._process.kill()
                self._deadline_s = None

    def _lost(self, error: Exception, spent_s: float, quiet_s: float) -> Exception:
        """Args: quiet_s: after so much silence it was given up, 0 when its time was over."""
        code = self._reap()
        if self._ended.is_set():
            return Stopped()
        if self._late and quiet_s:
            return Lost(f"decoding it was given up after {quiet_s:.0f} s of silence", silent=True)
        if self._late:
            return Lost(f"decoding it was given up after {spent_s:.0f} s; the file may be damaged: copy or convert it")
        if code in _FROM_OUTSIDE:
            return Lost(
                f"the decoder was killed from outside (signal {-code}), for want of memory perhaps", by_chance=True
            )
        if code is not None and code < 0:
            return Lost(f"the decoder crashed on it (signal {-code}); the file may be damaged: copy or convert it")
        return Lost.by(error)

    def _reap(self) -> int | None:
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return None
        for stream in (process.stdin, process.stdout):
            try:
                if stream is not None:
                    stream.close()
            except OSError:
                pass
        try:
            return process.wait(1.0)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
