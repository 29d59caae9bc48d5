"""`optimize`, `backup`, `verify` and `reindex`: looking after a library."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from data.errors import UsageError
from ui.console import EXIT_INTERRUPTED, EXIT_SOME_FAILED, err, out, print_json
from ui.text import count, path_text, plain, size_text

if TYPE_CHECKING:
    from data.store.base import FileRow
    from data.store.manifest import Manifest

_SHOWN = 20


def _folder(library: Path | None) -> Path:
    from data import settings as configuration

    return configuration.load(library=library).library


def optimize(drop_old: bool, library: Path | None, as_json: bool) -> None:
    from data.store import swap, upkeep

    folder = _folder(library)
    if drop_old:
        swap.drop_old(folder)
    with err().status("Tidying …"):
        before, after = upkeep.optimize(folder)
    if as_json:
        print_json({"library": str(folder), "before_bytes": before, "after_bytes": after})
        return
    why = " The difference is indices that make searches quicker." if after > before else ""
    out().print(f"{size_text(before)} on disk before, {size_text(after)} now.{why}")


def backup(directory: Path, library: Path | None, as_json: bool) -> None:
    from data.store import upkeep

    folder = _folder(library)
    with err().status("Copying …"):
        size_bytes = upkeep.backup(folder, directory)
    copy = directory.absolute()
    if as_json:
        print_json({"library": str(folder), "backup": str(copy), "size_bytes": size_bytes})
        return
    out().print(f"{size_text(size_bytes)} copied. To use the copy: --library {plain(copy)}", markup=False)


def verify(files: bool, library: Path | None, as_json: bool) -> None:
    from data.store import upkeep
    from data.store.lance import open_reader

    folder = _folder(library)
    with err().status("Reading every row …"):
        verdict = upkeep.verify(folder)
    changed: list[tuple[str, str]] = []
    if files:
        with open_reader(folder) as store:
            rows = sorted(store.files().values(), key=lambda row: row.path)
        with err().status("Reading every file …"):
            changed = list(_changed(row for row in rows if not row.reason))
    if as_json:
        print_json(
            {
                "library": str(folder),
                "whole": not verdict.damage,
                "media": verdict.media,
                "segments": verdict.segments,
                "frames": verdict.frames,
                "texts": verdict.texts,
                "unfinished": verdict.unfinished,
                "damage": list(verdict.damage),
                "files": [{"path": path, "reason": reason} for path, reason in changed] if files else None,
            }
        )
    else:
        _tell(verdict.damage, changed)
        told = ", ".join(
            (
                f"the rows of {count(verdict.media, 'medium')}",
                count(verdict.frames, "frame"),
                count(verdict.texts, "line"),
            )
        ).replace("mediums", "media")
        out().print(f"Looked at {told}: {'damaged' if verdict.damage else 'whole'}.")
        if files:
            state = f"{len(changed):,} changed or gone" if changed else "none has changed"
            out().print(f"Read the media files too: {state}.")
        if verdict.unfinished:
            err().print(f"{verdict.unfinished:,} unfinished; the next run of secondsight index does them.")
        if verdict.damage:
            err().print("Restore a backup, or delete the library and index again.")
    if verdict.damage:
        raise typer.Exit(1)
    if changed:
        raise typer.Exit(EXIT_SOME_FAILED)


def _tell(damage: Iterable[str], changed: list[tuple[str, str]]) -> None:
    for line in damage:
        out().print(f"Damage: {plain(line)}", markup=False)
    for path, reason in changed[:_SHOWN]:
        out().print(f"{path_text(path)}: {reason}", markup=False)
    if len(changed) > _SHOWN:
        out().print(f"… and {len(changed) - _SHOWN:,} more.")


def _changed(rows: Iterable[FileRow]) -> Iterable[tuple[str, str]]:
    """Files that are not what was indexed, and how."""
    from indexer.discover import content_hash

    for row in rows:
        try:
            if content_hash(Path(row.path)) != row.media_id:
                yield row.path, "other content than was indexed"
        except FileNotFoundError:
            yield row.path, "gone"
        except OSError as error:
            yield row.path, f"cannot be read: {error.strerror or error}"


def reindex(models: str | None, undo: bool, library: Path | None, as_json: bool) -> None:
    from data import settings as configuration

    if undo == (models is not None):
        raise UsageError(
            "reindex takes either --models or --undo.",
            remedy="Name the profile to move to, as in: secondsight reindex --models lite",
        )
    settings = configuration.load(library=library, models=models)
    if undo:
        from data.store import swap

        _in_force(settings.library, swap.undo(settings.library), as_json)
        return
    from data.store.manifest import read_manifest
    from indexer.reindex import reindex as made_again
    from ui.commands.index import as_dict, run_with_progress, summarise

    read_manifest(settings.library)  # before any weights are fetched
    report = run_with_progress(made_again, settings, quiet=as_json)
    if as_json:
        print_json(as_dict(report))
    else:
        summarise(report, out())
    if report.interrupted:
        err().print("Stopped: the old library stays in force; run the same command again to take up.")
        raise typer.Exit(EXIT_INTERRUPTED)
    if not as_json:
        _in_force(settings.library, read_manifest(settings.library), as_json)


def _in_force(folder: Path, manifest: Manifest, as_json: bool) -> None:
    replaced = manifest.previous
    if as_json:
        print_json(
            {"library": str(folder), "profile": manifest.profile, "replaced": replaced.profile if replaced else None}
        )
        return
    was = (
        f"; the one before, made with {replaced.profile}, is kept: secondsight reindex --undo goes to it"
        if replaced
        else ""
    )
    out().print(f"The library answers with {plain(manifest.profile)}{plain(was)}.", markup=False)
