"""`eval` and `feedback`: arguments and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ui.console import reported
from ui.options import Json, Library

quality_app = typer.Typer()
feedback_app = typer.Typer(help="Verdicts on results: give one, or get them all as a table.", no_args_is_help=True)
quality_app.add_typer(feedback_app, name="feedback")


@quality_app.command("eval")
@reported
def evaluate(
    queries: Annotated[
        Path, typer.Argument(help="Table of query,image,file,start_s,end_s; no file: no answer.", metavar="QUERIES.csv")
    ],
    misses: Annotated[bool, typer.Option("--misses", help="List the queries whose first result is wrong.")] = False,
    library: Library = None,
    as_json: Json = False,
) -> None:
    """Measure the search on questions whose answers you know: found, to the second, silent where nothing matches."""
    from ui.commands import quality

    quality.evaluate(queries, misses, library, as_json)


@feedback_app.command("add")
@reported
def feedback_add(
    query: Annotated[str, typer.Argument(help="The words that were asked.", metavar="QUERY")],
    file: Annotated[str, typer.Argument(help="The result, at its second.", metavar="FILE[@SECONDS]")],
    good: Annotated[bool, typer.Option("--good/--bad", help="Whether it is what was asked.")],
    library: Library = None,
    as_json: Json = False,
) -> None:
    """Keep a verdict on one result."""
    from ui.commands import quality

    quality.feedback_add(query, file, good, library, as_json)


@feedback_app.command("export")
@reported
def feedback_export(
    bad: Annotated[bool, typer.Option("--bad", help="Only what was not what was asked.")] = False,
    library: Library = None,
    as_json: Json = False,
) -> None:
    """All verdicts as a table that `eval` reads: good ones are answers, bad ones are known misses."""
    from ui.commands import quality

    quality.feedback_export(bad, library, as_json)
