"""What stays and what goes when drives are away, passes are done again and files were bad."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from data.errors import UsageError
from data.settings import Settings
from data.store.base import MediaRows
from data.store.lance import LanceStore, create_or_open, open_reader
from data.types import TextSpan
from indexer.describe import REMARK_STAGE
from indexer.pipeline import IndexReport, index, remove
from indexer.sources import expand
from models.base import ModelSet
from tests.conftest import write_image
from ui.commands.library import list_files


@pytest.fixture
def run(media: Path, settings: Settings, colour_models: ModelSet):
    def once(*paths: Path, **options) -> IndexReport:
        return index(
            list(paths) or [media], library=settings.library, models=colour_models, settings=settings, **options
        )

    return once


def count(settings: Settings) -> int:
    with open_reader(settings.library) as store:
        return len(list(store.media()))


def test_an_empty_mount_point_takes_nothing_along(run, media: Path, settings: Settings) -> None:
    run()
    away = media.rename(media.with_name("away"))
    media.mkdir()
    report = run()
    (warning,) = report.warnings
    assert report.removed == 0 and count(settings) == 4
    assert "4 files" in warning.reason and "--prune" in warning.reason and "secondsight remove" in warning.reason
    media.rmdir()
    away.rename(media)
    assert run().unchanged == 4


def test_an_empty_mount_point_below_takes_nothing_along(run, media: Path, settings: Settings) -> None:
    usb, away = media / "usb", media.with_name("away")
    (usb / "deep").mkdir(parents=True)
    shutil.move(media / "film.mp4", usb / "film.mp4")
    shutil.move(media / "blue.jpg", usb / "deep" / "blue.jpg")
    run()
    usb.rename(away)
    usb.mkdir()
    for given in ([media], [usb / "film.mp4", usb / "deep" / "blue.jpg"]):
        report = run(*given)
        assert report.removed == 0 and count(settings) == 4
    (warning,) = run().warnings
    assert warning.path == str(usb) and "2 files" in warning.reason
    usb.rmdir()
    away.rename(usb)
    assert run().unchanged == 4
    usb.rename(away)
    assert run().removed == 2, "a folder that is gone while its parent holds files was deleted"


def test_a_given_folder_below_that_is_empty_is_pruned(run, media: Path, settings: Settings) -> None:
    (media / "usb").mkdir()
    shutil.move(media / "film.mp4", media / "usb" / "film.mp4")
    run()
    (media / "usb" / "film.mp4").unlink()
    assert run().removed == 0
    assert run(prune=True).removed == 1 and count(settings) == 3


def test_prune_lets_them_go(run, media: Path, settings: Settings) -> None:
    run()
    media.rename(media.with_name("away"))
    (failure,) = run().failed
    assert "no such file or folder" in failure.reason and "4 files" in failure.reason
    assert run(prune=True).removed == 4
    assert count(settings) == 0


def test_a_folder_that_still_holds_something_is_trusted(run, media: Path) -> None:
    run()
    for path in media.iterdir():
        if path.name != "red.png":
            path.unlink()
    assert run().removed == 3


def test_gone_files_can_be_removed_by_name(run, media: Path, settings: Settings) -> None:
    run()
    media.rename(media.with_name("away"))
    assert remove([media], library=settings.library) == 4


def test_a_full_pass_keeps_what_a_fast_one_does_not_touch(run, media: Path, settings: Settings, colour_models) -> None:
    assert run(sampling="fast").indexed == 4
    identities = {channel: identity.as_dict() for channel, identity in colour_models.identities().items()}
    with create_or_open(settings.library, identities, profile="test") as store:
        film = next(item for item in store.media() if item.path.name == "film.mp4")
        before = len(store.frame_vectors("joint", film.media_id).times_s)
        said = TextSpan("screen", "EXIT", 1.0, 2.0)
        store.put_texts(film.media_id, "screen", [said], stage="reader@1")
        store.put_fields({film.media_id: {"price": 3.0}})
    report = run()
    assert (report.indexed, report.unchanged) == (1, 3), "stills and animations were whole already"
    with open_reader(settings.library) as store:
        (again,) = store.media([film.media_id])
        assert len(store.frame_vectors("joint", film.media_id).times_s) > before
        assert store.texts(film.media_id) == [said] and again.fields == {"price": 3.0}
        stages = store.stages()[film.media_id]
        assert stages["screen"] == "reader@1" and stages["frames"] == "adaptive-2"
    assert run(sampling="fast").indexed == 0, "a fast pass never takes away"


def test_changed_files_are_written_as_they_come(
    run, media: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    for path in media.iterdir():
        path.write_bytes(path.read_bytes() + b"\0" * 64)  # behind its end: other bytes, the same picture
    monkeypatch.setattr("indexer.books.WRITE_EVERY_MEDIA", 1)
    written: list[str] = []
    add = LanceStore.add

    def noted(store: LanceStore, batch: Sequence[MediaRows]) -> None:
        add(store, batch)
        written.extend(rows.file.path for rows in batch)
        raise RuntimeError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr(LanceStore, "add", noted)
        # What is left is written when a run ends by itself: a kill does not give it the time to.
        patch.setattr("indexer.books.Books.write_all", lambda run: None)
        with pytest.raises(RuntimeError, match="power"):
            run()
    assert len(written) == 1
    report = run()
    assert (report.indexed, report.unchanged) == (3, 1) and count(settings) == 4


def test_contents_that_change_places_keep_what_was_found_in_them(
    run, media: Path, settings: Settings, colour_models, monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    identities = {channel: identity.as_dict() for channel, identity in colour_models.identities().items()}
    said = {"blue.jpg": 1.0, "film.mp4": 2.0, "blink.gif": 3.0}
    with create_or_open(settings.library, identities, profile="test") as store:
        ids = {item.path.name: item.media_id for item in store.media()}
        store.put_fields({ids[name]: {"price": price} for name, price in said.items()})
    # Each takes the name of the next, the first gets a new content, and the content of the last a new name.
    (media / "film.mp4").rename(media / "z.mp4")
    (media / "blue.jpg").rename(media / "film.mp4")
    (media / "blink.gif").rename(media / "blue.jpg")
    write_image(media / "blink.gif", "white")
    monkeypatch.setattr("indexer.books.WRITE_EVERY_MEDIA", 1)
    run()
    with open_reader(settings.library) as store:
        fields = {item.path.name: item.fields.get("price") for item in store.media()}
    assert fields == {"z.mp4": 2.0, "film.mp4": 1.0, "blue.jpg": 3.0, "blink.gif": None, "red.png": None}


def test_a_bad_file_is_tried_again_when_it_changes_or_when_asked(run, media: Path) -> None:
    bad = media / "bad.jpg"
    bad.write_bytes(b"\xff\xd8\xff\xe0 no picture at all")
    assert len(run().failed) == 1
    report = run()
    assert report.not_retried == 1 and report.failed[0].path == str(bad) and report.failed[0].reason
    assert run(retry_failed=True).not_retried == 0
    bad.write_bytes((media / "blue.jpg").read_bytes())
    report = run()
    assert (report.indexed, report.failed, report.not_retried) == (1, (), 0)


def test_a_truncated_film_gives_what_it_has_and_says_how_much_is_missing(
    run, media: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    import av

    # Matroska keeps no index that a cut could lose.
    with av.open(str(media / "film.mp4")) as source, av.open(str(media / "whole.mkv"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    whole = (media / "whole.mkv").read_bytes()
    (media / "whole.mkv").unlink()
    (media / "cut.mkv").write_bytes(whole[: len(whole) * 6 // 10])
    report = run()
    (warning,) = report.warnings
    assert report.indexed == 5 and not report.failed
    assert warning.path.endswith("cut.mkv") and "s" in warning.reason and any(map(str.isdigit, warning.reason))
    assert run().warnings == ()
    with open_reader(settings.library) as store:
        told = {item.path.name: store.stages()[item.media_id].get(REMARK_STAGE) for item in store.media()}
    assert told.pop("cut.mkv") == warning.reason and not any(told.values()), "kept with the file, told once"
    list_files(failed=False, library=settings.library, as_json=True)
    listed = {Path(row["path"]).name: row["remark"] for row in json.loads(capsys.readouterr().out)["files"]}
    assert listed.pop("cut.mkv") == warning.reason and not any(listed.values())


def test_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("one.jpg", "a/two.jpg", "a/b/three.jpg", "odd[1].jpg"):
        (tmp_path / name).touch()
    (tmp_path / "list").write_bytes(b"\xef\xbb\xbf# a comment\r\n\r\none.jpg\r\na/*.jpg\r\n")
    assert expand(["one.jpg", "one.jpg"]) == [Path("one.jpg")]
    assert expand(["**/*.jpg"]) == [Path(name) for name in ("a/b/three.jpg", "a/two.jpg", "odd[1].jpg", "one.jpg")]
    assert expand(["odd[1].jpg", "gone[1].jpg"]) == [Path("odd[1].jpg"), Path("gone[1].jpg")]
    assert expand(["@list"]) == [Path("one.jpg"), Path("a/two.jpg")]
    (tmp_path / "@list").touch()
    assert expand(["@list"]) == [Path("@list")], "a file of that very name is meant"
    (tmp_path / "binary").write_bytes(b"a\0b")
    for wrong in ("*.png", "@nowhere", "@binary"):
        with pytest.raises(UsageError, match=wrong.strip("@*.")):
            expand([wrong])
