"""Times, sizes and names as people see them, and the notations of the arguments."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import UsageError
from ui.app.shown import markdown
from ui.text import (
    failure_text,
    parse_box,
    parse_reference,
    parse_seconds,
    plain,
    reason_text,
    size_text,
    stretch,
    timecode,
)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "00:00.0"),
        (9.96, "00:10.0"),
        (59.96, "01:00.0"),
        (754.25, "12:34.3"),
        (3599.97, "1:00:00.0"),
        (36000, "10:00:00.0"),
    ],
)
def test_timecode(seconds: float, shown: str) -> None:
    assert timecode(seconds) == shown


@given(st.integers(0, 10**6))
def test_a_timecode_reads_back(tenths: int) -> None:
    assert parse_seconds(timecode(tenths / 10)) == pytest.approx(tenths / 10)


def test_stills_have_no_stretch() -> None:
    assert stretch(None, None) == "" and stretch(1.0, 62.5) == "00:01.0–01:02.5"


@given(st.text())
def test_plain_text_holds_nothing_that_acts(text: str) -> None:
    shown = plain(text)
    assert shown.isprintable() or set(c for c in shown if not c.isprintable()) <= {"\u200c", "\u200d"}
    shown.encode("utf-8")


def test_plain_text_of_hostile_names() -> None:
    assert plain("a\x1b[31mred\x1b]0;title\x07\nb\u202ec") == "ared bc"
    assert plain("caf\udce9.mp4") == "caf\\xe9.mp4"
    assert plain("x" * 600) == "x" * 499 + "…"


def test_why_a_file_failed_is_never_empty() -> None:
    deep = "/a" * 300 + "/b.jpg"
    for path in ("/a/b.jpg", deep):
        assert reason_text(path, f"{path} is damaged.") == "is damaged."
        assert reason_text(path, f"{path}: no frame") == "no frame"
        assert reason_text(path, "cannot be read") == "cannot be read"
        assert failure_text(path, f"{path} is damaged.") == f"{path} is damaged."
    assert reason_text("/a/b.jpg", "/a/b.jpg.json is not JSON.") == "/a/b.jpg.json is not JSON."
    assert reason_text("/a/b.jpg", "x" * 600) == "x" * 499 + "…"


def test_markdown_is_disarmed() -> None:
    assert markdown("a_b [x](y) $z$ :red[w] <b>") == r"a\_b \[x\]\(y\) \$z\$ \:red\[w\] \<b\>"


@pytest.mark.parametrize(
    ("size", "shown"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_960, "1.0 MB"), (5e12, "5.0 TB")]
)
def test_sizes(size: float, shown: str) -> None:
    assert size_text(int(size)) == shown


def test_references(tmp_path: Path) -> None:
    strange = tmp_path / "me@12.jpg"
    strange.touch()
    assert parse_reference(str(strange)) == (strange, None)
    assert parse_reference(f"{strange}@1:02.5") == (strange, 62.5)
    assert parse_reference("film.mp4@83.5") == (Path.cwd() / "film.mp4", 83.5)
    assert parse_reference("film.mp4") == (Path.cwd() / "film.mp4", None)


@pytest.mark.parametrize("text", ["film.mp4@soon", "film.mp4@-3", "film.mp4@1:75", "film.mp4@nan", "film.mp4@"])
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="is not a time"):
        parse_reference(text)


def test_boxes() -> None:
    assert parse_box("1, 2,30,40") == (1, 2, 30, 40)
    for text in ("1,2,3", "1,2,0,4", "-1,2,3,4", "a,b,c,d", "1,2,3,4,5"):
        with pytest.raises(UsageError, match="is not a box"):
            parse_box(text)
