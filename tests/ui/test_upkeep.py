"""optimize, backup, verify and reindex as people and scripts meet them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from data.store.lance import create_or_open, read_manifest
from tests.ui.conftest import Shelf, ask, ask_json


@pytest.fixture
def library(shelf: Shelf, tmp_path: Path) -> Path:
    """A copy of the shelf's library, to be changed."""
    return Path(shutil.copytree(shelf.library, tmp_path / "library"))


def paths(*arguments: object) -> list[str]:
    return [result["path"] for result in ask_json("search", "a red picture", *arguments)["results"]]


def test_backup_verify_and_restore(library: Path, tmp_path: Path) -> None:
    before = paths("--library", library)
    copy = tmp_path / "copy"
    said = ask_json("backup", copy, "--library", library)
    assert said["backup"] == str(copy) and said["size_bytes"] > 0
    shutil.rmtree(library)
    assert paths("--library", copy) == before
    verdict = ask_json("verify", "--library", copy)
    assert verdict["whole"] and verdict["media"] == 4 and verdict["damage"] == [] and verdict["files"] is None
    said = ask("backup", copy, "--library", copy)
    assert said.exit_code == 1 and "There is something at" in said.stderr and said.stdout == ""


def test_verify_reads_the_files_when_asked(shelf: Shelf, library: Path, tmp_path: Path) -> None:
    assert ask_json("verify", "--files", "--library", library)["files"] == []
    with open_for_writing(library) as store:
        rows = store.files()
        for name, path in (("red.png", tmp_path / "gone.png"), ("blink.gif", shelf.media / "film.mp4")):
            row = rows[str(shelf.media / name)]
            store.record_files([type(row)(str(path), row.media_id, 1, 1, 1, 1)])
    verdict = ask_json("verify", "--files", "--library", library, code=3)
    reasons = {Path(row["path"]).name: row["reason"] for row in verdict["files"]}
    assert reasons == {"gone.png": "gone", "film.mp4": "other content than was indexed"}
    said = ask("verify", "--files", "--library", library)
    assert said.exit_code == 3 and "gone.png: gone" in said.stdout and "whole" in said.stdout


def test_verify_says_damaged(library: Path) -> None:
    with open_for_writing(library) as store:
        store._tables["frames"].delete("time_s = 0.0")
    verdict = ask_json("verify", "--library", library, code=1)
    assert not verdict["whole"] and "missing" in verdict["damage"][0]
    said = ask("verify", "--library", library)
    assert said.exit_code == 1 and said.stdout.startswith("Damage: ") and "index again" in said.stderr


def test_optimize(library: Path) -> None:
    before = paths("--library", library)
    said = ask_json("optimize", "--library", library)
    assert said["before_bytes"] > 0 and said["after_bytes"] > 0
    assert paths("--library", library) == before
    with open_for_writing(library):
        said = ask("optimize", "--library", library)
    assert said.exit_code == 1 and "is being written" in said.stderr


def test_reindex_and_back(library: Path) -> None:
    before = paths("--library", library)
    report = ask_json("reindex", "--models", "lite", "--library", library)
    assert report["indexed"] == 4 and report["interrupted"] is False
    assert read_manifest(library).tables == "tables.2" and paths("--library", library) == before
    assert ask_json("reindex", "--undo", "--library", library)["profile"] == "lite"
    assert read_manifest(library).tables == "tables" and paths("--library", library) == before
    assert ask("optimize", "--drop-old", "--library", library).exit_code == 0
    said = ask("reindex", "--undo", "--library", library)
    assert said.exit_code == 1 and "no earlier one" in said.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["reindex"], 2, "--undo"),
        (["reindex", "--undo", "--models", "lite"], 2, "either"),
        (["reindex", "--models", "nonsense"], 1, "nonsense"),
        (["backup"], 2, "DIR"),
    ],
)
def test_used_wrongly(library: Path, arguments: list[str], code: int, says: str) -> None:
    said = ask(*arguments, "--library", library)
    assert said.exit_code == code and says in said.stderr and said.stdout == ""


@pytest.mark.parametrize("command", [["optimize"], ["verify"], ["reindex", "--undo"], ["reindex", "--models", "lite"]])
def test_no_library(tmp_path: Path, command: list[str]) -> None:
    said = ask(*command, "--library", tmp_path / "none")
    assert said.exit_code == 1 and "secondsight index PATH" in said.stderr
    assert not (tmp_path / "none").exists()


def open_for_writing(library: Path):  # type: ignore[no-untyped-def]
    manifest = read_manifest(library)
    return create_or_open(library, manifest.models, profile=manifest.profile)
