"""A small library of colours, made once, and a server that describes what it sees."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from data.settings import Settings, load
from indexer.pipeline import index
from models.base import ModelSet
from tests.conftest import ColourModel, write_gif, write_image, write_video
from tests.models_server.fake import FakeServer

SUBTITLES = """1
00:00:00,500 --> 00:00:01,500
We begin with the red car.

2
00:00:04,200 --> 00:00:05,500
The price of the blue boat is ninety dollars.
"""


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `media` and the `library` made of it."""
    folder = tmp_path_factory.mktemp("answers")
    media = folder / "media"
    media.mkdir()
    write_image(media / "red.png", "red")
    write_gif(media / "blink.gif", ["green", "yellow", "white"])
    write_video(media / "film.mp4", ["red", "green", "blue", "yellow"], seconds_each=2)
    (media / "film.srt").write_text(SUBTITLES)
    models = ModelSet("test", ColourModel())
    report = index([media], library=folder / "library", models=models, settings=Settings(cache=folder / "cache"))
    assert report.indexed == 3 and report.texts == 2 and not report.failed
    return folder


@pytest.fixture
def place(shelf: Path, tmp_path: Path) -> Path:
    """A copy of the library for tests that write to it; the media stay where they are."""
    shutil.copytree(shelf / "library", tmp_path / "library")
    return tmp_path


@pytest.fixture
def settings(place: Path) -> Settings:
    return load(library=place / "library", cache=place / "cache", server_timeout_s=5.0)


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server
