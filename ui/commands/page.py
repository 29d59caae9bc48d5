"""`ui` and `demo`: the page, and the page on the packaged samples."""

from __future__ import annotations

from functools import partial
from importlib import resources
from pathlib import Path

import typer

from data.errors import LibraryError, UsageError
from ui.console import EXIT_INTERRUPTED, EXIT_SOME_FAILED, err, out, print_json
from ui.text import plain

HOST = "127.0.0.1"
_EXAMPLES = ("a dragon", "bear -panda", "rabbit then squirrel", "chair color:green category:chair")


def serve(library: Path | None, host: str, port: int, open_browser: bool, as_json: bool) -> None:
    """Runs until Ctrl-C."""
    from data import settings as configuration

    _serve(configuration.load(library=library).library, host, port, open_browser, as_json)


def demo(library: Path | None, port: int, no_ui: bool, open_browser: bool, as_json: bool) -> None:
    """The samples in a library of their own, so that a person's own library stays theirs."""
    from data import settings as configuration
    from indexer import pipeline
    from indexer.tables import read_table
    from ui.commands import index

    settings = configuration.load()
    folder = library if library is not None else settings.library.with_name("demo-library")
    settings = configuration.load(library=folder)
    with resources.as_file(resources.files("data") / "samples") as samples:
        if not samples.is_dir():
            raise LibraryError("The packaged samples are missing.", remedy="Install secondsight again.")
        call = partial(pipeline.index, [samples], metadata=[read_table(samples / "products.csv")])
        report = index.run_with_progress(call, settings, quiet=as_json)
    if as_json:
        print_json({**index.as_dict(report), "library": str(folder)})
    else:
        index.summarise(report, out())
        out().print("\nTry:")
        for example in _EXAMPLES:
            out().print(f"  secondsight search --library '{plain(folder)}' \"{example}\"", markup=False, soft_wrap=True)
    if report.interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
    if not no_ui:
        _serve(folder, HOST, port, open_browser, as_json)
    if report.failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def free_port(host: str, port: int) -> None:
    """Raises UsageError when nothing can listen there."""
    import socket

    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UsageError(
                f"Port {port} cannot be used ({error.strerror}).",
                remedy="Choose another --port or --host.",
            ) from None


def _serve(folder: Path, host: str, port: int, open_browser: bool, as_json: bool) -> None:
    free_port(host, port)
    url = f"http://{host}:{port}"
    if as_json:
        print_json({"url": url, "library": str(folder)})
    else:
        err().print(f"The page is at {url} (Ctrl-C ends it).", markup=False)
    from ui.app import server

    server.run(folder, host, port, open_browser=open_browser)
