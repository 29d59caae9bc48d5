"""Shared fixtures: small real media made here, and a stand-in model for tests of plumbing (never of quality)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from data.settings import Settings
from models.base import Modality, ModelIdentity, ModelSet

COLOURS = {
    "red": (220, 30, 30),
    "green": (30, 200, 40),
    "blue": (30, 50, 220),
    "yellow": (230, 220, 40),
    "white": (245, 245, 245),
}


class ColourModel:
    """A picture is its mean colour, a word is a colour's name: enough to check plumbing, seconds and order."""

    identity = ModelIdentity("test/colour", "1", 4, preprocessing="mean")

    def embed_images(self, images: Sequence[np.ndarray]) -> np.ndarray:
        rows = [self._vector(image.reshape(-1, 3).mean(axis=0)) for image in images]
        return np.stack(rows) if rows else np.zeros((0, 4), np.float32)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        return np.stack([self._vector(np.asarray(COLOURS.get(text, (90, 90, 90)), float)) for text in texts])

    def match_probability(self, query_vectors: np.ndarray, similarities: np.ndarray, modality: Modality) -> np.ndarray:
        return (1 / (1 + np.exp(-40 * (similarities - 0.9)))).astype(np.float32)

    @staticmethod
    def _vector(colour: np.ndarray) -> np.ndarray:
        vector = np.append(colour / 255 - 0.5, 0.05)
        return (vector / np.linalg.norm(vector)).astype(np.float32)


def write_video(path: Path, colours: Sequence[str], *, seconds_each: float = 1.0, rate: int = 10) -> Path:
    """One colour after the other, each `seconds_each` long."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "18", "g": "20"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for name in colours:
            picture = np.full((64, 96, 3), COLOURS[name], np.uint8)
            for _ in range(int(seconds_each * rate)):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def write_image(path: Path, colour: str, size: tuple[int, int] = (80, 60)) -> Path:
    Image.new("RGB", size, COLOURS[colour]).save(path)
    return path


def write_gif(path: Path, colours: Sequence[str], delay_ms: int = 500) -> Path:
    frames = [Image.new("RGB", (48, 48), COLOURS[name]) for name in colours]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=delay_ms, loop=0)
    return path


@pytest.fixture(autouse=True)
def _no_results_of_earlier_runs(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights may come from the user's cache; what models said in another run or test may not."""
    monkeypatch.setattr("models.cache.FILE", str(tmp_path_factory.mktemp("results") / "results.sqlite3"))


@pytest.fixture
def colour_models() -> ModelSet:
    return ModelSet("test", ColourModel())


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(library=tmp_path / "library", batch_size=4)


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """A folder with one of each kind."""
    folder = tmp_path / "media"
    folder.mkdir()
    write_image(folder / "red.png", "red")
    write_image(folder / "blue.jpg", "blue")
    write_gif(folder / "blink.gif", ["green", "yellow", "white"])
    write_video(folder / "film.mp4", ["red", "green", "blue", "yellow"], seconds_each=2)
    return folder


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new user's home: what commands run with `environment(home)` keep lies below it."""
    return tmp_path_factory.mktemp("home")


def environment(home: Path) -> dict[str, str]:
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": programs, "XDG_DATA_HOME": str(home / "data"), "XDG_STATE_HOME": str(home / "state")}


@pytest.fixture(scope="session")
def demo_library(home: Path) -> Path:
    """The samples, indexed by the real models through the command a new user runs. Shared: it takes a minute."""
    done = subprocess.run(
        ["secondsight", "demo", "--no-ui", "--json"], env=environment(home), capture_output=True, text=True, timeout=290
    )
    assert done.returncode == 0, done.stderr
    return Path(json.loads(done.stdout.splitlines()[-1])["library"])
