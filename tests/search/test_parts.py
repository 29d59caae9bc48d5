"""The pure parts behind an answer: joins in time, folding, words in texts, negation, the library's background."""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.store.base import FrameVectors
from data.types import TextSpan, TimedWord
from search import channels, fold, fuse, joins, mentions, words
from search.background import Background
from search.joins import Span


def unit(*values: float) -> np.ndarray:
    vector = np.asarray(values, np.float32)
    return vector / np.linalg.norm(vector)


# Joins


def test_then_is_one_after_the_other() -> None:
    a, b, later = Span(0, 1, 2, 3.0), Span(3, 4, 5, 3.0), Span(30, 31, 32, 3.0)
    assert joins.holds(a, b, "then", 60) and not joins.holds(b, a, "then", 60)
    assert not joins.holds(a, later, "then", 20) and joins.holds(a, later, "then", None)
    assert not joins.holds(a, a, "then", None), "one stretch does not follow itself"


def test_while_is_at_the_same_time() -> None:
    a, over, apart = Span(0, 1, 4, 3.0), Span(3, 5, 6, 3.0), Span(4, 5, 6, 3.0)
    assert joins.holds(a, over, "while", None) and joins.holds(over, a, "while", None)
    assert not joins.holds(a, apart, "while", None) and joins.holds(a, apart, "while", 4)


def test_the_best_chain_is_found_and_is_as_good_as_its_weakest() -> None:
    first = [Span(0, 1, 2, 5.0), Span(20, 21, 22, 4.0)]
    second = [Span(4, 5, 6, 1.0), Span(24, 25, 26, 4.0)]
    best, *_ = joins.chains([first, second], [("then", 10.0)])
    assert best.places == (1, 1) and best.height == pytest.approx(4.0)
    assert joins.chains([second, first], [("then", 10.0)]) == []


def test_a_chain_is_doubted_where_the_other_way_round_fits_better() -> None:
    first, second = [Span(20, 21, 22, 4.0), Span(0, 1, 2, 2.0)], [Span(4, 5, 6, 4.0)]
    steps = [("then", 60.0)]
    weak, *_ = joins.chains([first, second], steps)
    assert weak.places == (1, 0) and joins.in_order(weak.height, joins.turned([first, second], steps)) < 0.1
    strong, *_ = joins.chains([second, first], steps)
    assert joins.in_order(strong.height, joins.turned([second, first], steps)) == 1.0
    assert joins.in_order(0.0, joins.turned([first, second], [("while", None)])) == 1.0, "no order, no doubt"
    assert joins.in_order(1.0, 500.0) == 0.0, "as high as ten phrases of weight 10 stand"


spans = st.builds(
    lambda start, left, right, height: Span(start, start + left, start + left + right, height),
    st.floats(0, 100), st.floats(0, 5), st.floats(0.1, 5), st.floats(-2, 6),
)  # fmt: skip


@given(st.lists(spans, min_size=1, max_size=6), st.lists(spans, min_size=1, max_size=6), st.floats(1, 60))
def test_chains_hold_and_miss_none(first: list[Span], second: list[Span], within_s: float) -> None:
    found = joins.chains([first, second], [("then", within_s)])
    assert all(joins.holds(first[c.places[0]], second[c.places[1]], "then", within_s) for c in found)
    possible = any(joins.holds(a, b, "then", within_s) for a in first for b in second)
    assert bool(found) == possible
    assert [c.height for c in found] == sorted((c.height for c in found), reverse=True)


# Folding


def test_copies_are_folded_into_the_better_one_and_named() -> None:
    rows = [("film", unit(1, 0)), ("copy", unit(1, 0.01)), ("film", unit(1, 0.02)), ("other", unit(0, 1))]
    kept = fold.copies(rows, 3, vector=lambda row: row[1], medium=lambda row: row[0])
    assert [group.item[0] for group in kept] == ["film", "film", "other"], "a film is no copy of itself"
    assert [other[0] for other in kept[0].same] == ["copy"]


