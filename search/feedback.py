"""What people said of results: kept beside the library, one JSON object a line, and given back as cases for `eval`."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from data.errors import LibraryDamaged, UsageError

FILE = "feedback.jsonl"
COLUMNS = ("query", "image", "file", "start_s", "end_s", "verdict", "given_at")
FORMULA = ("=", "+", "-", "@", "\t")
_LONGEST_LINE = 20_000


@dataclass(frozen=True, slots=True)
class Judgement:
    """One verdict on one result; every text in it is untrusted.

    Attributes:
        query: the words that were asked. image: the picture asked by, as a name; "" for none.
        file: path of the medium judged. start_s, end_s: of the moment; None for a still.
        good: it is what was asked.
        given_at: ISO 8601, UTC.
    """

    query: str
    file: str
    good: bool
    image: str = ""
    start_s: float | None = None
    end_s: float | None = None
    given_at: str = ""

    def row(self) -> dict[str, Any]:
        """As a line of a CSV file that `secondsight eval` reads; no cell begins like a formula of a sheet."""
        told = {**asdict(self), "verdict": "good" if self.good else "bad"}
        return {name: "" if told[name] is None else _quoted(told[name]) for name in COLUMNS}


def _quoted(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def unquoted(cell: str) -> str:
    """A cell as it was before `Judgement.row`."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell


def record(library: Path, judgement: Judgement) -> None:
    """Append it; whole or not at all, also beside other processes.

    Raises:
        UsageError: nothing was asked. OSError: the library's folder cannot be written.
    """
    if not (judgement.query or judgement.image):
        raise UsageError("A verdict belongs to a question.", remedy="Name the words or the picture that were asked.")
    told = asdict(judgement)
    told["given_at"] = judgement.given_at or datetime.now(UTC).isoformat(timespec="seconds")
    line = (json.dumps(told) + "\n").encode()
    if len(line) > _LONGEST_LINE:
        raise UsageError(f"The verdict has {len(line)} bytes.", remedy=f"Keep it under {_LONGEST_LINE}.")
    target = os.open(library / FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        written = os.write(target, line)
        if written < len(line):  # the disk is full
            end = os.lseek(target, 0, os.SEEK_CUR)
            if os.fstat(target).st_size == end:  # nobody wrote behind it
                os.ftruncate(target, end - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(library / FILE))
    finally:
        os.close(target)


def judgements(library: Path) -> Iterator[Judgement]:
    """All of them, oldest first.

    Raises:
        LibraryDamaged: a line is not what `record` writes.
    """
    with suppress(FileNotFoundError), open(library / FILE, encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield Judgement(**json.loads(line))
            except (ValueError, TypeError):
                raise LibraryDamaged(
                    f"Line {number} of {str(library / FILE)!r} is no verdict.", remedy="Mend or delete that line."
                ) from None
