"""`chapters`: arguments and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ui.console import reported
from ui.options import Json, Library

chapters_app = typer.Typer()


@chapters_app.command()
@reported
def chapters(
    file: Annotated[Path, typer.Argument(help="A video or animation of the library.", metavar="FILE")],
    vtt: Annotated[bool, typer.Option("--vtt", help="As WebVTT chapters, for players and web pages.")] = False,
    library: Library = None,
    as_json: Json = False,
) -> None:
    """The shots of a film, with what is seen and said in each where the library knows it."""
    from ui.commands import chapters

    chapters.run(file, vtt, library, as_json)