def test_one_result_a_group() -> None:
    rows = [("a", 1), ("b", 1), ("c", 2), ("d", None), ("e", None)]
    assert [name for name, _ in fold.best_of_groups(rows, lambda row: row[1])] == ["a", "c", "d", "e"]


# Words in texts


@pytest.mark.parametrize(
    ("question", "text", "share"),
    [
        ("the budget meeting", "our budget meetings were long", 1.0),
        ("the budget meeting", "a meeting", 0.5),
        ("running dogs", "the dog runs", 1.0),
        ("cities", "a city", 1.0),
        ("boxes of glass", "a glass box", 1.0),
        ("houses", "a house", 1.0),
        ("城市夜景", "这里是城市的夜景", 2 / 3),
        ("to be or not to be", "to be, or not to be", 1.0),
        ("whale", "wheel", 0.0),
        ("привет", "Привет, как дела?", 1.0),
        ("cafe", "in a Café", 1.0),
        ("Zürich", "ZURICH main station", 1.0),
        ("カメラ", "このカメラは古い", 1.0),
        ("자동차", "빨간 자동차가", 1.0),
        ("γάτα", "η γατα", 1.0),
        ("привет мир", "привет", 0.5),
        ("собака", "кошка", 0.0),
    ],
)
def test_shares_of_words(question: str, text: str, share: float) -> None:
    assert words.found(question, text)[0] == pytest.approx(share)


def test_a_sentence_opens_at_its_word() -> None:
    times = tuple(TimedWord(word, 10 + i, 10.5 + i) for i, word in enumerate(["so", "the", "budgets", "are", "final"]))
    span = TextSpan("speech", "so the budgets are final", 10.0, 15.0, words=times)
    assert words.first_second("final budget", span) == 12.0
    assert words.first_second("final", span) == 14.0
    assert words.first_second("final", TextSpan("speech", "final", 3.0, 4.0)) == 3.0


def test_a_text_lies_over_its_frames_and_peaks_at_the_word() -> None:
    frames = FrameVectors(np.arange(6.0), np.zeros(6, np.int32), np.zeros((6, 2), np.float32))
    place = mentions.Place(TextSpan("speech", "x", 1.0, 4.0), 0.5, 1.0, ("x",), 3.2)
    curve = mentions.text_curve([place], frames, {"speech": 2.0})
    assert curve.strength.nonzero()[0].tolist() == [1, 2, 3] and int(curve.strength.argmax()) == 3
    assert curve.place_of_frame.tolist() == [-1, 0, 0, 0, -1, -1]


def test_where_words_and_meaning_are_found_the_one_that_counts_more_is_told() -> None:
    frames = FrameVectors(np.array([np.nan]), np.zeros(1, np.int32), np.zeros((1, 2), np.float32))
    caption = TextSpan("caption", "a red car on a wet road", None, None)
    places = [
        mentions.Place(caption, 0.7, 1.0, ("red", "car"), None),
        mentions.Place(caption, 0.9, 0.95, (), None, similarity=0.8),
    ]
    for order in (places, places[::-1]):
        curve = mentions.text_curve(order, frames, fuse.HEIGHTS)
        assert curve.places[curve.place_of_frame[0]].channel == "caption"
        assert curve.told[0] == np.float32(mentions.TEXT_TRUST)
    few = replace(places[0], strength=0.1, share=0.3)
    curve = mentions.text_curve([few, places[1]], frames, fuse.HEIGHTS)
    assert curve.told[0] == np.float32(0.95 * mentions.MEANING_TRUST), "few words do not hide what it means"


# Negation


