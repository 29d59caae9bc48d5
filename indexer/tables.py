"""Tables of what is said of files: CSV, TSV, JSON and JSON lines. Bad rows are told and passed over."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from data.errors import UsageError
from data.media.tags import clean, decoded
from data.types import FieldValue
from indexer.discover import Failure

MOST_BYTES = 256 << 20
MOST_OBJECT_BYTES = 1 << 20
MOST_COLUMNS = 256
MOST_CHARS = 1000
FILE_COLUMNS = ("file", "path", "filename", "file_name", "image", "video", "media")
KEY_COLUMNS = ("sku", "id", "key")

_NUMBER = re.compile(r"[+-]?(0|[1-9]\d*)?(\.\d+)?([eE][+-]?\d+)?")
_TRUTH = {"true": True, "yes": True, "false": False, "no": False, "是": True, "否": False}
_CSV = (".csv", ".tsv", ".txt")


@dataclass(frozen=True, slots=True)
class Row:
    """What one row says of the files that `name` stands for; None takes a field away. line: 1-based, of its first line
    in the table's file; in a JSON array the number of the object."""

    line: int
    name: str
    fields: dict[str, FieldValue | None]


@dataclass(frozen=True, slots=True)
class Table:
    """problems: rows that could not be used, as "PATH:LINE" and why."""

    path: Path
    rows: tuple[Row, ...]
    problems: tuple[Failure, ...]


class _Bad(Exception):
    """A cell or a row that cannot be used; the message is for people."""


def read_table(path: Path, key: str = "") -> Table:
    """Rows with typed fields.

    A column's type stands behind its name ("price:number", also text, date, yesno) or is what all its cells look like:
    numbers, yes or no, otherwise text. In JSON the values bring their types.

    Args:
        key: the column that names files or the keys they are called by; the first of FILE_COLUMNS, then of KEY_COLUMNS
            that is there when left out.

    Raises:
        UsageError: it cannot be read, is no table, or has no such column.
    """
    suffix = path.suffix.casefold()
    text = _text(path, MOST_BYTES)
    if suffix in (".jsonl", ".ndjson"):
        records, problems = _json_lines(text)
    elif suffix == ".json":
        records, problems = _json_array(path, text), []
    elif suffix in _CSV:
        records, problems = _csv(path, text)
    else:
        raise UsageError(f"{path.name!r} is no table that can be read.", remedy="Give .csv, .tsv, .json or .jsonl.")
    columns = list(dict.fromkeys(name for _, record in records for name in record))
    if len(columns) > MOST_COLUMNS:
        raise UsageError(f"{path.name!r} has {len(columns):,} columns.", remedy=f"At most {MOST_COLUMNS} are taken.")
    if not columns:
        return Table(path, (), _told(path, problems))
    types = {column: _declared(path, column) for column in columns}
    named = _key_column(path, {column: name for column, (name, _) in types.items()}, key)
    # A key is worth keeping as a field; a file's name the library knows by itself.
    kept = {
        column: name for column, (name, _) in types.items() if column != named or name.casefold() not in FILE_COLUMNS
    }
    read = {column: _reader(types[column][1], [record.get(column) for _, record in records]) for column in kept}
    rows = []
    for line, record in records:
        try:
            name = clean(_plain(record.get(named)) or "")
            if not name:
                raise _Bad(f"names no file in its column {types[named][0]!r}")
            rows.append(Row(line, name, _fields(record, kept, read)))
        except _Bad as error:
            problems.append((line, str(error)))
    return Table(path, tuple(rows), _told(path, problems))


def read_object(path: Path) -> dict[str, FieldValue | None]:
    """The fields of one JSON object: a file's own FILE.json. What is nested in it is left out.

    Raises:
        UsageError: it cannot be read or holds something else.
    """
    try:
        found = json.loads(_text(path, MOST_OBJECT_BYTES))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path.name!r} is not JSON: {error}.") from None
    if not isinstance(found, dict):
        raise UsageError(f"{path.name!r} holds no JSON object.")
    names = {name: name for name in list(found)[:MOST_COLUMNS] if not isinstance(found[name], dict | list)}
    try:
        return _fields(found, names, dict.fromkeys(names, _json_value))
    except _Bad as error:
        raise UsageError(f"{path.name!r}: {error}.") from None


def _told(path: Path, problems: Iterable[tuple[int, str]]) -> tuple[Failure, ...]:
    return tuple(Failure(f"{path}:{line}", reason) for line, reason in sorted(problems))


def _fields(
    record: dict[str, Any], names: dict[str, str], read: dict[str, Callable[[Any], FieldValue | None]]
) -> dict[str, FieldValue | None]:
    fields: dict[str, FieldValue | None] = {}
    for column, name in names.items():
        if column in record and (field := _field_name(name)):
            try:
                fields[field] = read[column](record[column])
            except _Bad as error:
                raise _Bad(f"{name!r} is {error}") from None
    return fields


def _field_name(text: str) -> str:
    """As it can be typed in a query: "Unit price" -> "unit_price"."""
    return re.sub(r"\W+", "_", clean(text)[:64].casefold()).strip("_")


def _key_column(path: Path, names: dict[str, str], key: str) -> str:
    by_name = {name.casefold(): column for column, name in names.items()}
    for name in (key.casefold(),) if key else (*FILE_COLUMNS, *KEY_COLUMNS):
        if name in by_name:
            return by_name[name]
    has = ", ".join(repr(clean(name)) for name in list(names.values())[:12])
    wanted = f"no column {key!r}" if key else "no column that names files"
    raise UsageError(f"{path.name!r} has {wanted}; it has {has}.", remedy="Name it with --key COLUMN.")


