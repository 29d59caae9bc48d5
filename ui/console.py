"""How a command speaks: results on stdout, everything else on stderr, and every error as one line with its exit code.

0  done            2  the command was used wrongly      70  a defect of ours; the traceback is in a log file
1  cannot be done  3  done, but some files failed       130 stopped by the person

A file that is named and not there, or not in the library, is a command used wrongly, whatever the command; only `index`
counts it among the files that failed, and goes on.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

import typer

from data.errors import SecondSightError
from ui.text import plain

if TYPE_CHECKING:
    from rich.console import Console

EXIT_SOME_FAILED = 3
EXIT_DEFECT = 70
EXIT_INTERRUPTED = 130

P = ParamSpec("P")
R = TypeVar("R")


def out() -> Console:
    """Where results go; a pipe or a file has no margin, so that a line of a table is a line."""
    from rich.console import Console

    return Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else 10_000)


def err() -> Console:
    """Where progress, remarks and errors go, so that stdout can be piped."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, emoji=False)


def words_of(arguments: Sequence[str]) -> str:
    """The words of a question; a lone "-" stands for standard input."""
    return sys.stdin.read() if list(arguments) == ["-"] else " ".join(arguments)


def print_json(value: Any) -> None:
    """One JSON object on stdout. ASCII only: names that are not UTF-8 come through as \\udcNN escapes."""
    sys.stdout.write(json.dumps(value, allow_nan=False) + "\n")
    sys.stdout.flush()


def reported(command: Callable[P, R]) -> Callable[P, R]:
    """Ends the command with one line and the right exit code whatever goes wrong in it.

    The command's argument `as_json` decides the form: "Error: …" or {"error": …}, both on stderr.
    """

    @functools.wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        as_json = bool(kwargs.get("as_json"))
        try:
            return command(*args, **kwargs)
        except SecondSightError as error:
            _end(plain(error, 2000), error.exit_code, as_json)
        except KeyboardInterrupt:
            _end("Stopped.", EXIT_INTERRUPTED, as_json)
        except BrokenPipeError:
            # The reader (head, less) has gone: not an error. stdout is pointed away so that closing it stays quiet.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except (typer.Exit, typer.Abort, typer.TyperException):
            raise
        except Exception as error:
            _end(defect(error), EXIT_DEFECT, as_json)

    return guarded


def defect(error: Exception) -> str:
    """One line for an error that is ours, its traceback put away in a log."""
    first_line = plain(str(error).partition("\n")[0], 200)
    return f"Unexpected {type(error).__name__}: {first_line}. Details: {_write_log(error)}"


def _end(message: str, exit_code: int, as_json: bool) -> NoReturn:
    print(error_text(message, as_json), file=sys.stderr)
    raise typer.Exit(exit_code) from None


def error_text(message: str, as_json: bool) -> str:
    return json.dumps({"error": message}) if as_json else f"Error: {message}"


def _write_log(error: Exception) -> Path:
    """The traceback in a file of its own; in the temporary directory when the log directory cannot be written."""
    from platformdirs import user_log_path

    text = f"secondsight {' '.join(map(ascii, sys.argv[1:]))}\n{''.join(traceback.format_exception(error))}"
    for directory in (user_log_path("secondsight", appauthor=False), Path(tempfile.gettempdir())):
        try:
            directory.mkdir(parents=True, exist_ok=True)
            path = directory / f"secondsight-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
            path.write_text(text, encoding="utf-8", errors="backslashreplace")
            return path
        except OSError:
            continue
    return Path(os.devnull)