def test_what_is_unwanted_leaves_what_it_shares_with_the_wanted() -> None:
    """Animals share a direction; cats and dogs differ in two others. "cat -dog" must still rank cats over stones."""
    rng = np.random.default_rng(0)
    cats = [unit(1, 0.8, 0, *rng.normal(0, 0.1, 3)) for _ in range(10)]
    dogs = [unit(1, 0, 0.8, *rng.normal(0, 0.1, 3)) for _ in range(10)]
    stones = [unit(-1, 0, 0, *rng.normal(0, 0.3, 3)) for _ in range(180)]
    sample = np.stack(cats + dogs + stones)
    asked = [
        channels.Part("words", "image", unit(1, 0.8, 0, 0, 0, 0), 1.0, "cat"),
        channels.Part("words", "image", unit(1, 0, 0.8, 0, 0, 0), -1.0, "dog"),
    ]

    def relevance(parts: list[channels.Part]) -> tuple[np.ndarray, np.ndarray]:
        seen = np.stack([part.vector for part in parts]) @ sample.T
        fusion = fuse.fit(seen, [part.weight for part in parts])
        return fusion(seen), fusion.unwanted(seen)

    height, out = relevance(list(channels._apart(asked, sample)))
    assert height[:10].min() > height[20:].max() and not out[:10].any()
    assert height[:10].min() > height[10:20].max(), "dogs come behind cats"
    naive, _ = relevance(asked)
    assert naive[:10].mean() < height[:10].mean(), "taken as it stands, dog pushes cats down"


def test_what_clearly_shows_the_unwanted_is_out() -> None:
    seen = np.asarray([[3.0, 2.0, 1.0, 0.0], [0.0, 2.5, 0.5, 3.5]], np.float32)
    fusion = fuse.Fusion(
        np.zeros((2, 1), np.float32), np.ones((2, 1), np.float32), np.asarray([[0.5], [-0.5]], np.float32)
    )
    assert fusion.unwanted(seen).tolist() == [False, True, False, True]


# Background


class Axes:
    """Words as vectors: each of the neutral questions a random one, always the same."""

    def __init__(self) -> None:
        from models.base import ModelIdentity

        self.identity = ModelIdentity("test/axes", "1", 32)
        self.asked = 0

    def embed_texts(self, texts) -> np.ndarray:
        self.asked += len(texts)
        rows = [np.random.default_rng(zlib.crc32(text.encode())).normal(size=32) for text in texts]
        return np.stack([row / np.linalg.norm(row) for row in rows]).astype(np.float32)


def test_a_frame_near_to_every_question_stands_no_higher_for_it(tmp_path: Path) -> None:
    model = Axes()
    rng = np.random.default_rng(1)
    sample = rng.normal(size=(300, 32)).astype(np.float32)
    sample /= np.linalg.norm(sample, axis=1, keepdims=True)
    background = Background(model, tmp_path, sample)
    hub = background.bank.mean(axis=0)
    hub /= np.linalg.norm(hub)
    asked = sample[:1]
    plain, near = background.bias(asked, sample), background.bias(asked, hub[None])
    assert near[0, 0] > plain.mean()
    location, scale = background.best_of_library
    assert np.isfinite(location) and scale > 0
    first = model.asked
    again = Background(model, tmp_path, sample)
    assert np.array_equal(again.bank, background.bank) and model.asked == first, "the bank is kept on disk"


def test_neutral_questions_that_ask_the_same_do_not_count_against_it(tmp_path: Path) -> None:
    background = Background(Axes(), tmp_path, np.eye(32, dtype=np.float32))
    asked, frame = background.bank[:1], background.bank[:1]
    left_out = background.bias(asked, frame)[0, 0]
    assert left_out < background.bias(-asked, frame)[0, 0] - 0.01
    kept = background.bias(asked, frame, "a medium")
    assert kept[0, 0] == left_out and background.bias(asked, frame, "a medium")[0, 0] == left_out


def test_a_medium_that_was_written_anew_meanwhile_is_read_anew(tmp_path: Path) -> None:
    background = Background(Axes(), tmp_path, np.eye(32, dtype=np.float32))
    asked, frames = background.bank[:1], background.bank[:5]
    background.bias(asked, frames[:2], "a medium")
    assert np.allclose(background.bias(asked, frames, "a medium"), background.bias(asked, frames))
