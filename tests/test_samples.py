"""The sample library and its truth: complete, licensed, small, openable, and no answer outside its medium."""

from __future__ import annotations

import csv
import itertools
import re
from collections import Counter
from pathlib import Path

import pytest

from data.media import open_media, picture

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "data" / "samples"
QUERIES = ROOT / "benchmarks" / "queries"
LIMIT_BYTES = 15_000_000
FREE = re.compile(r"CC0-1\.0|CC-BY(-SA)?-[1-4]\.0|LGPL-3\.0-or-later|public domain|no known copyright restrictions")
TYPES = {"moment", "still", "image", "none", "negated", "temporal", "box"}


def _files() -> set[str]:
    found = (path for path in SAMPLES.rglob("*") if path.is_file() and path.name != "LICENSES.md")
    return {path.relative_to(SAMPLES).as_posix() for path in found if path.suffix not in (".py", ".pyc")}


def _licences() -> list[list[str]]:
    lines = (SAMPLES / "LICENSES.md").read_text("utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return rows[1:]


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


MEDIA = sorted(_files() - {"products.csv"})
TRUTHS = _read(QUERIES / "samples.csv")


@pytest.fixture(scope="module")
def durations_s() -> dict[str, float | None]:
    """Seconds of each medium that has time, None for stills."""
    found: dict[str, float | None] = {}
    for name in MEDIA:
        with open_media(SAMPLES / name) as source:
            found[name] = source.info.duration_s
    return found


def test_every_file_has_one_licence_row_and_every_row_a_file() -> None:
    assert Counter(row[0] for row in _licences()) == Counter(_files())


def test_every_licence_is_free_and_every_cell_is_filled() -> None:
    for row in _licences():
        assert len(row) == 6 and all(row), row
        assert row[0] == "products.csv" or FREE.fullmatch(row[4]), row


def test_the_set_stays_small() -> None:
    assert sum((SAMPLES / name).stat().st_size for name in _files()) < LIMIT_BYTES
    assert sum(path.stat().st_size for path in (QUERIES / "images").iterdir()) < 1_000_000


def test_the_set_is_varied() -> None:
    kinds = Counter(name.split("/")[0] for name in MEDIA)
    assert kinds["photos"] >= 40 and kinds["products"] >= 24 and kinds["films"] >= 5 and kinds["animations"] >= 3
    assert {".mp4", ".webm", ".gif", ".webp", ".png", ".jpg"} <= {Path(name).suffix for name in MEDIA}


@pytest.mark.parametrize("name", MEDIA)
def test_every_medium_opens_and_is_not_blank(name: str) -> None:
    # Some seconds in where there is time, since a film may begin in black; a rendering that failed is one flat colour.
    moves = name.startswith(("films/", "animations/"))
    pixels = picture(SAMPLES / name, at_s=4.6 if moves else None)
    assert min(pixels.shape[:2]) >= 100
    assert pixels.std() > 10


def test_moving_media_move_and_stills_have_no_time(durations_s: dict[str, float | None]) -> None:
    for name, duration_s in durations_s.items():
        moves = name.startswith(("films/", "animations/"))
        assert (duration_s is not None and duration_s > 1) if moves else not duration_s, name


def test_one_animation_has_unequal_delays() -> None:
    with open_media(SAMPLES / "animations" / "loop_1.gif") as source:
        times = [frame.time_s for frame in source.frames()]
    steps = {round(after - before, 3) for before, after in itertools.pairwise(times)}
    assert len(steps) >= 3


def test_products_have_three_views_each() -> None:
    rows = _read(SAMPLES / "products.csv")
    assert {row["file"] for row in rows} == {name for name in MEDIA if name.startswith("products/")}
    assert set(Counter(row["sku"] for row in rows).values()) == {3}
    assert all(row["name"] and row["category"] for row in rows)


def test_file_names_hold_no_word_of_a_query() -> None:
    asked = {word for row in TRUTHS for word in re.findall(r"[a-z]{4,}", row["query"].lower())}
    named = {word for name in MEDIA for word in re.findall(r"[a-z]{4,}", Path(name).stem.lower())}
    # The two film names stand in their own title cards, where they may be read.
    assert asked & named <= {"bunny", "sintel"}


def test_truths_are_well_formed(durations_s: dict[str, float | None]) -> None:
    for row in TRUTHS:
        assert list(row) == ["query", "image", "file", "start_s", "end_s", "lang", "type", "box"]
        assert bool(row["query"]) != bool(row["image"]), row
        assert row["type"] in TYPES and row["lang"] in {"en", "zh"}, row
        assert row["type"] != "none" or not row["file"], row
        assert row["file"] or row["type"] in ("none", "temporal"), row  # nothing, or not in that order
        assert bool(row["box"]) == (row["type"] == "box"), row
        assert (row["lang"] == "zh") == bool(re.search("[\u4e00-\u9fff]", row["query"])), row
        if row["image"]:
            assert row["type"] in ("image", "box") and picture(QUERIES / row["image"]).std() > 10
        if not row["file"]:
            assert not row["start_s"] and not row["end_s"], row
            continue
        duration_s = durations_s[row["file"]]
        assert bool(duration_s) == bool(row["start_s"]) == bool(row["end_s"]), row
        if duration_s:
            assert 0 <= float(row["start_s"]) < float(row["end_s"]) <= duration_s + 0.2, row


def test_truths_do_not_overlap_or_repeat() -> None:
    seen: dict[tuple[str, str, str, str], list[tuple[float, float]]] = {}
    for row in TRUTHS:
        interval = (float(row["start_s"] or 0), float(row["end_s"] or 0))
        others = seen.setdefault((row["query"], row["image"], row["box"], row["file"]), [])
        assert interval not in others, row
        assert all(interval[1] <= start_s or end_s <= interval[0] for start_s, end_s in others), row
        others.append(interval)


def test_there_are_enough_queries_of_every_kind() -> None:
    cases = {(row["query"], row["image"], row["box"]): row for row in TRUTHS}
    kinds = Counter(row["type"] for row in cases.values())
    assert kinds["moment"] >= 40 and kinds["still"] >= 15 and kinds["image"] >= 10 and kinds["none"] >= 10
    assert min(kinds["negated"], kinds["temporal"], kinds["box"]) >= 10
    assert sum(row["lang"] == "zh" for row in cases.values()) >= 15


def test_query_pictures_are_not_copies_of_library_files() -> None:
    stored = {(SAMPLES / name).read_bytes() for name in MEDIA}
    used = {row["image"] for row in TRUTHS if row["image"]}
    assert used == {f"images/{path.name}" for path in (QUERIES / "images").iterdir()}
    assert all((QUERIES / name).read_bytes() not in stored for name in used)
