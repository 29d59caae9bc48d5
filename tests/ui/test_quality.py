"""`eval` and `feedback` as they are typed, over the shelf's real library."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from tests.ui.conftest import Shelf, ask, ask_json

HEAD = "query,image,file,start_s,end_s,type\n"


@pytest.fixture
def queries(shelf: Shelf, tmp_path: Path) -> Path:
    path = tmp_path / "queries.csv"
    rows = f",{shelf.media / 'red.png'},red.png,,,picture\n"
    rows += f",{shelf.media / 'film.mp4'}@0:05,film.mp4,4,6,frame\n"
    path.write_text(HEAD + rows + "quarterly tax forms signed by two lawyers,,,,,none\n", "utf-8")
    return path


def test_eval_measures_what_comes_back(shelf: Shelf, queries: Path) -> None:
    told = ask_json("eval", queries, "--library", shelf.library)
    measures = told["measures"]
    assert measures["queries"]["value"] == 3 and measures["medium@1"]["value"] == 1.0
    assert measures["hit@1s"]["value"] == 1.0 and measures["auroc_no_match"]["value"] == 1.0
    assert set(told["by_type"]) == {"picture", "frame", "none"} and told["times_ms"]["total"]["median"] > 0
    assert [one["rank"] for one in told["queries"]] == [1, 1, None]
    table = ask("eval", queries, "--library", shelf.library).stdout
    assert "medium@1" in table and "1.00–1.00" in table and "total" in table


def test_misses_are_named(shelf: Shelf, tmp_path: Path) -> None:
    path = tmp_path / "queries.csv"
    path.write_text(HEAD + f",{shelf.media / 'red.png'},no-such-file.png,,,\n", "utf-8")
    said = ask("eval", path, "--misses", "--library", shelf.library)
    assert said.exit_code == 0 and "not among the first ten" in said.stdout


@pytest.mark.parametrize("text", ["query,file\n", HEAD, HEAD + "a,,f,soon,2,\n", "\x00"])
def test_a_table_that_is_none_is_one_line(shelf: Shelf, tmp_path: Path, text: str) -> None:
    path = tmp_path / "queries.csv"
    path.write_text(text, "utf-8")
    said = ask("eval", path, "--library", shelf.library)
    assert said.exit_code == 2 and said.stderr.startswith("Error:") and said.stderr.count("\n") == 1
    said = ask("eval", tmp_path / "none.csv", "--library", shelf.library)
    assert said.exit_code == 2 and "none.csv" in said.stderr


def test_verdicts_go_in_and_come_out_as_cases(shelf: Shelf, tmp_path: Path) -> None:
    film = f"{shelf.media / 'film.mp4'}@5"
    kept = ask_json("feedback", "add", "a blue film", film, "--good", "--library", shelf.library)
    assert kept["kept"]["good"] is True and kept["kept"]["start_s"] == 5.0
    said = ask("feedback", "add", "=1+2", shelf.media / "red.png", "--bad", "--library", shelf.library)
    assert said.exit_code == 0 and "red.png" in said.stdout
    out = ask("feedback", "export", "--library", shelf.library).stdout
    rows = [row for row in csv.DictReader(io.StringIO(out)) if row["query"] in ("a blue film", "'=1+2")]
    assert [row["verdict"] for row in rows] == ["good", "bad"], "no cell that a sheet would run"
    bad = ask_json("feedback", "export", "--bad", "--library", shelf.library)["verdicts"]
    assert bad and all(row["verdict"] == "bad" for row in bad)
    (tmp_path / "cases.csv").write_text(out, "utf-8")
    measures = ask_json("eval", tmp_path / "cases.csv", "--library", shelf.library)["measures"]
    assert measures["queries"]["value"] >= 1
    said = ask("feedback", "add", "a cat", tmp_path / "elsewhere.mp4", "--good", "--library", shelf.library)
    assert said.exit_code == 2 and "not in this library" in said.stderr
    assert ask("feedback", "add", "a cat", film, "--library", shelf.library).exit_code == 2
