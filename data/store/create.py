"""The tables of a library: made, and opened."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from data.store.database import lancedb
from data.store.manifest import (
    NEW_TABLES,
    Manifest,
    damaged,
    new_manifest,
    not_found,
    unwritable,
    write_manifest,
)
from data.store.rows import schemas
from data.store.words import index_words

FOREIGN = (OSError, RuntimeError, ValueError)  # what the database raises; it has no classes of its own


def create_tables(directory: Path, models: Mapping[str, Mapping[str, Any]], profile: str) -> Manifest:
    """Make an empty library. Killed before the manifest is there, it is begun anew; killed after, the tables are whole
    and want only their name, which `create_or_open` gives them."""
    manifest = new_manifest(models, profile)
    try:
        if (directory / NEW_TABLES).exists():
            shutil.rmtree(directory / NEW_TABLES)
        database = lancedb().connect(str(directory / NEW_TABLES))
        for name, schema in schemas(manifest.models).items():
            database.create_table(name, schema=schema)
        index_words(database.open_table("texts"))
        write_manifest(directory, manifest)
    except FOREIGN as error:
        raise unwritable(directory, error) from error
    return manifest


def open_tables(directory: Path, name: str, expected: Mapping[str, Any]) -> dict[str, Any]:
    """The tables in the folder `name` of the library."""
    if not (directory / name).is_dir():  # connect() would make it
        if (directory / NEW_TABLES).is_dir():
            raise not_found(directory)  # a creation that is not finished
        raise damaged(directory, f"{name} is missing")
    try:
        database = lancedb().connect(str(directory / name), read_consistency_interval=timedelta(0))
        tables = {table: database.open_table(table) for table in expected}
        for name, table in tables.items():
            if not table.schema.equals(expected[name]):
                raise ValueError(f"table {name} has other columns than its manifest says")
    except FOREIGN as error:
        raise damaged(directory, error) from error
    return tables


def size_bytes(directory: Path) -> int:
    """Of all files of the library, those in the making and those to go back to included."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except OSError:  # the writer has just removed it
                continue
    return total
