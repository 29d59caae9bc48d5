"""Where a question may be answered from: the whole library, a folder, a file, or a stretch of one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from data.errors import MissingMedia, UsageError
from data.store.base import Condition, Store
from data.types import MediaItem


@dataclass(frozen=True, slots=True)
class Scope:
    """Attributes:
    item: the only medium; None: any that meets `condition`.
    start_s, end_s: the stretch of it [start_s, end_s); None: all of it, or a still.
    condition: the folder; None: everywhere.
    """

    item: MediaItem | None = None
    start_s: float | None = None
    end_s: float | None = None
    condition: Condition | None = None

    @property
    def conditions(self) -> tuple[Condition, ...]:
        if self.item is not None:
            return (Condition("path", "=", str(self.item.path)),)
        return (self.condition,) if self.condition is not None else ()

    def holds(self, media_id: str, start_s: float | None, end_s: float | None) -> bool:
        """Whether a stretch of a medium lies in it, at least in part."""
        if self.item is not None and self.item.media_id != media_id:
            return False
        if self.start_s is None or self.end_s is None or start_s is None or end_s is None:
            return True
        return start_s < self.end_s and end_s > self.start_s


def scope_of(store: Store, path: Path | None, start_s: float | None = None, end_s: float | None = None) -> Scope:
    """A checked scope.

    Args:
        path: a file or a folder of the library; None: all of it.
        start_s, end_s: seconds of that file; None: its beginning and its end.

    Raises:
        MissingMedia: the library holds nothing there.
        UsageError: seconds without a file that has them, or outside of it.
    """
    timed = start_s is not None or end_s is not None
    if path is None:
        if timed:
            raise UsageError("A time was given and no file.", remedy="Name the file with --in FILE.")
        return Scope()
    folder = str(Path(os.path.abspath(path)))
    if any(name.startswith(folder.rstrip(os.sep) + os.sep) for name in store.files()):
        if timed:
            raise UsageError(f"{folder!r} is a folder and has no seconds.", remedy="Name one file with --in FILE.")
        return Scope(condition=Condition("path", "under", folder))
    return stretch_of(item_at(store, path), start_s, end_s)


def stretch_of(item: MediaItem, start_s: float | None = None, end_s: float | None = None) -> Scope:
    """A medium, or the stretch of it from start_s to end_s; None: its beginning and its end.

    Raises:
        UsageError: it has no seconds, or not these.
    """
    length_s = item.info.duration_s
    if start_s is None and end_s is None:
        return Scope(item, None if length_s is None else 0.0, length_s)
    if length_s is None:
        raise UsageError(f"{item.path.name!r} is a still and has no seconds.", remedy="Leave the time out.")
    first_s = 0.0 if start_s is None else start_s
    last_s = length_s if end_s is None else min(end_s, length_s)
    if not 0 <= first_s < last_s:
        raise UsageError(
            f"From {first_s:g} s to {end_s if end_s is not None else length_s:g} s lies no stretch of "
            f"{item.path.name!r}, which lasts {length_s:.1f} s.",
            remedy=f"Give seconds from 0 to {length_s:.1f}.",
        )
    return Scope(item, first_s, last_s)


def item_at(store: Store, path: Path) -> MediaItem:
    """The medium that the library holds under a path.

    Raises:
        MissingMedia: it holds none there.
    """
    name = os.path.abspath(path)
    row = store.files().get(name)
    found = next(iter(store.media([row.media_id])), None) if row is not None and row.media_id else None
    if found is None:
        reason = f" ({row.reason.rstrip('.')})" if row is not None and row.reason else ""
        raise MissingMedia(
            f"The library does not hold {name!r}{reason}.", remedy="Index it first: secondsight index FILE."
        )
    return found
