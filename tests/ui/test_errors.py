"""What goes wrong is one line and an exit code, whatever the command."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.ui.conftest import Shelf, ask, run


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["search", "x", "--kind", "sound"], 2, "'sound'"),
        (["search"], 2, "Nothing to search for"),
        (["search", "x", "-k", "0"], 2, "'-k'"),
        (["similar", "a.mp4@soon"], 2, "'soon'"),
        (["similar", "FILM"], 2, "Name the second"),
        (["search", "--image", "FILM"], 2, "Name the second"),
        (["search", "image:FILM"], 2, "Name the second"),
        (["where", "a dog", "FILM"], 2, "Name the second"),
        (["similar", "a.mp4", "--box", "1,2,3"], 2, "'1,2,3'"),
        (["index"], 2, "PATH"),
        (["no-such-command"], 2, "no-such-command"),
        (["models", "pull", "nonsense"], 1, "nonsense"),
    ],
)
def test_errors_are_one_line(
    shelf: Shelf, arguments: list[str], code: int, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECONDSIGHT_LIBRARY", str(shelf.library))
    film = str(shelf.media / "film.mp4")
    said = ask(*(argument.replace("FILM", film) for argument in arguments))
    assert said.exit_code == code, said.output
    assert says in said.stderr and said.stdout == ""
    assert "Traceback" not in said.stderr
    assert [line.startswith("Error: ") for line in said.stderr.strip().splitlines()][-1]


NOWHERE = "/nowhere/a.mp4"


@pytest.mark.parametrize(
    "arguments",
    [
        ["index", "/nowhere/*.mp4"],
        ["index", "@/nowhere/list.txt"],
        ["index", ".", "--metadata", "/nowhere/table.csv"],
        ["search", "--image", NOWHERE],
        ["search", f"image:{NOWHERE}"],
        ["similar", NOWHERE],
        ["where", "a dog", NOWHERE],
        ["chapters", NOWHERE],
        ["summarize", NOWHERE],
        ["ask", "who is it?", "--in", NOWHERE],
        ["info", NOWHERE],
        ["remove", NOWHERE],
        ["feedback", "add", "a dog", NOWHERE, "--bad"],
        ["eval", "/nowhere/queries.csv"],
        ["metadata", "/nowhere/table.csv"],
        ["models", "add", "/nowhere/file.whl"],
    ],
)
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_file_that_is_not_there_ends_every_command_alike(shelf: Shelf, arguments: list[str], form: list[str]) -> None:
    """Exit code 2 and one line that quotes it, in either form. Only `index FILE` goes on with the others: see below."""
    said = ask(*arguments, *form, "--library", shelf.library)
    assert (said.exit_code, said.stdout) == (2, ""), said.output
    (line,) = said.stderr.splitlines()
    assert "/nowhere/" in (json.loads(line)["error"] if form else line.removeprefix("Error: ")) and len(line) > 20


def test_no_library(tmp_path: Path) -> None:
    said = ask("search", "x", "--library", tmp_path / "none", "--json")
    assert said.exit_code == 1 and said.stdout == ""
    assert "index" in json.loads(said.stderr)["error"]


def test_a_defect_leaves_one_line_and_a_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shelf: Shelf) -> None:
    import platformdirs

    import ui.commands.library as commands

    def broken(*_: object) -> None:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr(commands, "open_library", broken)
    monkeypatch.setattr(platformdirs, "user_log_path", lambda *_, **__: tmp_path / "log")
    said = ask("info", "--library", shelf.library)
    assert said.exit_code == 70
    (line,) = said.stderr.strip().splitlines()
    (log,) = (tmp_path / "log").iterdir()
    assert line.startswith("Error: Unexpected RuntimeError: first line.") and str(log) in line
    assert "Traceback" in log.read_text() and "second line" in log.read_text()


def test_every_exit_code_stands_in_the_readme() -> None:
    from data import errors
    from ui import console

    raised = {error.exit_code for error in vars(errors).values() if hasattr(error, "exit_code")}
    used = {0, 1, *raised, *(code for name, code in vars(console).items() if name.startswith("EXIT_"))}
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    (told,) = re.findall(r"Exit codes: ([^.]*)\.", " ".join(readme.split()))
    assert {int(code) for code in re.findall(r"(?:^|, )(\d+) ", told)} == used


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["search", "x", "--bogus"], "--bogus"), (["search", "x", "-k", "abc"], "'-k'"), (["no-such-command"], "No such")],
)
def test_what_the_parser_refuses_is_json_where_asked(arguments: list[str], says: str) -> None:
    said = run(*arguments, "--json")
    assert said.returncode == 2 and said.stdout == ""
    assert says in json.loads(said.stderr)["error"]


def test_json_of_what_is_right_ends_with_zero(shelf: Shelf) -> None:
    said = run("info", "--library", shelf.library, "--json")
    assert said.returncode == 0 and json.loads(said.stdout)
