"""`metadata`: what owners say of their files, laid over the library, or told."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import typer

from data.types import FieldValue
from ui.commands.library import open_library
from ui.console import EXIT_SOME_FAILED, err, out, print_json
from ui.text import count, failure_text, plain

_SHOWN = 20
_TYPES = {str: "text", float: "number", int: "number", bool: "yesno"}


def run(tables: Sequence[Path], key: str, library: Path | None, as_json: bool) -> None:
    if not tables:
        _show(library, as_json)
        return
    from data import settings as configuration
    from data.store.lance import create_or_open, read_manifest
    from indexer.metadata import apply_metadata
    from indexer.tables import read_table

    read = [read_table(table, key) for table in tables]
    folder = configuration.load(library=library).library
    manifest = read_manifest(folder)
    store = create_or_open(folder, manifest.models, profile=manifest.profile)
    try:
        applied = apply_metadata(store, read)
    finally:
        store.close()
    if as_json:
        print_json(
            {
                "media": applied.media,
                "changed": applied.changed,
                "problems": [{"path": problem.path, "reason": problem.reason} for problem in applied.problems],
            }
        )
    else:
        out().print(f"{count(applied.media, 'file')} named, {applied.changed:,} of them with something new.")
        for problem in applied.problems[:_SHOWN]:
            err().print(f"  {failure_text(problem.path, problem.reason)}", markup=False)
        if len(applied.problems) > _SHOWN:
            err().print(f"  … and {len(applied.problems) - _SHOWN:,} more rows that were passed over.")
    if applied.problems:
        raise typer.Exit(EXIT_SOME_FAILED)


def _show(library: Path | None, as_json: bool) -> None:
    """The fields of the library: their types, how many files have them, and the commonest values."""
    _, store = open_library(library)
    try:
        values: dict[str, Counter[FieldValue]] = defaultdict(Counter)
        for item in store.media():
            for name, value in item.fields.items():
                values[name][value] += 1
    finally:
        store.close()
    if as_json:
        fields = {
            name: {"type": _type_of(known), "files": known.total(), "values": len(known)}
            for name, known in values.items()
        }
        print_json({"fields": fields})
        return
    if not values:
        out().print("Nothing is said of the files yet: secondsight metadata FILE.csv")
    for name, known in sorted(values.items()):
        common = ", ".join(
            plain(f"{value:g}" if isinstance(value, float) else value, 24) for value, _ in known.most_common(4)
        )
        line = f"{plain(name):<16} {_type_of(known):<7} {count(known.total(), 'file')}: {common}"
        out().print(line + (", …" if len(known) > 4 else ""), markup=False, soft_wrap=True)


def _type_of(values: Counter[FieldValue]) -> str:
    kinds = {_TYPES[type(value)] for value in values}
    return kinds.pop() if len(kinds) == 1 else "text"
