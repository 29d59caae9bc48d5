"""A library kept in step with a folder: new, changed, moved, copied, gone, broken, interrupted."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import indexer.discover
from data.errors import IndexMismatch
from data.settings import Settings
from indexer.pipeline import IndexReport, index, remove
from models.base import ModelSet
from search.engine import SearchEngine
from search.query import build
from tests.conftest import ColourModel, write_image, write_video


@pytest.fixture
def run(media: Path, settings: Settings, colour_models: ModelSet):
    def once(*paths: Path, **options) -> IndexReport:
        return index(
            list(paths) or [media], library=settings.library, models=colour_models, settings=settings, **options
        )

    return once


@pytest.fixture
def ask(settings: Settings, colour_models: ModelSet):
    def once(text: str, **options):
        with SearchEngine(settings.library, colour_models, settings) as engine:
            return engine.search(build(text, **options))

    return once


def names(response) -> list[str]:
    return [moment.media.path.name for moment in response.moments]


def test_a_second_run_does_nothing(run) -> None:
    first = run()
    assert (first.indexed, first.unchanged, first.failed) == (4, 0, ())
    second = run()
    assert (second.indexed, second.unchanged, second.moved, second.removed) == (0, 4, 0, 0)


def test_words_find_the_second(run, ask) -> None:
    run()
    best = ask("green", kinds=["video"]).moments[0]
    assert best.media.path.name == "film.mp4"
    assert best.start_s == pytest.approx(2.0, abs=0.11) and best.end_s == pytest.approx(4.0, abs=0.11)
    assert best.start_s <= best.peak_s < best.end_s
    gif = ask("yellow", kinds=["gif"]).moments[0]
    assert gif.media.path.name == "blink.gif" and 0.5 <= gif.peak_s < 1.0
    still = ask("blue", kinds=["image"]).moments[0]
    assert still.media.path.name == "blue.jpg" and still.peak_s is None


def test_a_changed_file_is_redone_even_with_its_old_size_and_mtime(run, ask, media: Path) -> None:
    run()
    path = media / "red.png"
    before = path.stat()
    write_image(path, "white")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert run().indexed == 1
    assert names(ask("red", kinds=["image"], k=5)).count("red.png") == 1
    assert ask("white", kinds=["image"]).moments[0].media.path.name == "red.png"


def test_a_moved_file_keeps_its_rows(run, ask, media: Path) -> None:
    run()
    (media / "deep").mkdir()
    shutil.move(media / "film.mp4", media / "deep" / "renamed.mp4")
    report = run()
    assert (report.indexed, report.moved, report.removed, report.unchanged) == (0, 1, 0, 3)
    assert ask("green", kinds=["video"]).moments[0].media.path == media / "deep" / "renamed.mp4"


def test_a_copy_is_known_and_outlives_its_original(run, ask, media: Path) -> None:
    run()
    shutil.copy(media / "blue.jpg", media / "again.jpg")
    assert run().indexed == 1
    assert len(ask("blue", kinds=["image"], k=9).moments) == 2, "one content is one result"
    (media / "blue.jpg").unlink()
    assert run().removed == 1
    assert ask("blue", kinds=["image"]).moments[0].media.path.name == "again.jpg"


def test_a_deleted_file_goes_unless_asked_to_keep_it(run, ask, media: Path) -> None:
    run()
    (media / "film.mp4").unlink()
    assert run(keep_missing=True).removed == 0
    assert names(ask("green", kinds=["video"]))
    assert run().removed == 1
    assert not ask("green", kinds=["video"]).moments


def test_a_folder_that_cannot_be_seen_takes_nothing_away(run, ask, media: Path) -> None:
    run()
    away = media.rename(media.with_name("unplugged"))
    report = run(media)
    assert report.removed == 0 and "no such file" in report.failed[0].reason
    away.rename(media)
    assert run().unchanged == 4


def test_other_folders_are_left_alone(run, media: Path, tmp_path: Path) -> None:
    run()
    other = tmp_path / "other"
    other.mkdir()
    write_image(other / "white.png", "white")
    report = run(other)
    assert (report.indexed, report.removed) == (1, 0)


def test_bad_files_are_told_and_nothing_else_is_lost(run, ask, media: Path) -> None:
    (media / "empty.jpg").write_bytes(b"")
    (media / "lies.mp4").write_text("this is a shopping list, not a film\n" * 50)
    film = (media / "film.mp4").read_bytes()
    (media / "cut.mp4").write_bytes(film[: len(film) // 3])
    (media / "notes.txt").write_text("hello")
    report = run()
    assert report.indexed == 4 and report.ignored == {".txt": 1}
    reasons = {Path(one.path).name: one.reason for one in report.failed}
    assert set(reasons) == {"empty.jpg", "lies.mp4", "cut.mp4"}
    assert all(reason and "\n" not in reason for reason in reasons.values())
    found = names(ask("red", k=50))
    assert not set(found) & set(reasons)
    again = run()
    assert again.unchanged == 4 and len(again.failed) == 3


def test_a_file_overwritten_by_rubbish_is_no_longer_found(run, ask, media: Path) -> None:
    run()
    (media / "blue.jpg").write_bytes(b"rubbish")
    assert len(run().failed) == 1
    assert "blue.jpg" not in names(ask("blue", k=50))


def test_what_cannot_be_read_just_now_is_told_and_stays_found(run, ask, media: Path, monkeypatch) -> None:
    run()
    with monkeypatch.context() as patch:
        os.utime(media / "blue.jpg")

        def refuse(path: Path, stop: object) -> str:
            raise PermissionError(13, "Permission denied")

        patch.setattr("indexer.decode.content_hash", refuse)
        (failure,) = run().failed
        assert "Permission denied" in failure.reason
        assert ask("blue", kinds=["image"]).moments[0].media.path.name == "blue.jpg"
    assert not run().failed and run().unchanged == 4


def test_a_new_file_under_the_old_name_of_a_renamed_one(run, ask, media: Path) -> None:
    run()
    (media / "blue.jpg").rename(media / "z_blue.jpg")
    write_image(media / "blue.jpg", "white")
    assert run().failed == ()
    assert ask("blue", kinds=["image"]).moments[0].media.path.name == "z_blue.jpg"
    assert ask("white", kinds=["image"]).moments[0].media.path.name == "blue.jpg"
    assert run().unchanged == 5


def test_a_defect_of_the_run_keeps_what_was_finished(run, media: Path, monkeypatch) -> None:
    seen = iter(range(1000))

    def stop() -> bool:
        if next(seen) > 12:
            raise RuntimeError("the model fell over")
        return False

    with pytest.raises(RuntimeError, match="fell over"):
        run(should_stop=stop)
    assert run().unchanged >= 1


def test_what_cannot_be_seen_is_not_gone(monkeypatch) -> None:
    def refuse(path: str):
        raise PermissionError(13, "Permission denied")

    assert indexer.discover.is_gone("/nowhere/at/all")
    monkeypatch.setattr("os.lstat", refuse)
    assert not indexer.discover.is_gone("/nowhere/at/all")


def test_given_by_name_an_unknown_file_is_refused(run, media: Path) -> None:
    (media / "notes.txt").write_text("hello")
    (failure,) = run(media / "notes.txt").failed
    assert ".txt" in failure.reason
    (failure,) = run(media / "nowhere.jpg").failed
    assert "no such file" in failure.reason


def test_interrupted_anywhere_then_finished_equals_one_run(run, ask, media: Path, settings: Settings) -> None:
    for number in range(6):
        write_video(media / f"more{number}.mp4", ["blue", "red"], rate=10 + number)
    stops = iter([False] * 9 + [True] * 1000)
    first = run(should_stop=lambda: next(stops))
    assert first.interrupted and first.indexed < 10 and first.removed == 0
    second = run()
    assert first.indexed + second.indexed == 10 and second.unchanged == first.indexed
    pieces = [(m.media.path.name, m.start_s, m.peak_s, m.end_s) for m in ask("blue", k=100).moments]
    whole_settings = replace_library(settings)
    index([media], library=whole_settings.library, models=ModelSet("test", ColourModel()), settings=whole_settings)
    with SearchEngine(whole_settings.library, ModelSet("test", ColourModel()), whole_settings) as engine:
        whole = [(m.media.path.name, m.start_s, m.peak_s, m.end_s) for m in engine.search(build("blue", k=100)).moments]
    assert sorted(pieces, key=str) == sorted(whole, key=str)


def replace_library(settings: Settings) -> Settings:
    return settings.model_copy(update={"library": settings.library.with_name("whole")})


def test_the_library_may_lie_inside_the_folder(media: Path, settings: Settings, colour_models: ModelSet) -> None:
    inside = media / "library"
    for expected in (0, 4):
        report = index([media], library=inside, models=colour_models, settings=settings)
        assert report.unchanged == expected and not report.failed


def test_another_model_is_refused_with_the_remedy(run, media: Path, settings: Settings) -> None:
    run()

    class Other(ColourModel):
        identity = replace(ColourModel.identity, revision="2")

    with pytest.raises(IndexMismatch, match="library"):
        index([media], library=settings.library, models=ModelSet("test", Other()), settings=settings)
    with pytest.raises(IndexMismatch, match="test/colour"):
        SearchEngine(settings.library, ModelSet("test", Other()), settings)


def test_remove_takes_a_folder_out(run, ask, media: Path, settings: Settings) -> None:
    run()
    assert remove([media / ".." / media.name / "film.mp4"], library=settings.library) == 1
    assert not ask("green", kinds=["video"]).moments
    assert remove([media], library=settings.library) == 3
    assert (media / "film.mp4").exists()


def test_progress_ends_where_it_should(run, media: Path) -> None:
    seen = []
    run(on_progress=seen.append)
    last = seen[-1]
    assert last.done_files == last.total_files == 4 and last.done_bytes == last.total_bytes
    assert [one.done_bytes for one in seen] == sorted(one.done_bytes for one in seen)


def test_never_fewer_than_asked_when_more_exist(run, ask) -> None:
    run()
    assert len(ask("red", k=6, kinds=["video"]).moments) == 6
    everything = ask("red", k=20).moments
    others = {moment.media.path.name for moment in everything} | {"film.mp4"}
    assert others == {"red.png", "blue.jpg", "blink.gif", "film.mp4"}, "what shows the same is folded, not lost"
    assert sum(item.path.name == "film.mp4" for moment in everything for item in moment.same) >= 3


def test_a_picture_of_the_library_does_not_find_itself(run, settings: Settings, colour_models, media: Path) -> None:
    run()
    with SearchEngine(settings.library, colour_models, settings) as engine:
        found = engine.similar(media / "blue.jpg", k=20)
        assert "blue.jpg" not in names(found) and found.moments[0].media.path.name == "film.mp4"
        assert 4.0 <= found.moments[0].peak_s < 6.0
        paused = engine.similar(media / "film.mp4", at_s=4.5, k=20)
        assert paused.moments[0].media.path.name == "blue.jpg"
        assert not any(one.media.path.name == "film.mp4" and one.start_s <= 4.5 < one.end_s for one in paused.moments)
