"""What models said, kept: a re-run, another library or a changed later stage never pays the model again.

One SQLite file in the user's cache. Keys are digests of everything that the answer depends on: the content's hash, the
stretch, the model's revision, the prompt's digest. Several processes may use it at once. It is a cache: when it cannot
be read or written, models are asked as if it were not there.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from data.settings import Settings
from data.types import Box, TextSpan, TimedWord
from models.base import Caption, Captioner, CaptionEvent, Clip

T = TypeVar("T")

FILE = "results.sqlite3"
MOST_BYTES = 1 << 30
MOST_VALUE_BYTES = 8 << 20  # the words of three hours of speech with their times are 2 MB
BUSY_S = 10.0
_LOOK_EVERY = 64  # writes between two looks at the size
_KEPT_SHARE = 0.8  # after the least lately used were dropped
_TOUCH_S = 3600.0  # a use is noted no more often
_TABLE = """CREATE TABLE IF NOT EXISTS results_1
            (key TEXT PRIMARY KEY, value TEXT NOT NULL, used_at REAL NOT NULL) WITHOUT ROWID"""


def key_of(task: str, *parts: object) -> str:
    """The digest of all that an answer depends on; floats count to the millisecond.

    Args:
        task: what was asked, "caption" say. parts: texts, numbers, None, and sequences of them.
    """
    said = json.dumps([task, *parts], default=str, ensure_ascii=True)
    return hashlib.blake2b(said.encode(), digest_size=20).hexdigest()


def open_cache(settings: Settings) -> ResultCache:
    return ResultCache(settings.cache / FILE)


class ResultCache:
    """JSON values under keys. Safe to use from many threads and processes.

    Args:
        most_bytes: above it, what was not used for longest goes.
    """

    def __init__(self, path: Path, *, most_bytes: int = MOST_BYTES) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._writes = 0
        with suppress(sqlite3.Error, OSError):
            self._open()

    def get(self, key: str) -> Any | None:
        """None when it is not there."""

        def read(connection: sqlite3.Connection) -> str | None:
            found = connection.execute("SELECT value, used_at FROM results_1 WHERE key = ?", (key,)).fetchone()
            if found and time.time() - found[1] > _TOUCH_S:
                connection.execute("UPDATE results_1 SET used_at = ? WHERE key = ?", (time.time(), key))
            return found[0] if found else None

        text = self._do(read)
        with suppress(ValueError, RecursionError):
            return None if text is None else json.loads(text)
        return None

    def put(self, key: str, value: Any) -> None:
        text = json.dumps(value, ensure_ascii=True)
        if len(text) > MOST_VALUE_BYTES:
            return

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO results_1 VALUES (?, ?, ?)", (key, text, time.time()))
            self._writes += 1
            if self._writes % _LOOK_EVERY == 0:
                self._shrink(connection)

        self._do(write)

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def __enter__(self) -> ResultCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """One transaction, one thread at a time; what the database says against it stops here."""
        with self._lock:
            if self._connection is None:
                return None
            try:
                with self._connection:
                    return work(self._connection)
            except sqlite3.OperationalError:
                return None  # busy for too long, or the disk is full: this one result is not kept
            except sqlite3.DatabaseError:
                self._begin_anew()
                return None

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=BUSY_S, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")  # losing the last results to a power cut is no harm
            connection.execute(_TABLE)
        except sqlite3.OperationalError:
            connection.close()
            raise
        except sqlite3.DatabaseError:
            connection.close()
            self._connection = None
            return self._begin_anew()
        self._connection = connection

    def _begin_anew(self) -> None:
        """The file is damaged, or none of ours: it goes."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        with suppress(sqlite3.Error, OSError):
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            self._connection = sqlite3.connect(self._path, timeout=BUSY_S, check_same_thread=False)
            self._connection.execute(_TABLE)

    def _shrink(self, connection: sqlite3.Connection) -> None:
        def used_bytes() -> int:
            pages, free, page_bytes = (
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
            return (pages - free) * page_bytes

        while used_bytes() > self._most_bytes:
            (count,) = connection.execute("SELECT COUNT(*) FROM results_1").fetchone()
            connection.execute(
                "DELETE FROM results_1 WHERE key IN (SELECT key FROM results_1 ORDER BY used_at LIMIT ?)",
                (max(1, round(count * (1 - _KEPT_SHARE))),),
            )
            if count <= 1:
                return


def kept_texts(cache: ResultCache, key: str) -> list[TextSpan] | None:
    """What a model heard or read, as `keep_texts` put it; None when it is not there."""
    value = cache.get(key)
    if value is None:
        return None
    try:
        return [
            TextSpan(
                **{
                    **row,
                    "box": Box(**row["box"]) if row["box"] else None,
                    "words": tuple(TimedWord(**word) for word in row["words"]),
                }
            )
            for row in value
        ]
    except (TypeError, KeyError):  # of another version
        return None


def keep_texts(cache: ResultCache, key: str, spans: Sequence[TextSpan]) -> None:
    cache.put(key, [asdict(span) for span in spans])


class CachedCaptioner:
    """A `Captioner` that asks another one only for what was never said before. Failures are not kept."""

    def __init__(self, captioner: Captioner, cache: ResultCache) -> None:
        self._captioner = captioner
        self._cache = cache

    @property
    def revision(self) -> str:
        return self._captioner.revision

    def prompt_id(self, clip: Clip) -> str:
        return self._captioner.prompt_id(clip)

    def caption(self, clips: Sequence[Clip], language: str = "en") -> list[Caption]:
        keys = [self._key(clip, language) for clip in clips]
        captions = [_caption(self._cache.get(key)) if key else None for key in keys]
        open_ = [place for place, caption in enumerate(captions) if caption is None]
        said = self._captioner.caption([clips[place] for place in open_], language) if open_ else []
        for place, caption in zip(open_, said, strict=True):
            captions[place] = caption
            if keys[place] and not caption.failed:
                self._cache.put(keys[place], asdict(caption))
        return [caption for caption in captions if caption is not None]

    def _key(self, clip: Clip, language: str) -> str:
        """ "" when the clip's content is not known."""
        if not clip.media_id:
            return ""
        times = [round(time_s, 3) for time_s in clip.times_s]
        shown = (clip.start_s, clip.end_s, times, list(clip.frames[0].shape), clip.kind, clip.transcript)
        return key_of("caption", clip.media_id, *shown, language, self.revision, self.prompt_id(clip))


def _caption(value: Any) -> Caption | None:
    """None for what is no caption of this version."""
    try:
        events = tuple(CaptionEvent(**event) for event in value["events"])
        lists = {name: tuple(map(str, value[name])) for name in ("objects", "actions", "on_screen_text")}
        return Caption(**{**value, **lists, "events": events})
    except (TypeError, KeyError):
        return None
