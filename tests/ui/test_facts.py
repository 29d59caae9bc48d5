"""What is told of the library, of its files and of the installation."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.store.lance import create_or_open
from data.store.manifest import read_manifest, write_manifest
from data.types import TextSpan
from tests.ui.conftest import Shelf, ask, ask_json


def test_info_list_and_models(shelf: Shelf) -> None:
    info = ask_json("info", "--library", shelf.library)
    assert info["media"] == {"image": 2, "gif": 1, "video": 1} and info["failed"] == 1
    assert info["duration_s"] == pytest.approx(9.5, abs=0.2)
    listed = ask_json("list", "--library", shelf.library)["files"]
    assert len(listed) == 5
    (failed,) = ask_json("list", "--failed", "--library", shelf.library)["files"]
    assert failed["path"].endswith("fake.mp4") and failed["reason"]
    models = ask_json("models", "list")
    assert any(profile["name"] == "lite" and profile["default"] for profile in models["profiles"])
    assert all(weights["licence"] and len(weights["sha256"]) == 64 for weights in models["weights"])


def test_a_file_is_told_with_the_others_of_its_very_bytes(shelf: Shelf, tmp_path: Path) -> None:
    library, copies = tmp_path / "library", [tmp_path / name for name in ("b.png", "a.png", "c.png")]
    for copy in copies:
        shutil.copy(shelf.media / "red.png", copy)
    ask_json("index", *copies, shelf.media / "blink.gif", "--library", library)
    for copy in copies:
        facts = ask_json("info", copy, "--library", library)
        assert facts["path"] == str(copy)
        assert facts["copies"] == sorted(str(other) for other in copies if other != copy)
    said = ask("info", copies[0], "--library", library).stdout.splitlines()
    assert [line.split()[-1] for line in said[1:3]] == [str(tmp_path / "a.png"), str(tmp_path / "c.png")]
    assert said[1].startswith("same as")
    assert ask_json("info", shelf.media / "blink.gif", "--library", library)["copies"] == []
    assert "same as" not in ask("info", shelf.media / "blink.gif", "--library", library).stdout


def test_what_failed_is_listed_with_its_reason(shelf: Shelf) -> None:
    (line,) = ask("list", "--failed", "--library", shelf.library).stdout.splitlines()[1:]
    assert line.startswith("failed") and "/fake.mp4 " in line and len(line.partition("/fake.mp4 ")[2].split()) > 2


def test_chapters(shelf: Shelf) -> None:
    film = shelf.media / "film.mp4"
    told = ask_json("chapters", film, "--library", shelf.library)
    assert told["path"] == str(film)
    assert [round(one["start_s"]) for one in told["chapters"]] == [0, 2, 4, 6]
    assert told["chapters"][-1]["end_s"] == pytest.approx(told["duration_s"])
    table = ask("chapters", film, "--library", shelf.library).stdout
    assert "00:02.0" in table and len(table.splitlines()) >= 4
    vtt = ask("chapters", film, "--vtt", "--library", shelf.library).stdout
    assert vtt.startswith("WEBVTT\n\n1\n00:00:00.000 --> 00:00:02.000\n")
    said = ask("chapters", shelf.media / "red.png", "--library", shelf.library)
    assert said.exit_code == 2 and "no shots" in said.stderr
    said = ask("chapters", shelf.media / "notes.txt", "--library", shelf.library)
    assert said.exit_code == 2 and "secondsight index" in said.stderr


def test_doctor(shelf: Shelf, tmp_path: Path) -> None:
    report = ask_json("doctor", "--library", shelf.library)
    states = {check["name"]: check["state"] for check in report["checks"]}
    assert report["ok"] and states["python"] == states["decoders"] == "ok"
    damaged = tmp_path / "library"
    damaged.mkdir()
    (damaged / "library.json").write_text("{")
    said = ask("doctor", "--library", damaged)
    assert said.exit_code == 1 and "fail" in said.stdout


def test_doctor_tells_what_index_would_make_anew(shelf: Shelf, tmp_path: Path) -> None:
    def told(library: Path) -> dict[str, str]:
        report = ask_json("doctor", "--library", library, code=0 if library == shelf.library else None)
        return next(check for check in report["checks"] if check["name"] == "library's models")

    assert told(shelf.library)["state"] == "ok" and "lite/clip-vit-b16-int8@" in told(shelf.library)["detail"]
    library = Path(shutil.copytree(shelf.library, tmp_path / "library"))
    manifest = read_manifest(library)
    with create_or_open(library, manifest.models, profile=manifest.profile) as store:
        film, still, *_ = sorted(store.media(), key=lambda item: -item.size_bytes)
        span = TextSpan("caption", "a red field", 0.0, 1.0)
        vector = np.ones((1, 512), np.float32) / np.float32(512**0.5)
        store.put_captions([(film.media_id, [span], "seer@1 en", vector)], model="lite/clip-vit-b16-int8@former")
        store.put_texts(film.media_id, "speech", [], stage="whisper-tiny@former 0123")
        store.put_texts(still.media_id, "screen", [], stage="rapidocr@0.1")
        store.put_texts(film.media_id, "screen", [], stage="rapidocr@0.1")
    found = told(library)
    assert found["state"] == "warn"
    assert found["detail"].endswith(
        "make anew the vectors of captions of 1 file and speech of 1 file with --speech and writing of 2 files with "
        "--screen"
    )
    changed = replace(manifest, models={"joint": {**manifest.models["joint"], "revision": "00000000"}})
    write_manifest(library, changed)
    found = told(library)
    assert found["state"] == "fail" and "00000000" in found["detail"] and "reindex --models" in found["remedy"]


def test_doctor_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    from ui.commands import doctor

    wanted = ["numpy>=1", "left-pad>=1; extra == 'speech'", "numpy>=999; extra == 'heic'"]
    monkeypatch.setattr(metadata, "requires", lambda _: wanted)
    checks = {check.name: check for check in doctor._packages()}
    assert checks["packages"].state == "ok"
    assert checks["speech"].state == checks["heic"].state == "missing"
    assert "secondsight[speech]" in checks["speech"].remedy and "wanted >=999" in checks["heic"].detail


def test_doctor_does_not_alarm_about_what_is_optional(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A healthy installation without extras, nor a library: nothing warns, and what could be added stands apart."""
    import tomllib
    from importlib import metadata

    from ui.commands import doctor

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(project["optional-dependencies"]) - {"test", "dev"} == set(doctor._EXTRAS), "each says what it is for"
    monkeypatch.setattr(metadata, "requires", lambda _: ["numpy>=1", "left-pad>=1; extra == 'speech'"])
    said = ask("doctor", "--library", tmp_path / "none")
    assert said.exit_code == 0
    needed, optional = said.stdout.split("Optional, not installed:")
    assert {line.split()[0] for line in needed.splitlines() if line} == {"ok"}
    assert "speech: index --speech" in optional and "left-pad" not in said.stdout
