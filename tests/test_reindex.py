"""A whole library moved to other models: the old one answers until the new one is whole."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data.errors import LibraryBusy, LibraryError
from data.settings import Settings
from data.store import swap
from data.store.lance import create_or_open, open_reader, read_manifest
from data.types import TextSpan
from indexer.books import Books
from indexer.decode import Job
from indexer.pipeline import index, remove
from indexer.reindex import reindex
from models.base import ModelIdentity, ModelSet
from tests.conftest import ColourModel


class OtherModel(ColourModel):
    """The same colours behind other numbers: longer vectors, other order."""

    identity = ModelIdentity("test/other", "1", 6, preprocessing="mean")

    @staticmethod
    def _vector(colour: np.ndarray) -> np.ndarray:
        vector = np.concatenate([ColourModel._vector(colour)[::-1], [0.1, 0.1]])
        return (vector / np.linalg.norm(vector)).astype(np.float32)


@pytest.fixture
def other() -> ModelSet:
    return ModelSet("other", OtherModel())


@pytest.fixture
def library(media: Path, settings: Settings, colour_models: ModelSet) -> Path:
    (media / "no.png").write_text("this is no picture")
    index([media], library=settings.library, models=colour_models, settings=settings)
    return settings.library


def film(library: Path) -> str:
    with open_reader(library) as store:
        return next(item.media_id for item in store.media() if item.path.name == "film.mp4")


def test_files_texts_and_fields_come_along(library: Path, settings: Settings, other: ModelSet) -> None:
    name = film(library)
    spans = {
        "caption": TextSpan("caption", "a red square", 0.0, 2.0, "en", None, (), "toy"),
        "screen": TextSpan("screen", "EXIT", 1.0, 2.0),
        "speech": TextSpan("speech", "大家好", 0.5, 1.0, "zh"),
    }
    before = read_manifest(library)
    with create_or_open(library, before.models, profile=before.profile) as store:
        beside = store.stages()[name]["speech"].partition(" ")[2]
        for channel, span in spans.items():
            stage = f"whisper@1 {beside}" if channel == "speech" else "toy@1"
            store.put_texts(name, channel, [span], stage=stage)
        store.put_fields({name: {"price": 3.5}})
        files = store.files()
    report = reindex(library=library, models=other, settings=settings)
    assert report.indexed == 4 and not report.interrupted
    manifest = read_manifest(library)
    assert manifest.profile == "other" and manifest.models["joint"]["dim"] == 6
    with open_reader(library) as store:
        assert store.files() == files
        assert sorted(store.texts(name), key=lambda span: span.channel) == [spans[c] for c in sorted(spans)]
        assert [item.fields for item in store.media([name])] == [{"price": 3.5}]
        assert store.stages()[name]["caption"] == "toy@1"
    assert swap.undo(library).profile == "test"


def test_stopped_it_takes_up_and_the_old_one_answers(
    library: Path, settings: Settings, other: ModelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[Job] = []

    def finished(self: Books, job: Job, really: Callable[[Books, Job], None] = Books.finished) -> None:
        really(self, job)
        ended.append(job)

    monkeypatch.setattr(Books, "finished", finished)
    report = reindex(library=library, models=other, settings=settings, should_stop=lambda: bool(ended))
    assert report.interrupted and read_manifest(library).profile == "test"
    with open_reader(library / swap.NEXT) as store:
        done = store.stats().files
    again = reindex(library=library, models=other, settings=settings)
    assert done and again.unchanged == done and again.indexed == 4 - done
    assert read_manifest(library).profile == "other"


def test_a_file_that_is_away_keeps_the_old_one_in_force(
    library: Path, settings: Settings, other: ModelSet, media: Path
) -> None:
    away = shutil.move(media / "film.mp4", media.parent / "film.mp4")
    with pytest.raises(LibraryError, match=r"1 of 4 files.*film\.mp4") as info:
        reindex(library=library, models=other, settings=settings)
    assert "secondsight remove" in str(info.value) and read_manifest(library).profile == "test"
    shutil.move(away, media / "film.mp4")
    assert reindex(library=library, models=other, settings=settings).indexed == 1
    assert read_manifest(library).profile == "other"


def test_what_was_taken_out_stays_out(library: Path, settings: Settings, other: ModelSet, media: Path) -> None:
    shutil.move(media / "film.mp4", media.parent / "film.mp4")
    with pytest.raises(LibraryError):
        reindex(library=library, models=other, settings=settings)
    assert remove([media / "film.mp4", media / "red.png"], library=library) == 2
    reindex(library=library, models=other, settings=settings)
    with open_reader(library) as store:
        assert {Path(path).name for path, row in store.files().items() if not row.reason} == {"blue.jpg", "blink.gif"}


def test_nobody_writes_meanwhile(library: Path, settings: Settings, other: ModelSet) -> None:
    tried = []

    def write() -> bool:
        if not tried:
            before = read_manifest(library)
            with pytest.raises(LibraryBusy):
                create_or_open(library, before.models, profile=before.profile)
            tried.append(1)
        return False

    reindex(library=library, models=other, settings=settings, should_stop=write)
    assert tried
