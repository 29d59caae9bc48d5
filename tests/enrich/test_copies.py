"""One content at several paths: what lies beside any of them counts."""

import shutil

import pytest

from data.store.lance import open_reader
from indexer.pipeline import index
from indexer.reindex import reindex
from tests.conftest import write_video


@pytest.fixture
def run(tmp_path, settings, colour_models):
    def once(*folders, **how):
        paths = [tmp_path / folder for folder in folders]
        return index(paths, library=settings.library, models=colour_models, settings=settings, **how)

    return once


def said(settings):
    with open_reader(settings.library) as store:
        return [span.text for item in store.media() for span in store.texts(item.media_id, ("speech",))]


@pytest.mark.parametrize("bare", ["a", "z"])
@pytest.mark.parametrize("order", ["with it first", "bare first", "together"])
def test_subtitles_beside_any_copy_count(tmp_path, run, settings, colour_models, bare, order):
    for folder in ("m", bare):
        (tmp_path / folder).mkdir()
    film = write_video(tmp_path / "m" / "film.mp4", ["red", "green"])
    shutil.copyfile(film, tmp_path / bare / "other.mp4")
    film.with_suffix(".srt").write_text("1\n00:00:00,500 --> 00:00:01,000\nthe price of the sofa\n")
    folders = {"with it first": [["m"], [bare]], "bare first": [[bare], ["m"]], "together": [["m", bare]]}
    for each in folders[order]:
        run(*each)
    assert said(settings) == ["the price of the sofa"]
    assert run("m", bare).texts == run(bare).texts == 0, "nothing is done twice"
    reindex(library=settings.library, models=colour_models, settings=settings)
    assert said(settings) == ["the price of the sofa"]
    film.with_suffix(".srt").write_text("1\n00:00:00,500 --> 00:00:01,000\nanother line\n")
    assert run("m").texts == 1 and said(settings) == ["another line"]


def test_subtitles_on_a_drive_that_is_away_stay(tmp_path, run, settings):
    for folder in ("m", "z"):
        (tmp_path / folder).mkdir()
    film = write_video(tmp_path / "m" / "film.mp4", ["red", "green"])
    shutil.copyfile(film, tmp_path / "z" / "film.mp4")
    film.with_suffix(".srt").write_text("1\n00:00:00,500 --> 00:00:01,000\nhello\n")
    run("m", "z")
    away = (tmp_path / "m").rename(tmp_path / "unmounted")
    run("z")
    assert said(settings) == ["hello"]
    away.rename(tmp_path / "m")
    assert run("m", "z").texts == 0 and said(settings) == ["hello"]
    film.with_suffix(".srt").unlink()
    run("m")
    assert said(settings) == []
