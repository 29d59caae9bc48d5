"""The one writer's lock, and who holds it."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from data.errors import LibraryBusy, LibraryError
from data.store.manifest import LOCK, WRITER, one_line, unwritable, write_atomically


def acquire(directory: Path) -> Any:
    """The library's lock, at once or not at all; library.writer beside it says whose it is."""
    from filelock import FileLock, Timeout

    lock = FileLock(directory / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise LibraryBusy(
            f"The library at {str(directory)!r} is being written by {_writer(directory)}.",
            remedy="Wait until it has finished, or stop it; searching meanwhile is fine.",
        ) from None
    except (OSError, ValueError) as error:
        raise unwritable(directory, error) from error
    started = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        write_atomically(directory / WRITER, json.dumps({"pid": os.getpid(), "started": started}))
    except LibraryError:  # the note only informs: on a full disk what frees room must still run
        with suppress(OSError):
            os.unlink(directory / WRITER)  # an earlier writer's
    return lock


def release(directory: Path, lock: Any) -> None:
    with suppress(OSError):
        os.unlink(directory / WRITER)
    lock.release()


def _writer(directory: Path) -> str:
    try:
        who = json.loads((directory / WRITER).read_text(encoding="utf-8"))
        return one_line(f"process {int(who['pid'])} since {who['started']}")
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
