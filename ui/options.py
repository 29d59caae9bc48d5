"""Options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Library = Annotated[
    Path | None, typer.Option("--library", help="Folder of the library.", envvar="SECONDSIGHT_LIBRARY", metavar="DIR")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, for scripts.")]
Results = Annotated[int, typer.Option("-k", min=1, max=1000, help="How many results.")]
ModelsProfile = Annotated[
    str | None, typer.Option("--models", help="Profile of models (see 'models list').", metavar="PROFILE")
]
