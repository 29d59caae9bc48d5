"""The command line itself: help, completion, standard input, and what every command has."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import typer
from typer.testing import CliRunner

from tests.ui.conftest import COMMAND, Shelf, ask, run
from ui.cli import app


def test_help_is_instant() -> None:
    """Beside the floor in the same run: a Python that only imports typer."""

    def seconds(*arguments: str) -> float:
        started = time.perf_counter()
        subprocess.run([*arguments], capture_output=True, check=True)
        return time.perf_counter() - started

    floor = [sys.executable, "-c", "import typer"]
    rounds = [(seconds(*COMMAND, "--help"), seconds(*floor)) for _ in range(5)]
    assert statistics.median(ours for ours, _ in rounds) < 2.5 * statistics.median(bare for _, bare in rounds)


def test_help_imports_nothing_heavy() -> None:
    heavy = ("numpy", "av", "PIL", "lancedb", "pyarrow", "onnxruntime", "streamlit", "pydantic", "rich")
    code = f"import sys, ui.cli; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def commands(group: Any, *names: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in getattr(group, "commands", {}).items():
        if hasattr(command, "commands"):
            yield from commands(command, *names, name)
        else:
            yield (*names, name), command


def test_every_command_takes_a_library_and_answers_in_json() -> None:
    found = dict(commands(typer.main.get_command(app)))
    assert len(found) > 20
    for name, command in found.items():
        options = {option for parameter in command.params for option in parameter.opts}
        assert {"--library", "--json"} <= options, name


def test_words_come_from_standard_input(shelf: Shelf) -> None:
    arguments = ["search", "-", "--library", str(shelf.library), "--json"]
    said = CliRunner().invoke(app, arguments, input="a plain\nred picture\n")
    assert json.loads(said.stdout)["query"] == "a plain red picture"


def test_a_minus_before_a_word_is_the_querys(shelf: Shelf) -> None:
    for words in ("-red blue", "-5 degrees"):
        said = run("search", words, "-k1", "--library", shelf.library, "--json")
        assert said.returncode == 0 and json.loads(said.stdout)["query"].strip() == words, said.stderr
    assert run("search", "red", "--kinds", "--library", shelf.library).returncode == 2


def test_the_shell_completes_commands() -> None:
    asked = {"_SECONDSIGHT_COMPLETE": "complete_bash", "COMP_WORDS": "secondsight se", "COMP_CWORD": "1"}
    said = subprocess.run(COMMAND, env={**os.environ, **asked}, capture_output=True, text=True)
    assert said.stdout.split() == ["search", "serve"]


def test_names_cannot_act_on_the_terminal(shelf: Shelf) -> None:
    said = ask("list", "--library", shelf.library)
    assert "\x1b" not in said.stdout and "\u202e" not in said.stdout
    assert "odd [bold]name[red]" in said.stdout  # not taken for markup either
