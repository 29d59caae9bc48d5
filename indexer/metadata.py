"""What owners say of their files, as typed fields that a search can ask for.

It comes from tables (CSV, TSV, JSON, JSON lines) whose rows name files or the keys that file names begin with, and from
FILE.json beside a FILE. It is laid over the library without looking at any medium again.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from data.errors import UsageError
from data.store.base import FileRow, Store
from data.types import FieldValue
from indexer.discover import Failure
from indexer.tables import Table, read_object

_SIDECAR = ".json"


@dataclass(frozen=True, slots=True)
class Applied:
    """media: how many the tables and sidecars speak of; changed: how many of them say something new.

    Attributes:
        problems: rows that were passed over ("products.csv:12") and why.
    """

    media: int
    changed: int
    problems: tuple[Failure, ...]


def apply_metadata(store: Store, tables: Sequence[Table], *, sidecars_of: Sequence[Path] = ()) -> Applied:
    """Lay fields over the media of the library; what they do not speak of stays as it is.

    Args:
        tables: each wins over those before it, and all over the files' own FILE.json. An empty cell takes the field
            away.
        sidecars_of: files and folders whose FILE.json are read.
    """
    files = {path: row for path, row in store.files().items() if row.media_id and not row.reason}
    known = _Names(files if tables else {})
    said: dict[str, dict[str, FieldValue | None]] = defaultdict(dict)
    problems: list[Failure] = []
    for path, row in _below(files, sidecars_of):
        if os.path.isfile(path + _SIDECAR):
            try:
                said[row.media_id].update(read_object(Path(path + _SIDECAR)))
            except UsageError as error:
                problems.append(Failure(path + _SIDECAR, error.message))
    for table in tables:
        problems.extend(table.problems)
        for row_of in table.rows:
            named = known.media_of(row_of.name, table.path.parent)
            for media_id in named:
                said[media_id].update(row_of.fields)
            if not named:
                where = f"{table.path}:{row_of.line}"
                problems.append(Failure(where, f"no file of the library is named {row_of.name!r}"))
    changed: dict[str, Mapping[str, FieldValue]] = {}
    for item in store.media(sorted(said)) if said else ():
        fields = {name: value for name, value in {**item.fields, **said[item.media_id]}.items() if value is not None}
        if fields != item.fields:
            changed[item.media_id] = fields
    if changed:
        store.put_fields(changed)
    return Applied(len(said), len(changed), tuple(problems))


def _below(files: Mapping[str, FileRow], roots: Sequence[Path]) -> Iterable[tuple[str, FileRow]]:
    wanted = [os.path.abspath(root) for root in roots]
    for path, row in files.items():
        if any(path == root or path.startswith(root.rstrip(os.sep) + os.sep) for root in wanted):
            yield path, row


class _Names:
    """What the files of a library may be called in a table, without case.

    A path, absolute or from the table's folder; the end of a path ("shoes/a.jpg", "a.jpg"); or a key: the beginning of
    the file's name up to a sign that is no letter or digit ("SS-1001" of "SS-1001_a.jpg"), or the name of its folder.
    """

    def __init__(self, files: Mapping[str, FileRow]) -> None:
        self._id_of = {path: row.media_id for path, row in files.items()}
        self._by_name: dict[str, list[str]] = defaultdict(list)
        self._by_key: dict[str, set[str]] = defaultdict(set)
        for path, row in files.items():
            place = PurePath(path)
            self._by_name[place.name.casefold()].append(path)
            for key in {place.parent.name.casefold(), *_beginnings(place.stem.casefold())}:
                self._by_key[key].add(row.media_id)

    def media_of(self, name: str, folder: Path) -> set[str]:
        """media_ids; empty when nothing is called so. The most exact reading wins."""
        exact = self._id_of.get(os.path.abspath(folder / name))
        if exact is not None:
            return {exact}
        parts = [part.casefold() for part in PurePath(name).parts]
        if not parts:
            return set()
        ends = {
            self._id_of[path]
            for path in self._by_name.get(parts[-1], ())
            if [part.casefold() for part in PurePath(path).parts[-len(parts) :]] == parts
        }
        return ends or self._by_key.get(name.casefold(), set())


def _beginnings(stem: str) -> Iterable[str]:
    yield stem
    for end in range(1, len(stem)):
        if not stem[end].isalnum() and stem[end - 1].isalnum():
            yield stem[:end]
