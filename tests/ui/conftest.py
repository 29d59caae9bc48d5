"""One small library of real files, made once by the real commands and the real default models."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.conftest import write_gif, write_image, write_video
from ui.cli import app

COMMAND = [sys.executable, "-c", "import sys; sys.argv[0] = 'secondsight'; from ui.cli import main; main()"]
ODD_NAME = "odd [bold]name[red] \x1b[31m\u202etxt.png"
BIG_BYTES = 210_000_000  # Streamlit's own file serving ends at 200 MB


@dataclass(frozen=True)
class Shelf:
    """A folder of media, the library made of it, and what `index --json` said."""

    media: Path
    library: Path
    said: subprocess.CompletedProcess[str]

    @property
    def report(self) -> dict[str, object]:
        return json.loads(self.said.stdout.splitlines()[-1])


def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own, as a person starts it."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False, **options
    )


def ask(*arguments: object) -> Result:
    """The command in this process: quicker, and within reach of a monkeypatch."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def ask_json(*arguments: object, code: int | None = 0) -> dict[str, Any]:
    """Args: code: the exit code it must have; None: any."""
    said = ask(*arguments, "--json")
    assert code is None or said.exit_code == code, said.output
    return json.loads(said.stdout.splitlines()[-1])  # `index` tells its progress in lines before


def pad_mp4(path: Path, size_bytes: int) -> None:
    """Make an MP4 large: a hole in the middle (sparse on disk), its index behind it, so that it is read by Range."""
    content, boxes, at = path.read_bytes(), {}, 0
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        boxes[content[at + 4 : at + 8]] = content[at : at + length]
        at += length
    index = boxes[b"moov"]
    assert content.endswith(index), "the index stands last"
    hole = size_bytes - len(content)
    with path.open("wb") as out:
        out.write(content[: -len(index)])
        out.write(struct.pack(">I4s", hole, b"free"))
        out.seek(hole - 8, os.SEEK_CUR)
        out.write(index)


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    folder = tmp_path_factory.mktemp("shelf")
    media, library = folder / "media", folder / "library"
    media.mkdir()
    write_image(media / "red.png", "red")
    write_image(media / ODD_NAME, "yellow")
    write_gif(media / "blink.gif", ["green", "yellow", "white"])
    write_video(media / "film.mp4", ["red", "green", "blue", "yellow"], seconds_each=2)
    pad_mp4(media / "film.mp4", BIG_BYTES)
    (media / "fake.mp4").write_text("this is no film")
    (media / "notes.txt").write_text("nor this")
    return Shelf(media, library, run("index", media, "--library", library, "--json"))


@pytest.fixture
def page_library(shelf: Shelf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Shelf]:
    """The page's process settings pointed at the shelf, with a cache of clips of its own."""
    from data.settings import load

    models = load().cache / "models"
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "models").symlink_to(models)
    monkeypatch.setenv("SECONDSIGHT_LIBRARY", str(shelf.library))
    monkeypatch.setenv("SECONDSIGHT_CACHE", str(tmp_path / "cache"))
    yield shelf
