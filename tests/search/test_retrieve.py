"""Which media are looked at, and where their texts say what was asked; over a real store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data.settings import Settings
from data.store.base import FileRow, Filter, MediaRows
from data.store.lance import create_or_open, open_reader
from data.types import MediaInfo, Segment, TextSpan
from models.base import ModelSet
from search import engine as search_engine
from search import mentions, retrieve
from search.channels import Event, Mention
from search.engine import SearchEngine
from search.language import parse
from tests.conftest import ColourModel

MODELS = ModelSet("test", ColourModel())


def film(name: str, said: str) -> MediaRows:
    vectors = np.repeat(MODELS.joint.embed_texts(["red"]), 2, axis=0)
    vectors += 0.3 * np.random.default_rng(len(said)).normal(size=vectors.shape).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return MediaRows(
        name, MediaInfo("video", 64, 64, 2.0, "mov", "h264"), 1, np.arange(2.0), np.zeros(2, np.int32),
        [Segment(name, 0, 0.0, 2.0)], {"joint": vectors}, FileRow(f"/x/{name}.mp4", name, 1, 1, 1, 1),
        (TextSpan("speech", said, 0.0, 2.0),),
    )  # fmt: skip


@pytest.fixture
def library(tmp_path: Path) -> Callable[..., Path]:
    def make(*said: str) -> Path:
        identities = {channel: one.as_dict() for channel, one in MODELS.identities().items()}
        with create_or_open(tmp_path / "library", identities, profile="test") as store:
            store.add([film(f"m{number:02}", text) for number, text in enumerate(said)])
        return tmp_path / "library"

    return make


def test_all_that_say_the_unwanted_are_out(
    library: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_engine, "FIRST_DEPTH", 4)
    made = library(*(f"the budget was {'very ' * number}large" for number in range(30)), "a quiet day")
    settings = Settings(library=made, cache=tmp_path / "cache", localise=0)
    with SearchEngine(made, MODELS, settings) as engine:
        response = engine.search(engine.query("red -said:budget", k=1))
        assert [moment.media.media_id for moment in response.moments] == ["m30"]
        assert len(engine.search(engine.query("red", k=20)).moments) > 1


def test_what_only_the_database_takes_for_a_find_counts_as_asked(
    library: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database may take for a word what ours do not: the best spans may share no word, and deeper ones do."""
    real = mentions.words.found

    def found(question: str, text: str, *, phrase: bool = False) -> tuple[float, tuple[str, ...]]:
        return (0.0, ()) if text == "café" else real(question, text, phrase=phrase)

    monkeypatch.setattr(mentions.words, "found", found)
    (term,) = parse("said:cafe").terms
    event = Event((), (Mention(term, "speech", demanded=True),))
    with open_reader(library(*["café"] * 6, "the cafe of a far and rather large town")) as store:
        first = retrieve.ask(store, [event], 4, Filter())
        assert first.media_ids == () and not first.complete
        assert retrieve.ask(store, [event], 16, Filter()).media_ids == ("m06",)
