"""`metadata`: arguments and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ui.console import reported
from ui.options import Json, Library

metadata_app = typer.Typer()


@metadata_app.command()
@reported
def metadata(
    tables: Annotated[
        list[Path] | None,
        typer.Argument(help="CSV, TSV, JSON or JSON lines; what is known without.", metavar="FILE..."),
    ] = None,
    key: Annotated[str, typer.Option(help="The column that names the files.", metavar="COLUMN")] = "",
    library: Library = None,
    as_json: Json = False,
) -> None:
    """Say more of the files in the library: price, author, anything that a search shall ask for."""
    from ui.commands import metadata

    metadata.run(tables or [], key, library, as_json)
