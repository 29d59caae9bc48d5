"""`search` and `similar`: their JSON, their table, and playing what was found."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from tests.ui.conftest import Shelf, ask, ask_json


def test_search_json(shelf: Shelf) -> None:
    answer = ask_json("search", "a", "plain", "red", "picture", "-k", 5, "--library", shelf.library)
    assert set(answer) == {"query", "no_match", "matches", "without", "timing_ms", "results"}
    assert answer["query"] == "a plain red picture" and isinstance(answer["no_match"], bool)
    assert [result["rank"] for result in answer["results"]] == [1, 2, 3, 4, 5]
    for result in answer["results"]:
        assert set(result) == {"rank", "path", "kind", "start_s", "peak_s", "end_s", "score", "evidence", "same"}
        assert Path(result["path"]).is_absolute() and Path(result["path"]).exists()
        assert result["evidence"][0]["channel"]
        if result["kind"] == "image":
            assert result["start_s"] is result["peak_s"] is result["end_s"] is None
        else:
            assert 0 <= result["start_s"] <= result["peak_s"] < result["end_s"]


def test_similar_lands_in_the_right_stretch(shelf: Shelf, tmp_path: Path) -> None:
    film = shelf.media / "film.mp4"
    answer = ask_json("similar", shelf.media / "red.png", "--kind", "video", "--library", shelf.library)
    assert answer["results"][0]["path"] == str(film)
    assert 0 <= answer["results"][0]["peak_s"] < 2  # red is there from 0 to 2 s
    answer = ask_json("search", "--image", f"{film}@0:07", "--kind", "image", "--library", shelf.library)
    assert "odd" in answer["results"][0]["path"]  # the yellow picture, asked by the film's yellow second
    answer = ask_json("similar", f"{film}@1.0", "--box", "0,0,40,40", "--kind", "image", "--library", shelf.library)
    assert answer["results"][0]["path"] == str(shelf.media / "red.png")


def test_search_table(shelf: Shelf) -> None:
    said = ask("search", "--image", shelf.media / "red.png", "--kind", "video", "-k", 1, "--library", shelf.library)
    assert said.exit_code == 0
    assert "film.mp4" in said.stdout and "00:00.0–00:0" in said.stdout


def test_no_match_is_said_and_the_nearest_listed(shelf: Shelf) -> None:
    words = "quarterly tax forms signed by two lawyers"
    answer = ask_json("search", words, "--library", shelf.library)
    assert answer["no_match"] is True and answer["results"]
    said = ask("search", words, "--library", shelf.library)
    assert said.exit_code == 0
    assert said.stdout.startswith("Nothing in this library seems to match") and "film.mp4" in said.stdout


def test_the_condition_that_left_nothing_is_named(shelf: Shelf) -> None:
    """Of the four colours of the film, kept from matching by a condition that is false of it."""
    question = "a plain red picture kind:gif duration>5"
    answer = ask_json("search", question, "--library", shelf.library)
    assert answer["no_match"] is True
    first, *_ = answer["without"]
    assert first["limit"] in question and first["limit"] not in first["query"] and first["matches"] >= 1
    said = ask("search", question, "--library", shelf.library).stdout
    assert f"without {first['limit']}" in said and "info FILE" not in said
    assert ask_json("search", first["query"], "--library", shelf.library)["no_match"] is False
    assert ask_json("search", "a plain red picture", "--library", shelf.library)["without"] == []


def terminal(columns: int, monkeypatch: pytest.MonkeyPatch, module: Any) -> Any:
    import io

    from rich.console import Console

    console = Console(file=io.StringIO(), width=columns, highlight=False, emoji=False)
    monkeypatch.setattr(module, "out", lambda: console)
    return console.file


def test_names_and_seconds_stay_whole_in_eighty_columns(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    from ui.commands import library, search

    assert len(str(shelf.media)) > 40
    shown = terminal(80, monkeypatch, search)
    ask("search", "a plain red picture", "--library", shelf.library)
    lines = shown.getvalue().splitlines()[1:]
    assert all(len(line) <= 80 for line in lines), shown.getvalue()
    assert re.search(r"the same in (red\.png|film\.mp4)", lines[0]), shown.getvalue()
    assert any(re.search(r"/film\.mp4 +00:0\d\.\d ", line) for line in lines)
    shown = terminal(80, monkeypatch, library)
    ask("list", "--library", shelf.library)
    assert any(
        line.startswith("video") and line.rstrip().endswith("/film.mp4") for line in shown.getvalue().splitlines()
    )


def test_in_a_pipe_a_result_is_a_line_with_its_whole_path(shelf: Shelf) -> None:
    said = ask("search", "a plain red picture", "-k", 3, "--library", shelf.library).stdout.splitlines()
    assert sum(str(shelf.media) in line for line in said) == 3


def test_open_starts_a_player_at_the_second(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "told"
    player = tmp_path / "mpv"
    player.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{told}.part"; mv "{told}.part" "{told}"\n')
    player.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    said = ask("similar", shelf.media / "red.png", "--kind", "video", "-k", 1, "--open", "--library", shelf.library)
    assert "Opened" in said.stderr
    for _ in range(100):
        if told.exists():
            break
        time.sleep(0.05)
    start, dashes, name = told.read_text().splitlines()
    assert 0 <= float(start.removeprefix("--start=")) < 2 and dashes == "--" and name == str(shelf.media / "film.mp4")


def test_players_without_any(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from ui import players

    monkeypatch.setenv("PATH", str(tmp_path))
    assert "install mpv" in players.open_at(tmp_path / "-rf.mp4", 62.5) and players.command(tmp_path, 1.0) == (
        [],
        False,
    )
