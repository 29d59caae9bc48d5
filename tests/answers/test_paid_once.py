"""What was heard and read in one library is not listened to and read again for another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.settings import Settings
from data.store.lance import open_reader
from data.types import Box, Pixels, TextSpan, TimedWord
from indexer.pipeline import index
from models.base import ModelSet, WrittenLine
from tests.conftest import ColourModel
from tests.enrich.made import signs, tone


class Ear:
    """Hears one word where it is loud."""

    revision = "ear@1"
    asked = 0

    def transcribe(
        self, samples: np.ndarray, *, start_s: float = 0.0, language: str | None = None
    ) -> Sequence[TextSpan]:
        Ear.asked += 1
        loud = np.flatnonzero(np.abs(samples) > 0.2) / 16_000 + start_s
        if not len(loud):
            return []
        first_s, last_s = float(loud[0]), float(loud[-1])
        return [TextSpan("speech", "beep", first_s, last_s, "en", words=(TimedWord("beep", first_s, last_s),))]


class Eye:
    revision = "eye@1"
    asked = 0

    def read(self, picture: Pixels) -> list[WrittenLine]:
        Eye.asked += 1
        return [WrittenLine("EXIT", Box(60, 60, 80, 30), 0.9)]


@pytest.fixture
def models() -> ModelSet:
    Ear.asked = Eye.asked = 0
    return ModelSet("test", ColourModel(), transcriber=Ear(), text_reader=Eye())


def texts(library: Path) -> dict[str, list[TextSpan]]:
    store = open_reader(library)
    try:
        return {item.path.name: store.texts(item.media_id) for item in store.media()}
    finally:
        store.close()


def test_another_library_does_not_ask_again(models: ModelSet, tmp_path: Path) -> None:
    media = tmp_path / "media"
    media.mkdir()
    tone(media / "tone.mp4")
    signs(media / "sign.mp4", [("EXIT", 1, 4, (60, 60))], length_s=5)
    settings = Settings(cache=tmp_path / "cache")

    def run(name: str, with_models: ModelSet = models) -> dict[str, list[TextSpan]]:
        index([media], library=tmp_path / name, models=with_models, settings=settings, listen=True, read=True)
        return texts(tmp_path / name)

    first = run("one")
    assert first["tone.mp4"][0].text == "beep" and first["tone.mp4"][0].start_s == pytest.approx(2.0, abs=0.1)
    assert first["sign.mp4"][0].text == "EXIT" and first["sign.mp4"][0].box is not None
    paid = Ear.asked, Eye.asked
    assert min(paid) > 0 and run("two") == first and (Ear.asked, Eye.asked) == paid
    other = Ear()
    other.revision = "ear@2"
    run("three", replace(models, transcriber=other))
    assert Ear.asked > paid[0] and Eye.asked == paid[1]
