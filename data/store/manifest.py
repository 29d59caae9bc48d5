"""library.json: what made a library. Light: reading it imports no database.

A library is a directory of ours:

    library.json     this manifest, replaced as a whole
    library.lock     held by the one writer; library.writer says who that is
    tables/          the database; `tables.new/` until the first creation is complete; `tables.N/` after a re-index
    library.vectors/ a FAISS index for each channel of a large library, made from the database
    library.next/    a library of other models in the making, to take this one's place (data.store.swap)
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from data.errors import IndexMismatch, LibraryDamaged, LibraryError, LibraryNotFound
from data.store.base import SCHEMA_VERSION

MANIFEST, LOCK, WRITER = "library.json", "library.lock", "library.writer"
TABLES, NEW_TABLES, VECTORS = "tables", "tables.new", "library.vectors"
MAX_MANIFEST_BYTES = 1_000_000

_TABLES = re.compile(r"tables(\.[0-9]{1,9})?")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a library was made with.

    Attributes:
        schema_version: layout of the tables; equal to data.store.base.SCHEMA_VERSION for this product.
        product_version: version of the product that created it.
        profile: name of the set of models.
        created_at: ISO 8601, UTC.
        models: channel -> identity {"name", "revision", "dim", "metric", "preprocessing"}.
        tables: folder of the database.
        previous: what was in its place before it was indexed again with other models, and is still there.
    """

    schema_version: int
    product_version: str
    profile: str
    created_at: str
    models: dict[str, dict[str, Any]]
    tables: str = TABLES
    previous: Manifest | None = None


def new_manifest(models: Mapping[str, Mapping[str, Any]], profile: str) -> Manifest:
    from importlib.metadata import PackageNotFoundError, version

    try:
        product_version = version("secondsight")
    except PackageNotFoundError:
        product_version = "unknown"
    created_at = datetime.now(UTC).isoformat(timespec="seconds")
    return Manifest(SCHEMA_VERSION, product_version, profile, created_at, {c: dict(m) for c, m in models.items()})


def read_manifest(directory: Path) -> Manifest:
    """What the library at `directory` was made with, whatever its schema version.

    Raises:
        LibraryNotFound: no library is there.
        LibraryDamaged: its manifest cannot be read.
    """
    path = Path(directory) / MANIFEST
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_MANIFEST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        if (Path(directory) / TABLES / "media.lance").is_dir():
            raise damaged(directory, f"{MANIFEST} is missing") from None
        raise not_found(directory) from None
    except OSError as error:
        raise damaged(directory, f"{MANIFEST}: {error.strerror}") from error
    try:
        if len(raw) > MAX_MANIFEST_BYTES:
            raise ValueError("too large")
        return _parse(json.loads(raw))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(directory, f"{MANIFEST} is not a manifest: {error!r}") from error


def _parse(fields: Mapping[str, Any]) -> Manifest:
    schema_version = fields["schema_version"]
    if type(schema_version) is not int:
        raise ValueError("schema_version is not a whole number")
    models = {str(channel): dict(identity) for channel, identity in fields["models"].items()}
    for identity in models.values():
        if type(identity["dim"]) is not int or not 1 <= identity["dim"] <= 65536:
            raise ValueError(f"dim {identity['dim']!r} is not a vector length")
        str(identity["name"]), str(identity["revision"])
    version, profile, created = (str(fields[key]) for key in ("product_version", "profile", "created_at"))
    tables, previous = str(fields.get("tables", TABLES)), fields.get("previous")
    if not _TABLES.fullmatch(tables):
        raise ValueError(f"tables {tables!r} is no folder of tables")
    return Manifest(schema_version, version, profile, created, models, tables, previous and _parse(previous))


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Replace library.json as a whole: a reader, or a kill at any point, meets the old one or the new one."""
    write_atomically(directory / MANIFEST, json.dumps(asdict(manifest), indent=2))


def write_atomically(path: Path, text: str) -> None:
    try:
        handle, temporary = tempfile.mkstemp(prefix=path.name + ".", suffix=".tmp", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise unwritable(path.parent, error) from error


def check_matches(directory: Path, manifest: Manifest, models: Mapping[str, Mapping[str, Any]] | None) -> None:
    """Raise IndexMismatch unless the library has this product's schema and, where `models` are given, these models."""
    where = f"The library at {str(directory)!r}"
    if manifest.schema_version != SCHEMA_VERSION:
        raise IndexMismatch(
            f"{where} has schema version {manifest.schema_version} and this is version {SCHEMA_VERSION}.",
            remedy=f"Use secondsight {manifest.product_version} for it, or index into another library with --library.",
        )
    if models is None:
        return
    for channel in sorted(set(manifest.models) | set(models)):
        made, asked = manifest.models.get(channel), models.get(channel)
        if made is not None and asked is not None and dict(made) == dict(asked):
            continue
        raise IndexMismatch(
            f"{where} was made with {_name(made, asked)} for {channel!r}, and {_name(asked, made)} is asked for.",
            remedy=f"Use the profile it was made with, {manifest.profile}, or another --library; "
            "`secondsight reindex --models PROFILE` moves this one.",
        )


def _name(identity: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> str:
    """The shortest text that tells the two identities apart."""
    if identity is None:
        return "no model"
    parts = [repr(str(identity.get("name")))]
    if other is not None:
        keys = sorted(set(identity) | set(other))
        parts += [
            f"{key} {identity.get(key)!r}" for key in keys if key != "name" and identity.get(key) != other.get(key)
        ]
    return " ".join(parts)


def not_found(directory: Path) -> LibraryNotFound:
    return LibraryNotFound(
        f"No library at {str(directory)!r}.",
        remedy="Make one with `secondsight index PATH`, or name another with --library.",
    )


def damaged(directory: Path, what: object) -> LibraryDamaged:
    return LibraryDamaged(
        f"The library at {str(directory)!r} is damaged ({one_line(what)}).",
        remedy="Restore it from a backup, or delete it and index again.",
    )


def unwritable(directory: Path, error: Exception) -> LibraryError:
    reason = getattr(error, "strerror", None) or error
    return LibraryError(
        f"The library at {str(directory)!r} cannot be written ({one_line(reason)}).",
        remedy="Check its free space and permissions, or name another with --library.",
    )


def one_line(what: object) -> str:
    return " ".join(str(what).split())[:300].rstrip(".")
