"""A small library of colours, made once, and a server that describes what it sees."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from data.settings import Settings, load
from indexer.pipeline import index
from models.base import ModelSet
from models.registry import load as load_models
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


@pytest.fixture(scope="session")
def lite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with media and the library that the default profile makes of them."""
    folder = tmp_path_factory.mktemp("lite")
    (folder / "media").mkdir()
    write_image(folder / "media" / "red.png", "red")
    write_gif(folder / "media" / "blink.gif", ["green", "yellow", "white"])
    write_video(folder / "media" / "film.mp4", ["red", "green", "blue", "yellow"], seconds_each=2)
    (folder / "media" / "film.srt").write_text(SUBTITLES)
    settings = load()
    report = index(
        [folder / "media"], library=folder / "library", models=load_models("lite", settings), settings=settings
    )
    assert report.indexed == 3 and report.texts == 2
    return folder


@pytest.fixture
def here(lite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, with a result cache of its own and models where they are."""
    (tmp_path / "cache").mkdir()
    for name in ("models", "tags", "search"):  # what all profiles share; results of models are not among it
        (load().cache / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "cache" / name).symlink_to(load().cache / name)
    monkeypatch.setenv("SECONDSIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SECONDSIGHT_LIBRARY", str(lite / "library"))
    monkeypatch.setenv("SECONDSIGHT_SERVER_TIMEOUT_S", "5")
    return lite