def _declared(path: Path, column: str) -> tuple[str, str]:
    """ "price:number" -> ("price", "number"); a JSON name may hold a colon of its own."""
    name, colon, kind = column.rpartition(":")
    kind = kind.strip().casefold()
    if kind in _TYPES and colon:
        return name.strip(), kind
    if colon and path.suffix.casefold() in _CSV:
        raise UsageError(f"{path.name!r} has a column of type {kind!r}.", remedy=f"Use {', '.join(_TYPES)}.")
    return column, ""


def _reader(declared: str, values: Sequence[Any]) -> Callable[[Any], FieldValue | None]:
    if declared:
        return _TYPES[declared]
    if not all(value is None or isinstance(value, _Cell) for value in values):
        return _json_value
    cells = [value.strip() for value in values if value is not None and value.strip()]
    if cells and all(_NUMBER.fullmatch(cell) and any(c.isdigit() for c in cell) for cell in cells):
        return _number
    if cells and all(cell.casefold() in _TRUTH for cell in cells):
        return _truth
    return _words


class _Cell(str):
    """Text of a CSV, whose type is not known."""


def _plain(value: Any) -> str | None:
    """None when there is nothing."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, str | int | float):
        return str(value).strip()
    raise _Bad(f"{clean(json.dumps(value))[:40]!r}, not one value")


def _words(value: Any) -> FieldValue | None:
    text = _plain(value)
    return None if text is None else clean(text, MOST_CHARS) or None


def _number(value: Any) -> FieldValue | None:
    text = _plain(value)
    if text is None:
        return None
    try:
        number = float(re.sub(r"(?<=\d),(?=\d{3})", "", text.strip("$€£¥元 ")))
    except ValueError:
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number):
        raise _Bad(f"{clean(text)[:40]!r}, not a number")
    return number


def _truth(value: Any) -> FieldValue | None:
    text = _plain(value)
    if text is None:
        return None
    known = {**_TRUTH, "1": True, "0": False}
    if text.casefold() not in known:
        raise _Bad(f"{clean(text)[:40]!r}, not yes or no")
    return known[text.casefold()]


def _date(value: Any) -> FieldValue | None:
    text = _plain(value)
    if text is None:
        return None
    try:
        year, month, day = (int(part) for part in re.split(r"[-/.年月]", text.split("T")[0].split(" ")[0].rstrip("日")))
        return datetime(year, month, day).date().isoformat()
    except ValueError:
        raise _Bad(f"{clean(text)[:40]!r}, not a date (YYYY-MM-DD)") from None


def _json_value(value: Any) -> FieldValue | None:
    """As the file types it; a list of plain values becomes one text."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, list):
        return _words(", ".join(filter(None, map(_plain, value))))
    return _words(value)


_TYPES: dict[str, Callable[[Any], FieldValue | None]] = {
    "text": _words, "number": _number, "date": _date, "yesno": _truth,
}  # fmt: skip


def _text(path: Path, most_bytes: int) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(most_bytes + 1)
    except OSError as error:
        raise UsageError(
            f"{str(path)!r} cannot be read: {error.strerror or error}.", remedy="Check its path."
        ) from None
    if len(raw) > most_bytes:
        raise UsageError(f"{path.name!r} is larger than {most_bytes >> 20} MB.", remedy="Split it.")
    return decoded(raw)


def _csv(path: Path, text: str) -> tuple[list[tuple[int, dict[str, Any]]], list[tuple[int, str]]]:
    head = text.lstrip().partition("\n")[0]
    delimiter = max(",;\t|", key=head.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    header: list[str] | None = None
    records: list[tuple[int, dict[str, Any]]] = []
    problems: list[tuple[int, str]] = []
    while True:
        line = lines.line_num + 1
        try:
            cells = next(lines, None)
        except csv.Error as error:
            problems.append((line, str(error)))
            continue
        if cells is None:
            return records, problems
        if not any(cell.strip() for cell in cells):
            continue
        if header is None:
            header = [clean(cell) for cell in cells]
            while header and not header[-1]:
                header.pop()
            if len(set(header)) < len(header) or "" in header:
                raise UsageError(f"{path.name!r} has columns without a name, or of the same name.")
        elif len(cells) < len(header) or any(cell.strip() for cell in cells[len(header) :]):
            problems.append((line, f"has {len(cells)} cells, not {len(header)}"))
        else:
            records.append((line, {name: _Cell(cell) for name, cell in zip(header, cells, strict=False)}))


def _json_lines(text: str) -> tuple[list[tuple[int, dict[str, Any]]], list[tuple[int, str]]]:
    records, problems = [], []
    for line, written in enumerate(text.split("\n"), start=1):
        if written.strip():
            try:
                found = json.loads(written)
            except (ValueError, RecursionError) as error:
                problems.append((line, f"is not JSON: {error}"))
                continue
            if isinstance(found, dict):
                records.append((line, found))
            else:
                problems.append((line, "is no JSON object"))
    return records, problems


def _json_array(path: Path, text: str) -> list[tuple[int, dict[str, Any]]]:
    """An array of objects, or one object whose keys name the files."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path.name!r} is not JSON: {error}.", remedy="Give an array of objects.") from None
    if isinstance(found, dict) and all(isinstance(value, dict) for value in found.values()):
        found = [{"file": name, **fields} for name, fields in found.items()]
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise UsageError(f"{path.name!r} is no table.", remedy="Give an array of objects, or objects under file names.")
    return list(enumerate(found, start=1))
