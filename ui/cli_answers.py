"""`caption`, `summarize` and `ask`: arguments and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ui.console import reported
from ui.options import Json, Library, ModelsProfile

answers_app = typer.Typer()

Language = Annotated[str | None, typer.Option(help="en or zh.", metavar="en|zh")]


@answers_app.command()
@reported
def caption(
    paths: Annotated[list[Path] | None, typer.Argument(help="Files and folders of the library; all without.")] = None,
    models: ModelsProfile = None,
    language: Language = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try again where captions failed.")] = False,
    library: Library = None,
    as_json: Json = False,
) -> None:
    """Let a model describe what is in the library, so that it is found by what happens in it."""
    from ui.commands import answers

    answers.caption(paths or [], models, language, library, as_json, retry_failed=retry_failed)
