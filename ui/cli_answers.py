"""`caption`, `summarize` and `ask`: arguments and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ui.console import reported, words_of
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


@answers_app.command()
@reported
def summarize(
    file: Annotated[Path, typer.Argument(help="A file of the library.", metavar="FILE")],
    models: ModelsProfile = None,
    language: Language = None,
    library: Library = None,
    as_json: Json = False,
) -> None:
    """Tell what a video is about: a summary and its chapters with their seconds, as Markdown."""
    from ui.commands import answers

    answers.summarize(file, models, language, library, as_json)


@answers_app.command()
@reported
def ask(
    question: Annotated[list[str], typer.Argument(help="What you want to know.", metavar="QUESTION")],
    inside: Annotated[Path | None, typer.Option("--in", help="Only this file or folder.", metavar="PATH")] = None,
    at: Annotated[str | None, typer.Option(help="Only around this second of the file.", metavar="TIME")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="Only from this second on.", metavar="TIME")] = None,
    to: Annotated[str | None, typer.Option(help="Only up to this second.", metavar="TIME")] = None,
    models: ModelsProfile = None,
    language: Language = None,
    open_first: Annotated[bool, typer.Option("--open", help="Play the first source at its second.")] = False,
    library: Library = None,
    as_json: Json = False,
) -> None:
    """Ask a question; the answer names the seconds it rests on. A lone "-" reads it from standard input."""
    from ui.commands import answers

    span = at, from_, to
    answers.ask(words_of(question), inside, span, models, language, library, as_json, open_first=open_first)


@answers_app.command()
@reported
def where(
    words: Annotated[str, typer.Argument(help="What to point at.", metavar="WORDS")],
    file: Annotated[str, typer.Argument(help="A picture, or a film's second.", metavar="FILE[@SECONDS]")],
    save: Annotated[Path | None, typer.Option(help="Write the picture with the boxes drawn, a JPEG.")] = None,
    models: ModelsProfile = None,
    library: Library = None,
    as_json: Json = False,
) -> None:
    """Point at what the words name: left,top,width,height in pixels, a line for each."""
    from ui.commands import where as command

    command.run(words, file, save, models, library, as_json)
