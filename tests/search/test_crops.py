"""A thing in a corner of a still, found by its own picture, and never two results of one picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.crops import crops
from data.settings import Settings
from data.store.lance import open_reader
from data.types import Box
from indexer.pipeline import index
from indexer.reindex import reindex
from models.base import ModelSet
from search.engine import SearchEngine
from tests.conftest import COLOURS, ColourModel, write_image, write_video

MODELS = ModelSet("test", ColourModel())


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    media = tmp_path / "media"
    media.mkdir()
    room = np.full((210, 280, 3), COLOURS["red"], np.uint8)
    room[120:, 160:] = COLOURS["blue"]  # the fourth part and no other
    Image.fromarray(room).save(media / "room.png")
    write_image(media / "red.png", "red", (210, 280))
    write_image(media / "green.png", "green")
    write_video(media / "film.mp4", ["green", "yellow"], seconds_each=2)
    write_image(tmp_path / "thing.png", "blue")
    settings = Settings(library=tmp_path / "library", cache=tmp_path / "cache", batch_size=4)
    index([media], library=settings.library, models=MODELS, settings=settings)
    return settings


def again(settings: Settings, *, crop: bool = True):
    return index(
        [settings.library.parent / "media"], library=settings.library, models=MODELS, settings=settings, crop=crop
    )


def test_parts_cover_the_picture_and_stay_inside() -> None:
    for width, height in ((280, 210), (7, 3), (1, 1), (1001, 333)):
        covered = np.zeros((height, width), bool)
        for box in crops(width, height):
            assert box.x >= 0 and box.y >= 0 and box.x + box.width <= width and box.y + box.height <= height
            covered[box.y : box.y + box.height, box.x : box.x + box.width] = True
        assert covered.all()


def test_a_thing_in_a_corner_is_found_and_shown_where_it_is(settings: Settings) -> None:
    thing = settings.library.parent / "thing.png"
    with SearchEngine(settings.library, MODELS, settings) as engine:
        before = {one.media.path.name: one for one in engine.similar(thing).moments}
        assert all(line.box is None for one in before.values() for line in one.evidence)
    again(settings)
    with SearchEngine(settings.library, MODELS, settings) as engine:
        first, *rest = engine.similar(thing).moments
        assert first.media.path.name == "room.png" and first.start_s is None
        names = [one.media.path.name for one in (first, *rest)]
        assert [names.count(name) for name in ("room.png", "red.png")] == [1, 1]
        (line,) = [line for line in first.evidence if line.channel == "picture"]
        assert line.box == Box(120, 90, 160, 120) and line.detail.endswith("in the part 120,90,160,120")
        assert line.score > max(x.score for x in before["room.png"].evidence if x.channel == "picture")


def test_words_are_held_against_whole_pictures_and_the_rest_of_the_library_is_as_it_was(settings: Settings) -> None:
    def asked() -> list[tuple[str, float]]:
        with SearchEngine(settings.library, MODELS, settings) as engine:
            return [(one.media.path.name, round(one.score, 4)) for one in engine.search("blue").moments]

    with open_reader(settings.library) as store:
        before = asked(), sorted(map(tuple, store.sample_vectors("joint", 99).tolist()))
        shots = {item.media_id: store.segments(item.media_id) for item in store.media()}
    again(settings)
    with open_reader(settings.library) as store:
        assert (asked(), sorted(map(tuple, store.sample_vectors("joint", 99).tolist()))) == before
        assert {item.media_id: store.segments(item.media_id) for item in store.media()} == shots
        assert sum(done.get("crops") == "2x2" for done in store.stages().values()) == 3


def test_they_are_made_once_kept_by_plain_runs_and_by_other_models(settings: Settings) -> None:
    again(settings)
    with open_reader(settings.library) as store:
        frames = store.stats().frames
    assert again(settings, crop=False).unchanged == 4 and again(settings).unchanged == 4

    class Other(ColourModel):
        identity = ColourModel().identity.__class__("other", "r2", ColourModel().identity.dim)

    reindex(library=settings.library, models=ModelSet("other", Other()), settings=settings)
    with open_reader(settings.library) as store:
        assert store.stats().frames == frames and sum("crops" in done for done in store.stages().values()) == 3
