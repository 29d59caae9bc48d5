"""A user's story with the real models: the samples are indexed, real questions are asked, the right second comes up."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.engine import SearchEngine
from search.query import build

SAMPLES = Path(__file__).resolve().parent.parent / "data" / "samples"


@pytest.fixture(scope="module")
def engine(demo_library: Path) -> Iterator[SearchEngine]:
    with SearchEngine(demo_library) as opened:
        yield opened


def names(response) -> list[str]:
    return [moment.media.path.name for moment in response.moments]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("a cat", "IMG_0012"),
        ("一只猫", "IMG_0012"),
        ("a cup of coffee", "IMG_0003"),
        ("a wooden chair", "SS-1003"),
        ("a city at night", "clip_3"),
        ("a man running", "clip_2"),
        ("一把吉他", "SS-1007"),
    ],
)
def test_words_find_the_medium_first(engine: SearchEngine, words: str, name: str) -> None:
    assert names(engine.search(build(words, k=3)))[0].startswith(name)


def test_a_frame_of_a_film_finds_its_second(engine: SearchEngine) -> None:
    """To the frame, in quiet shots too. `similar` leaves the frame's own moment out, so it is asked as a picture."""
    from data.media import picture
    from data.types import ImageQuery

    for name, second in (("bunny_1.mp4", 30.3), ("bunny_2.mp4", 77.7), ("sintel.mp4", 25.1)):
        rgb = picture(SAMPLES / "films" / name, at_s=second)[::2, ::2]  # a smaller copy
        best = engine.search(build(images=[ImageQuery(rgb)])).moments[0]
        assert best.media.path.name == name and second - 0.05 <= best.peak_s <= second + 1e-6
        assert best.start_s <= best.peak_s < best.end_s


@pytest.mark.parametrize("second", [10.0, 33.0, 41.0])
def test_like_a_paused_frame_are_other_moments_however_many_are_wanted(engine: SearchEngine, second: float) -> None:
    film = SAMPLES / "films" / "sintel.mp4"
    few, many = (engine.similar(film, at_s=second, k=k).moments for k in (1, 10))
    assert few[0].media.path.name == film.name and (few[0].start_s, few[0].peak_s) == (many[0].start_s, many[0].peak_s)
    assert not any(one.media.path.name == film.name and one.start_s <= second <= one.peak_s + 1e-6 for one in many)


def test_a_product_finds_its_other_views(engine: SearchEngine) -> None:
    with open(SAMPLES / "products.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    sku_of = {Path(row["file"]).name: row["sku"] for row in rows}
    firsts = [engine.similar(SAMPLES / row["file"], k=1).moments[0].media.path.name for row in rows]
    right = sum(sku_of.get(first) == row["sku"] for first, row in zip(firsts, rows, strict=True))
    assert right / len(rows) >= 0.8, f"{right} of {len(rows)}"
    assert all(Path(row["file"]).name != first for first, row in zip(firsts, rows, strict=True))


def test_kinds_are_kept_apart(engine: SearchEngine) -> None:
    for kind in ("image", "gif", "video"):
        found = engine.search(build("a rabbit", kinds=[kind], k=4)).moments
        assert len(found) == 4 and {moment.media.info.kind for moment in found} == {kind}
        assert all((moment.peak_s is None) == (kind == "image") for moment in found)


def test_words_and_a_picture_together(engine: SearchEngine) -> None:
    from data.media import picture
    from data.types import ImageQuery

    chair = ImageQuery(picture(SAMPLES / "products" / "SS-1003_a.jpg"))
    both = engine.search(build("a chair", images=[chair], k=3))
    assert all(name.startswith("SS-1003") for name in names(both)[:3])
    assert {evidence.channel for evidence in both.moments[0].evidence} == {"words", "picture"}
