"""Which files are there, and which of them are new, changed, moved, gone or as they were.

Identity is the content hash. What the file system says (size, mtime, ctime, inode) only spares hashing a file again:
all four equal means the bytes are the ones we hashed; ctime cannot be set back by ordinary tools, so neither a
restored mtime nor a same-size edit goes unseen (the rule of git's index).
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from data.media import sniff
from data.store.base import FileRow

HASH_CHUNK_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Failure:
    """A path that could not be used, and why, in one line."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A media file on disk; `row` holds its stat, with media_id "" until it is hashed."""

    path: Path
    row: FileRow
    known: FileRow | None

    @property
    def untouched(self) -> bool:
        """The bytes are those of the last run, and that run indexed them."""
        return self._as_it_was and self.known is not None and self.known.media_id != ""

    @property
    def failed_before(self) -> str:
        """Why the last run could not use these very bytes, "" when it could or they have changed."""
        return self.known.reason if self._as_it_was and self.known is not None else ""

    @property
    def _as_it_was(self) -> bool:
        known, row = self.known, self.row
        return known is not None and (known.size_bytes, known.mtime_ns, known.ctime_ns, known.inode) == (
            row.size_bytes,
            row.mtime_ns,
            row.ctime_ns,
            row.inode,
        )


@dataclass(frozen=True, slots=True)
class Survey:
    """What a walk found.

    Attributes:
        candidates: media files, ordered by path, each once.
        gone: known paths below the given ones that are no longer there.
        emptied: folders that are there with no file left in them, as where a drive is not mounted, and given ones that
            are not there -> the known paths below that are gone; these are not among `gone`.
        failed: given paths that cannot be used.
        ignored: lower-case extension -> files in folders passed over because they are not media.
    """

    candidates: tuple[Candidate, ...]
    gone: tuple[str, ...]
    failed: tuple[Failure, ...]
    emptied: dict[str, tuple[str, ...]] = field(default_factory=dict)
    ignored: dict[str, int] = field(default_factory=dict)


def survey(paths: Sequence[Path], known: Mapping[str, FileRow], *, skip: Sequence[Path] = ()) -> Survey:
    """Walk files and folders without reading more than the first bytes of any file.

    Args:
        paths: files or folders. A folder is walked whole, hidden entries left out, links to folders not followed.
        known: path -> row of the last run.
        skip: folders never entered (the library itself).
    """
    failed: list[Failure] = []
    ignored: Counter[str] = Counter()
    found: dict[str, Candidate] = {}
    gone: set[str] = set()
    emptied: dict[str, set[str]] = {}
    skipped = {os.path.realpath(folder) for folder in skip}

    @cache
    def holds_nothing(folder: str) -> bool:
        return not os.path.isfile(folder) and next(_walk(Path(folder), skipped, []), None) is None

    for given in paths:
        root = Path(os.path.abspath(given))
        text = str(root)
        if root.is_dir():
            empty = True
            for path in _walk(root, skipped, failed):
                empty = False
                candidate = _candidate(path, known)
                if isinstance(candidate, Failure):
                    failed.append(candidate)
                elif candidate is None:
                    ignored[path.suffix.lower() or "(none)"] += 1
                else:
                    found[str(path)] = candidate
            for name in known:
                if _is_below(name, text) and is_gone(name):
                    folder = text if empty else _nearest_folder(name)
                    lost = emptied.setdefault(folder, set()) if empty or holds_nothing(folder) else gone
                    lost.add(name)
        elif root.exists():
            candidate = _candidate(root, known)
            if candidate is None:
                reason = f"{root.suffix or 'a file without extension'} is not an image, GIF or video that can be read"
                candidate = Failure(text, reason)
            if isinstance(candidate, Failure):
                failed.append(candidate)
            else:
                found[text] = candidate
        elif text in known and root.parent.is_dir() and is_gone(text):
            lost = emptied.setdefault(str(root.parent), set()) if holds_nothing(str(root.parent)) else gone
            lost.add(text)
        else:
            # A folder that cannot be seen may be a drive that is not mounted: what was indexed from it stays.
            below = {name for name in known if name == text or _is_below(name, text)}
            if below:
                emptied.setdefault(text, set()).update(below)
            else:
                failed.append(Failure(text, "no such file or folder; check the path"))
    ordered = tuple(found[name] for name in sorted(found))
    away = {folder: tuple(sorted(names)) for folder, names in emptied.items()}
    return Survey(ordered, tuple(sorted(gone)), tuple(failed), away, dict(ignored))


def _is_below(name: str, folder: str) -> bool:
    return name.startswith(folder.rstrip(os.sep) + os.sep)


def _nearest_folder(name: str) -> str:
    """The folder of a path that is gone or, where that is gone too, the nearest one above that is there."""
    folder = os.path.dirname(name)
    while is_gone(folder):
        folder = os.path.dirname(folder)
    return folder


class Stopped(Exception):
    """The run was stopped while a file was being hashed."""


def is_gone(path: str) -> bool:
    """Nothing is there any more. What merely cannot be seen just now (no permission, a lost mount) is not gone."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def content_hash(path: Path, stop: threading.Event | None = None) -> str:
    """blake2b-160 of a file's bytes, 40 hex characters. Raises OSError as reading does, Stopped once `stop` is set."""
    digest = hashlib.blake2b(digest_size=20)
    with open(path, "rb") as file:
        while chunk := file.read(HASH_CHUNK_BYTES):
            digest.update(chunk)
            if stop is not None and stop.is_set():
                raise Stopped
    return digest.hexdigest()


def _walk(root: Path, skipped: set[str], failed: list[Failure]) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        failed.append(Failure(str(error.filename), f"folder cannot be read: {error.strerror}"))

    for folder, names, files in os.walk(root, onerror=unreadable):
        names[:] = sorted(
            name
            for name in names
            if not name.startswith(".") and os.path.realpath(os.path.join(folder, name)) not in skipped
        )
        for name in sorted(files):
            if not name.startswith("."):
                yield Path(folder, name)


def _candidate(path: Path, known: Mapping[str, FileRow]) -> Candidate | Failure | None:
    """None: not media."""
    text = str(path)
    try:
        stat = path.stat()
        row = FileRow(text, "", stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
        before = known.get(text)
        candidate = Candidate(path, row, before)
        return candidate if candidate.untouched or candidate.failed_before or sniff(path) is not None else None
    except OSError as error:
        return Failure(text, f"cannot be read: {error.strerror or error}")
