"""The README does what it says: every command of its sh blocks is run, and its Python too."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from data.media import MEDIA_EXTENSIONS
from tests.conftest import environment

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]
# These install this very environment or run this very test: they are looked at, not run again.
BY_MAKE = {"make demo": "demo", "make test": "test"}
INSTALLS = ("pip install", "python -m pytest")


def test_the_commands_are_there() -> None:
    assert {"make demo", "make test", "secondsight demo"} <= set(COMMANDS)


@pytest.mark.parametrize(
    "command", [line for line in COMMANDS if line not in BY_MAKE and not line.startswith(INSTALLS)]
)
def test_commands_run(command: str, home: Path) -> None:
    arguments = shlex.split(command)
    if arguments[:2] == ["secondsight", "demo"]:
        arguments.append("--no-ui")  # the page itself is opened by the tests of the page
    done = subprocess.run(arguments, cwd=ROOT, env=environment(home), capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("command", "target"), BY_MAKE.items())
def test_make_knows_the_same_steps(command: str, target: str) -> None:
    done = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=True)
    wanted = {"demo": "secondsight demo", "test": "python -m pytest"}[target]
    assert wanted in done.stdout
    runner = (ROOT / ".ci" / "run").read_text("utf-8")
    assert target != "test" or re.search(rf"^{command}$", runner, re.MULTILINE)


def test_plain_install_gives_a_working_command(tmp_path: Path, home: Path, demo_library: Path) -> None:
    """`pip install .` in an empty environment, away from the checkout: what is packed is what runs."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "env")], check=True)
    programs = tmp_path / "env" / "bin"
    install = [programs / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(ROOT)]
    subprocess.run(install, check=True, timeout=290, cwd=tmp_path)
    # The packed samples have the contents that the demo library knows already, so this is quick; all must be there.
    said = subprocess.run(
        [programs / "secondsight", "demo", "--no-ui", "--json"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment(home),
        timeout=280,
    )
    assert said.returncode == 0, said.stderr
    report = json.loads(said.stdout.splitlines()[-1])
    media = [path for path in (ROOT / "data" / "samples").rglob("*") if path.suffix in MEDIA_EXTENSIONS]
    assert report["indexed"] == len(media)


def test_the_python_runs(home: Path, tmp_path: Path) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "samples").symlink_to(ROOT / "data" / "samples")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(home), capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 10


def test_every_command_of_the_table_exists() -> None:
    told = set(re.findall(r"^\| `secondsight (\w+)", README, re.MULTILINE))
    said = subprocess.run(["secondsight", "--help"], env=environment(ROOT), capture_output=True, text=True, check=True)
    assert told and all(re.search(rf"^\W*{name}\b", said.stdout, re.MULTILINE) for name in told)


def test_the_compose_file_asks_for_options_that_exist() -> None:
    (command,) = re.findall(r"secondsight (ui [^\"]*)", (ROOT / "docker-compose.yml").read_text("utf-8"))
    said = subprocess.run(["secondsight", "ui", "--help"], env=environment(ROOT), capture_output=True, text=True)
    assert all(option in said.stdout for option in re.findall(r"--\w+", command))
