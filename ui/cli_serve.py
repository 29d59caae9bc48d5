"""`secondsight serve`: arguments and help."""

from __future__ import annotations

from typing import Annotated

import typer

from ui.console import reported
from ui.options import Json, Library

app = typer.Typer()


@app.command()
@reported
def serve(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the API.")] = 8502,
    host: Annotated[
        str, typer.Option(help="Address to listen on; other than this machine's own needs SECONDSIGHT_API_KEY.")
    ] = "127.0.0.1",
    library: Library = None,
    as_json: Json = False,
) -> None:
    """Answer over HTTP: search, similar, media, stills and clips, as JSON for other programs."""
    from ui.commands import serve as command

    command.run(library, host, port, as_json)
