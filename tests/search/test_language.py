"""The query language: what docs/search.md promises, plain sentences that stay plain, mistakes that are pointed at."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import QuerySyntaxError, UsageError
from data.store.base import Condition
from data.types import FieldValue, Step, Term
from search.language import THEN_WITHIN_S, parse
from search.query import build

DOCS = (Path(__file__).resolve().parents[2] / "docs" / "search.md").read_text("utf-8")
EXAMPLES = [re.sub(r"\\\|", "|", line.split("`")[1]) for line in DOCS.splitlines() if line.startswith("| `")]
PLAIN = [
    sentence
    for sentence in re.findall(r"`([^`]+)`", DOCS.partition("These are plain sentences:")[2].partition("A mistake")[0])
]
FIELDS = {"price": float, "category": str, "sold": bool, "Title": str}


def test_the_document_shows_examples() -> None:
    assert len(EXAMPLES) >= 20 and len(PLAIN) >= 8


@pytest.mark.parametrize("text", EXAMPLES[1:])
def test_examples_mean_more_than_words(text: str) -> None:
    parsed = parse(text, FIELDS)
    assert (parsed.terms, parsed.steps, parsed.images, parsed.conditions, parsed.kinds) != (
        (Term(text),), (), (), (), (),
    )  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        *PLAIN,
        EXAMPLES[0],
        "a mother-in-law's house",
        "the film begins at 10:45:12 sharp",
        "Then",
        "what happened before",
        "while",
        "heathen and thence",
        "then and now",
        "a ratio of 3:2",
        "a dog - not a cat",
        "兔子 -- 草地",
        "he said: hello",
        "1 < 2",
        "x > y and y < z",
    ],
)
def test_plain_sentences_stay_plain(text: str) -> None:
    parsed = parse(text, {})
    assert parsed.terms == (Term(text),) and not parsed.steps and not parsed.conditions and not parsed.kinds


def terms(text: str, **fields: type) -> tuple[Term, ...]:
    return parse(text, fields or None).terms


def test_terms() -> None:
    assert terms("beach -people") == (Term("beach"), Term("people", weight=-1.0))
    assert terms('-"not this" a beach') == (Term("a beach"), Term("not this", weight=-1.0, phrase=True))
    assert terms('a clock "half past nine"') == (Term("a clock"), Term("half past nine", "text", 1.0, True))
    assert terms("said:budget") == (Term("budget", "speech"),)
    assert terms('said:"the very end"') == (Term("the very end", "speech", 1.0, True),)
    assert terms("text:exit caption:man tag:sea") == (
        Term("exit", "screen"), Term("man", "caption"), Term("sea", "tag"),
    )  # fmt: skip
    assert terms("color:red -colour:#00ff00 dress") == (
        Term("dress"), Term("red", "color"), Term("#00ff00", "color", -1.0),
    )  # fmt: skip
    assert terms("sofa^2 green") == (Term("green"), Term("sofa", weight=2.0))
    assert terms("“exact words”") == (Term("exact words", "text", 1.0, True),)


def test_events() -> None:
    parsed = parse("a bird sings, and then a nut falls within 20s")
    assert parsed.terms == (Term("a bird sings"),)
    assert parsed.steps == (Step((Term("a nut falls"),), "then", 20.0),)
    assert parse("a then b").steps == (Step((Term("b"),), "then", THEN_WITHIN_S),)
    assert parse("a before b").steps == (Step((Term("b"),), "then", None),)
    assert parse("a while b then c within 2 minutes").steps == (
        Step((Term("b"),), "while", None), Step((Term("c"),), "then", 120.0),
    )  # fmt: skip
    assert parse("a dog -cat then a ball -red").steps[0].terms == (Term("a ball"), Term("red", weight=-1.0))


def test_conditions() -> None:
    def conditions(text: str) -> tuple[Condition, ...]:
        return parse(f"x {text}", FIELDS).conditions

    assert conditions("duration<60 duration>=1:30 duration<2m") == (
        Condition("duration_s", "<", 60.0), Condition("duration_s", ">=", 90.0), Condition("duration_s", "<", 120.0),
    )  # fmt: skip
    assert conditions("size<10MB width>=640") == (Condition("size_bytes", "<", 1e7), Condition("width", ">=", 640.0))
    assert conditions("after:2024-06 before:2025") == (
        Condition("captured_at", ">=", "2024-06"), Condition("captured_at", "<", "2025"),
    )  # fmt: skip
    assert conditions("in:/films in:holidays path:wave camera:nikon") == (
        Condition("path", "under", "/films"), Condition("path", "contains", "/holidays/"),
        Condition("path", "contains", "wave"), Condition("camera", "contains", "nikon"),
    )  # fmt: skip
    assert conditions("price<500 category:sofa -category:chair sold:yes title:Dune") == (
        Condition("field.price", "<", 500.0), Condition("field.category", "=", "sofa"),
        Condition("field.category", "!=", "chair"), Condition("field.sold", "=", True),
        Condition("field.Title", "=", "Dune"),
    )  # fmt: skip
    assert parse("x kind:gif|image kind:gif").kinds == ("gif", "image")
    assert parse("x -kind:gif").kinds == ("image", "video")
    assert parse("x -kind:gif -kind:image").kinds == ("video",) == parse("x -kind:gif,image").kinds
    assert parse("x kind:image|video -kind:image").kinds == ("video",)
    assert build("x -kind:gif", kinds=["gif", "video"]).kinds == ("video",)


def test_near_is_a_range_of_longitudes_that_conditions_can_tell() -> None:
    def longitudes(text: str) -> list[tuple[str, FieldValue]]:
        return [(one.op, one.value) for one in parse(f"x {text}").conditions if one.name == "longitude"]

    (above, west), (below, east) = longitudes("near:60,179,10km")
    assert (above, below) == (">=", "<=") and west == pytest.approx(178.82, abs=0.01) and east < 180
    assert longitudes("near:89.99,20,10km") == [], "round a pole every longitude is near"


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        ('a "cat', 2, "never closed"),
        ('a ""', 2, "empty"),
        ("sofa^0", 4, "'0'"),
        ("sofa^x", 4, "'x'"),
        ("a color:plaid", 8, "'plaid'"),
        ("a kind:film", 7, "'film'"),
        ("a kind:video -kind:video", 19, "No kind is left"),
        ("a -kind:image|gif -kind:video", 24, "No kind is left"),
        ("a near:-17,179.9,50km", 7, "180th meridian"),
        ("a near:66,-180", 7, "180th meridian"),
        ("a price<cheap", 8, "a number"),
        ("a prize<500", 2, "no field 'prize'"),
        ("a after:soon", 8, "not a date"),
        ("a duration<long", 11, "'long'"),
        ("a -in:holidays", 6, "turned round"),
        ("a price<", 7, "Nothing stands behind"),
        ("a said:", 6, "Nothing stands behind"),
        ("a -price<5", 9, "Turn the sign round"),
    ],
)
def test_a_mistake_is_one_sentence_at_its_character(text: str, at: int, says: str) -> None:
    with pytest.raises(QuerySyntaxError, match=re.escape(says)) as caught:
        parse(text, FIELDS)
    assert caught.value.position == at and "\n" not in str(caught.value)


def test_pictures_need_somebody_to_open_them() -> None:
    with pytest.raises(QuerySyntaxError, match="Pictures cannot be named"):
        build("a cat image:/etc/passwd")
    with pytest.raises(UsageError, match="events"):
        build(" then ".join("abcdefg"))


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_position(text: str) -> None:
    try:
        parse(text, FIELDS)
    except QuerySyntaxError as error:
        assert 0 <= error.position <= len(text)
