"""A library indexed again with other models: built beside the one in use, put in its place at once, and undone.

The new library is made in `library.next/` while the old one answers. Then its tables move in beside the old ones and
one write of the manifest puts them in force. The old tables stay, for readers that have them open and for `undo`, until
the next time.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from data.errors import LibraryError
from data.store.lock import acquire, release
from data.store.manifest import MANIFEST, TABLES, VECTORS, Manifest, read_manifest, unwritable, write_manifest

NEXT = "library.next"


@contextmanager
def held(directory: Path) -> Iterator[Path]:
    """Keep other writers out; gives the place for the library in the making, with what an earlier run left there.

    Raises:
        LibraryNotFound: no library is there. LibraryBusy: another process is writing to it.
    """
    read_manifest(directory)
    lock = acquire(directory)
    try:
        beside = directory / NEXT
        if (beside / MANIFEST).exists() and not (beside / TABLES).is_dir():
            shutil.rmtree(beside)  # a swap was stopped half-way
        yield beside
    except OSError as error:
        raise unwritable(directory, error) from error
    finally:
        release(directory, lock)


def swap_in(directory: Path) -> Manifest:
    """Put the library in `library.next/` in force, in one step for every reader. Needs `held`; returns its manifest."""
    now, beside = read_manifest(directory), directory / NEXT
    numbers = [int(name.partition(".")[2]) for name in os.listdir(directory) if _is_numbered(name)]
    tables = f"{TABLES}.{max(numbers, default=1) + 1}"
    coming = replace(read_manifest(beside), tables=tables, previous=replace(now, previous=None))
    os.rename(beside / TABLES, directory / tables)
    if (beside / VECTORS / TABLES).is_dir():
        (directory / VECTORS).mkdir(exist_ok=True)
        os.rename(beside / VECTORS / TABLES, directory / VECTORS / tables)
    write_manifest(directory, coming)
    shutil.rmtree(beside)
    for name in os.listdir(directory):
        if (_is_numbered(name) or name == TABLES) and name not in (tables, now.tables):
            shutil.rmtree(directory / name)
            shutil.rmtree(directory / VECTORS / name, ignore_errors=True)
    return coming


def undo(directory: Path) -> Manifest:
    """Put back what the last swap replaced; once more, and the newer one is back. Returns its manifest.

    Raises:
        LibraryError: nothing was replaced.
    """
    with held(directory):
        now = read_manifest(directory)
        if now.previous is None:
            raise LibraryError(
                f"The library at {str(directory)!r} was never indexed again with other models.",
                remedy="`secondsight reindex --models PROFILE` does that; there is nothing to undo.",
            )
        back = replace(now.previous, previous=replace(now, previous=None))
        write_manifest(directory, back)
        return back


def _is_numbered(name: str) -> bool:
    return name.startswith(f"{TABLES}.") and name.partition(".")[2].isdigit()
