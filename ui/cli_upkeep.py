"""The commands that look after a library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ui.console import reported
from ui.options import Json, Library, ModelsProfile

app = typer.Typer()


@app.command()
@reported
def optimize(
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="Give back the room of what the last reindex replaced.")
    ] = False,
    library: Library = None,
    as_json: Json = False,
) -> None:
    """Make the library smaller and quicker."""
    from ui.commands import upkeep

    upkeep.optimize(drop_old, library, as_json)


@app.command()
@reported
def backup(
    directory: Annotated[Path, typer.Argument(help="A new or an empty folder.", metavar="DIR")],
    library: Library = None,
    as_json: Json = False,
) -> None:
    """Copy the library, also while it is being written. To restore, point --library at the copy."""
    from ui.commands import upkeep

    upkeep.backup(directory, library, as_json)


@app.command()
@reported
def verify(
    files: Annotated[bool, typer.Option("--files", help="Read every media file too, and compare its hash.")] = False,
    library: Library = None,
    as_json: Json = False,
) -> None:
    """Read everything the library holds and prove that it is whole.

    Exit code 1 when it is damaged, 3 when media files have changed.
    """
    from ui.commands import upkeep

    upkeep.verify(files, library, as_json)


@app.command()
@reported
def reindex(
    models: ModelsProfile = None,
    undo: Annotated[bool, typer.Option("--undo", help="Go back to the library the last reindex replaced.")] = False,
    library: Library = None,
    as_json: Json = False,
) -> None:
    """Move the library to other models. Searches meet the old one until the new one is whole."""
    from ui.commands import upkeep

    upkeep.reindex(models, undo, library, as_json)
