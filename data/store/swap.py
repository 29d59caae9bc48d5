"""A library indexed again with other models: built beside the one in use, put in its place at once, and undone.

The new library is made in `library.next/` while the old one answers. Then its tables move in beside the old ones and
one write of the manifest puts them in force. The old tables stay, for readers that have them open and for `undo`, until
the next time or until their room is wanted.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from data.errors import LibraryError
from data.store.lock import acquire, release
from data.store.manifest import MANIFEST, TABLES, VECTORS, Manifest, read_manifest, write_manifest
from data.store.manifest import unwritable as _unwritable

NEXT = "library.next"


@contextmanager
def held(directory: Path) -> Iterator[Manifest]:
    """Keep other writers out of the library; gives its manifest.

    Raises:
        LibraryNotFound: no library is there. LibraryBusy: another process is writing to it.
    """
    read_manifest(directory)
    lock = acquire(directory)
    try:
        yield read_manifest(directory)
    except OSError as error:
        raise _unwritable(directory, error) from error
    finally:
        release(directory, lock)


def place_beside(directory: Path, models: Mapping[str, Mapping[str, Any]]) -> Path:
    """Where the library in the making stands, with what an earlier run of the same models left there. Needs `held`."""
    beside = directory / NEXT
    if not (beside / MANIFEST).exists():
        shutil.rmtree(beside, ignore_errors=True)  # begun and not made, or half removed
        return beside
    making = read_manifest(beside)
    if making.tables != TABLES:  # a swap was stopped half-way, or when these were in force already
        if making.tables in _strays(directory) and not (beside / TABLES).exists():
            os.rename(directory / making.tables, beside / TABLES)
        write_manifest(beside, replace(making, tables=TABLES))
    if not (beside / TABLES).is_dir() or making.models != {c: dict(m) for c, m in models.items()}:
        shutil.rmtree(beside)
    return beside


def swap_in(directory: Path) -> Manifest:
    """Put the library in `library.next/` in force, in one step for every reader. Needs `held`; returns its manifest."""
    now, beside = read_manifest(directory), directory / NEXT
    for name in _strays(directory):
        _remove(directory, name)
    tables = f"{TABLES}.{max(map(_number, _tables(directory))) + 1}"
    making = replace(read_manifest(beside), tables=tables)
    write_manifest(beside, making)  # where they go, so that a swap stopped half-way takes back these and no others
    if (beside / VECTORS / TABLES).is_dir():
        (directory / VECTORS).mkdir(exist_ok=True)
        shutil.rmtree(directory / VECTORS / tables, ignore_errors=True)
        os.rename(beside / VECTORS / TABLES, directory / VECTORS / tables)
    os.rename(beside / TABLES, directory / tables)
    coming = replace(making, previous=replace(now, previous=None))
    write_manifest(directory, coming)
    shutil.rmtree(beside)
    for name in _strays(directory):  # what `now` had replaced
        _remove(directory, name)
    return coming


def undo(directory: Path) -> Manifest:
    """Put back what the last swap replaced; once more, and the newer one is back. Returns its manifest.

    Raises:
        LibraryError: nothing was replaced, or its room was given back.
    """
    with held(directory) as now:
        if now.previous is None or not (directory / now.previous.tables).is_dir():
            raise LibraryError(
                f"The library at {str(directory)!r} has no earlier one to go back to.",
                remedy="`secondsight reindex --models PROFILE` keeps one, until `secondsight optimize --drop-old`.",
            )
        back = replace(now.previous, previous=replace(now, previous=None))
        write_manifest(directory, back)
        return back


def drop_old(directory: Path) -> None:
    """Give back the room of the library that was replaced, and of one whose making was left unfinished."""
    with held(directory) as now:
        shutil.rmtree(directory / NEXT, ignore_errors=True)
        for name in _strays(directory):
            _remove(directory, name)
        if now.previous is not None:  # the manifest last: a full disk may have no room for it before
            if (directory / now.previous.tables).is_dir():  # whole or gone for `undo`, at whatever point a kill comes
                os.rename(directory / now.previous.tables, directory / NEXT)
            shutil.rmtree(directory / NEXT, ignore_errors=True)
            shutil.rmtree(directory / VECTORS / now.previous.tables, ignore_errors=True)
            write_manifest(directory, replace(now, previous=None))


def _tables(directory: Path) -> list[str]:
    """Folders of tables, in the order in which they were made."""
    names = [name for name in os.listdir(directory) if name == TABLES or name.removeprefix(f"{TABLES}.").isdigit()]
    return sorted(names, key=_number)


def _number(name: str) -> int:
    return int(name.partition(".")[2] or 1)


def _strays(directory: Path) -> list[str]:
    """Folders of tables that neither are in force nor can be gone back to."""
    now = read_manifest(directory)
    wanted = {now.tables, now.previous.tables if now.previous else now.tables}
    return [name for name in _tables(directory) if name not in wanted]


def _remove(directory: Path, name: str) -> None:
    shutil.rmtree(directory / name)
    shutil.rmtree(directory / VECTORS / name, ignore_errors=True)
