"""Older libraries brought up to this schema in place, under the writer's lock.

Each step can be done again, and the manifest changes last: after a kill at any moment the next opening goes on.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from data.errors import IndexMismatch
from data.store.base import SCHEMA_VERSION
from data.store.manifest import Manifest, unwritable, write_manifest
from data.store.rows import schemas
from data.store.words import index_words

Models: TypeAlias = dict[str, dict[str, Any]]


def upgrade(directory: Path, manifest: Manifest) -> Manifest:
    """The manifest of the library in this schema. Its rows keep their editions, so nothing is indexed again.

    Raises:
        IndexMismatch: it is of a newer release. LibraryError: it cannot be written.
    """
    import lancedb

    if manifest.schema_version > SCHEMA_VERSION:
        raise IndexMismatch(
            f"The library at {str(directory)!r} has schema version {manifest.schema_version}, "
            f"newer than this release's {SCHEMA_VERSION}.",
            remedy=f"Update: pip install --upgrade 'secondsight>={manifest.product_version}'.",
        )
    try:
        database = lancedb.connect(str(directory / manifest.tables))
        if manifest.schema_version == 1:
            _from_1(database, schemas(manifest.models))
        _from_2(database, schemas(manifest.models))
        upgraded = replace(manifest, schema_version=SCHEMA_VERSION, models=_of_pictures(manifest.models))
        write_manifest(directory, upgraded)
    except (OSError, RuntimeError, ValueError) as error:
        raise unwritable(directory, error) from error
    return upgraded


def _from_1(database: Any, wanted: dict[str, Any]) -> None:
    """2 brought texts, what is seen in a segment, stages and the owner's fields."""
    whole = "cast({} as bigint)"
    for table, columns in (
        (
            "media",
            {
                "texts_edition": whole.format("edition"),
                "n_texts": whole.format("0"),
                "stages": "'{}'",
                "fields": "'{}'",
            },
        ),
        ("segments", {"seen": "''"}),
    ):
        _add_columns(database.open_table(table), columns)
    index_words(_empty_table(database, "texts", wanted))


def _from_2(database: Any, wanted: dict[str, Any]) -> None:
    """3 brought the vectors of captions; the next run of `index` makes them."""
    _add_columns(database.open_table("media"), {"n_meanings": "cast(0 as bigint)"})
    _empty_table(database, "meanings", wanted)


def _of_pictures(models: Models) -> Models:
    """Until 3 the revision of `lite` named its words' version too ("2d2da5e2-t1"), on which no picture depends."""
    return {
        channel: {**identity, "revision": re.sub(r"-t\d+$", "", identity["revision"])}
        if identity["name"].startswith("lite/")
        else identity
        for channel, identity in models.items()
    }


def _add_columns(table: Any, columns: dict[str, str]) -> None:
    """Those it lacks; name -> value, an expression. A kill may have come between the two calls."""
    missing = {name: value for name, value in columns.items() if name not in table.schema.names}
    if missing:
        table.add_columns(missing)
    strict = [name for name in columns if not table.schema.field(name).nullable]
    if strict:
        table.alter_columns(*({"path": name, "nullable": True} for name in strict))


def _empty_table(database: Any, name: str, wanted: dict[str, Any]) -> Any:
    """Made anew when there is one: it has no row before the manifest says so, and a kill may have left it half made."""
    mode = "overwrite" if name in database.table_names() else "create"
    return database.create_table(name, schema=wanted[name], mode=mode)
