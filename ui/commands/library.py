"""`info`, `list` and `remove`: what the library holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data.errors import MissingMedia
from indexer.describe import REMARK_STAGE
from ui.console import out, print_json
from ui.text import count, plain, reason_text, short_path, size_text, timecode

if TYPE_CHECKING:
    from data.store.base import Store


def open_library(library: Path | None) -> tuple[Path, Store]:
    """The library folder and its store, opened to read.

    Raises:
        LibraryError: nothing is there, or it cannot be read.
    """
    from data import settings as configuration
    from data.store.lance import open_reader

    folder = configuration.load(library=library).library
    return folder, open_reader(folder)


def info(library: Path | None, as_json: bool) -> None:
    from data.store.lance import read_manifest

    folder, store = open_library(library)
    try:
        stats, manifest = store.stats(), read_manifest(folder)
    finally:
        store.close()
    facts = {
        "library": str(folder),
        "media": dict(stats.media),
        "files": stats.files,
        "failed": stats.failed,
        "segments": stats.segments,
        "frames": stats.frames,
        "duration_s": stats.duration_s,
        "size_on_disk_bytes": stats.size_on_disk_bytes,
        "profile": manifest.profile,
        "models": manifest.models,
    }
    if as_json:
        print_json(facts)
        return
    console = out()
    media = ", ".join(count(number, kind) for kind, number in sorted(stats.media.items()) if number) or "empty"
    lines = [
        ("library", plain(folder)),
        ("holds", media),
        ("files", f"{stats.files - stats.failed:,}" + (f", and {stats.failed:,} failed" if stats.failed else "")),
        ("video and GIF", f"{timecode(stats.duration_s)} in {count(stats.segments, 'segment')}"),
        ("searched by", f"{count(stats.frames, 'frame vector')}"),
        ("on disk", size_text(stats.size_on_disk_bytes)),
        ("profile", plain(manifest.profile)),
    ]
    for channel, identity in manifest.models.items():
        lines.append((f"model ({plain(channel)})", plain(f"{identity['name']} {identity['revision']}")))
    for name, value in lines:
        console.print(f"{name:<16} {value}", markup=False, soft_wrap=True)
    if stats.failed:
        console.print("\nReasons: secondsight list --failed", style="dim")


def list_files(failed: bool, library: Path | None, as_json: bool) -> None:
    _, store = open_library(library)
    try:
        rows = sorted(store.files().values(), key=lambda row: row.path)
        media = {item.media_id: item for item in store.media()}
        remarks = {media_id: done[REMARK_STAGE] for media_id, done in store.stages().items() if REMARK_STAGE in done}
    finally:
        store.close()
    if failed:
        rows = [row for row in rows if row.reason]
    if as_json:
        files = []
        for row in rows:
            item = media.get(row.media_id)
            files.append(
                {
                    "path": row.path,
                    "media_id": row.media_id,
                    "kind": item.info.kind if item else None,
                    "duration_s": item.info.duration_s if item else None,
                    "size_bytes": row.size_bytes,
                    "reason": row.reason,
                    "remark": remarks.get(row.media_id, "") if item else "",
                }
            )
        print_json({"files": files})
        return
    from rich.table import Table
    from rich.text import Text

    if not rows:
        out().print("No file failed." if failed else "The library is empty; secondsight index PATH adds to it.")
        return
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("kind", no_wrap=True)
    table.add_column("length", justify="right", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("file", overflow="fold")
    told = any(row.reason or row.media_id in remarks for row in rows)
    if told:
        table.add_column("why" if failed else "remark", overflow="fold", ratio=1)
    console = out()
    room = console.width - 26  # what the other columns take
    for row in rows:
        item = None if row.reason else media.get(row.media_id)
        length = timecode(item.info.duration_s) if item is not None and item.info.duration_s is not None else ""
        name = Text(short_path(row.path, room // 2 if told else room))
        remark = reason_text(row.path, row.reason) if item is None else plain(remarks.get(row.media_id, ""))
        cells = (item.info.kind if item else "failed", length, size_text(row.size_bytes), name)
        table.add_row(*cells, *([Text(remark, "" if item else "red")] if told else []))
    console.print(table)


def remove(paths: Sequence[Path], library: Path | None, as_json: bool) -> None:
    from data import settings as configuration
    from indexer import pipeline

    folder = configuration.load(library=library).library
    removed = pipeline.remove(paths, library=folder)
    if not removed:
        named = ", ".join(repr(str(path)) for path in paths[:3]) + (", …" if len(paths) > 3 else "")
        raise MissingMedia(f"The library does not hold {named}.", remedy="'secondsight list' shows what it holds.")
    if as_json:
        print_json({"removed": removed})
    else:
        out().print(f"{count(removed, 'file')} taken out of the library; nothing on disk was touched.")
