"""Which of a question's limits left nothing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from data.types import Query
from search.language import limits
from search.limits import Without, without
from search.query import build


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a red sofa", []),
        ("sofa kind:gif price<5", ["kind:gif", "price<5"]),
        ('in:"my trips" a dog said:"good boy" -tag:cat', ['in:"my trips"', 'said:"good boy"', "-tag:cat"]),
        ("sofa^2 image:a.jpg http://x.example 12:30", []),
        ("a dog after:2024 then it swims duration<60", ["after:2024", "duration<60"]),
    ],
)
def test_the_pieces_that_limit(text: str, pieces: list[str]) -> None:
    assert [text[start:end] for start, end in limits(text)] == pieces


def asked(text: str, kinds: Sequence[str]) -> Query:
    return build(text, kinds=kinds, fields={"price": float})


def test_each_is_left_out_alone_and_the_best_comes_first() -> None:
    def count(query: Query) -> int:
        return (3 if not query.kinds else 0) + (5 if not query.conditions else 0)

    found = without("sofa price<5 kind:gif", (), asked, count)
    assert found == [Without("price<5", "sofa kind:gif", (), 5), Without("kind:gif", "sofa price<5", (), 3)]
    assert without("sofa price<5", ("gif",), asked, count)[1] == Without("kind:gif", "sofa price<5", (), 3)
    assert without("sofa", (), asked, count) == []


def test_where_no_single_one_is_to_blame_all_go() -> None:
    def count(query: Query) -> int:
        return 4 if not query.kinds and not query.conditions else 0

    assert without("sofa price<5", ("gif",), asked, count) == [Without("price<5, kind:gif", "sofa", (), 4)]


def test_nothing_is_left_of_a_question_that_only_limits() -> None:
    assert without("kind:gif", (), asked, lambda _: 1 / 0) == []
