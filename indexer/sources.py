"""What a person gives to be indexed: files, folders, globs and lists of them, as paths."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from data.errors import UsageError

MAX_LIST_BYTES = 256 << 20


def expand(given: Sequence[str | Path], lists: Sequence[str | Path] = ()) -> list[Path]:
    """Paths in the order given, each once; whether they are there is for the survey to say.

    Args:
        given: a path; a glob (`*`, `?`, `[...]`, `**` for folders at any depth), which a file of that very name beats;
            or `@LIST`.
        lists: text files with one path or glob a line, in UTF-8; "-" is standard input. Empty lines and those that
            begin with # are passed over. Relative paths count from the working directory.

    Raises:
        UsageError: a list cannot be read, or a glob matches nothing.
    """
    out: dict[Path, None] = {}
    for text in (os.fspath(one) for one in given):
        if text.startswith("@") and len(text) > 1 and not os.path.lexists(text):
            out.update(dict.fromkeys(_listed(text[1:])))
        else:
            out.update(dict.fromkeys(_matching(text)))
    for name in lists:
        out.update(dict.fromkeys(_listed(os.fspath(name))))
    return list(out)


def _matching(text: str) -> Iterable[Path]:
    if os.path.lexists(text) or not glob.has_magic(text):
        return [Path(text)]
    found = sorted(glob.glob(text, recursive=True))
    if not found and not any(sign in text for sign in "*?"):
        return [Path(text)]  # a name with brackets in it whose file is gone
    if not found:
        raise UsageError(f"{text!r} matches no file.", remedy="Check the pattern.")
    return map(Path, found)


def _listed(name: str) -> Iterable[Path]:
    try:
        if name == "-":
            raw = sys.stdin.buffer.read(MAX_LIST_BYTES + 1)
        else:
            with open(name, "rb") as file:
                raw = file.read(MAX_LIST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"The list {name!r} cannot be read: {reason}.", remedy="Check its path.") from None
    if len(raw) > MAX_LIST_BYTES or b"\0" in raw:
        raise UsageError(f"{name!r} is not a list of files.", remedy="Give a text file with one path a line.")
    for line in raw.removeprefix(b"\xef\xbb\xbf").splitlines():
        text = os.fsdecode(line.strip())
        if text and not text.startswith("#"):
            yield from _matching(text)
