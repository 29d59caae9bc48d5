"""Captions found by what they mean, with the real words' model, over media whose pictures all look alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.settings import Settings, load
from data.store.base import FileRow, Filter, MediaRows
from data.store.lance import create_or_open
from data.types import MediaInfo, Query, Segment, Term, TextSpan
from indexer.embed_texts import embed_captions
from models.base import ModelSet
from models.registry import load as load_models
from search.engine import SearchEngine
from search.language import parse

CAPTIONS = {
    "dog": "A young dog naps on a blanket.",
    "car": "Vehicles stream along a motorway.",
    "food": "Half a fruit with seeds lies in a dish.",
    "tower": "The iron landmark of the French capital.",
    "sea": "Waves break on a sandy shore.",
}


@pytest.fixture(scope="module")
def models() -> ModelSet:
    return load_models("lite", load())


@pytest.fixture
def settings(tmp_path: Path, models: ModelSet) -> Settings:
    identities = {channel: one.as_dict() for channel, one in models.identities().items()}
    vector = np.zeros((1, models.joint.identity.dim), np.float32)
    vector[0, 0] = 1.0
    settings = Settings(library=tmp_path / "library", cache=load().cache, localise=0)
    with create_or_open(settings.library, identities, profile="lite") as store:
        for name, caption in CAPTIONS.items():
            rows = MediaRows(
                name, MediaInfo("video", 64, 64, 9.0, "mov", "h264"), 1, np.zeros(1), np.zeros(1, np.int32),
                [Segment(name, 0, 0.0, 9.0)], {"joint": vector}, FileRow(f"/x/{name}.mp4", name, 1, 1, 1, 1),
                [TextSpan("caption", caption, 0.0, 9.0)], {"caption": "made"},
            )  # fmt: skip
            store.add([rows])
    return settings


def embed(settings: Settings, models: ModelSet) -> None:
    identities = {channel: one.as_dict() for channel, one in models.identities().items()}
    with create_or_open(settings.library, identities, profile="lite") as store:
        assert embed_captions(store, models.joint)


def first(settings: Settings, models: ModelSet, question: str):
    with SearchEngine(settings.library, models, settings) as engine:
        return engine.search(question).moments[0]


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("a puppy is sleeping", "dog"),
        ("一只小狗在睡觉", "dog"),
        ("cars on the highway", "car"),
        ("海浪拍打沙滩", "sea"),
        ("the Eiffel tower in Paris", "tower"),
    ],
)
def test_other_words_and_another_language_find_it(
    settings: Settings, models: ModelSet, question: str, name: str
) -> None:
    embed(settings, models)
    best = first(settings, models, question)
    assert best.media.media_id == name
    (line,) = [line for line in best.evidence if line.channel == "meaning"]
    assert line.rank == 1 and line.time_s == 0.0 and 0.2 < line.score < 1 and CAPTIONS[name] in line.detail


def test_by_meaning_alone_nothing_is_certain_and_demanded_words_are_words(settings: Settings, models: ModelSet) -> None:
    before = first(settings, models, "a puppy is sleeping").score
    embed(settings, models)
    best = first(settings, models, "a puppy is sleeping")
    assert before < best.score
    with SearchEngine(settings.library, models, settings) as engine:
        assert not engine.search("caption:puppy").moments
        assert [one.media.media_id for one in engine.search("caption:dog").moments] == ["dog"]
        assert "dog" not in [one.media.media_id for one in engine.search("a puppy is sleeping kind:image").moments]


def test_what_has_vectors_is_left_alone_and_new_captions_get_theirs(settings: Settings, models: ModelSet) -> None:
    embed(settings, models)
    identities = {channel: one.as_dict() for channel, one in models.identities().items()}
    asked: list[int] = []

    class Counting:
        identity = models.joint.identity

        def embed_texts(self, texts):
            asked.append(len(texts))
            return models.joint.embed_texts(texts)

    with create_or_open(settings.library, identities, profile="lite") as store:
        assert embed_captions(store, Counting()) and asked == []
        store.put_texts("dog", "caption", [TextSpan("caption", "A cat.", 0.0, 9.0)], stage="again")
        assert not embed_captions(store, Counting(), should_stop=lambda: True) and asked == []
        assert embed_captions(store, Counting()) and asked == [1]
        hits, _ = store.search_meanings(models.joint.embed_texts(["a cat"])[0], 1, Filter())
        assert hits[0].span.text == "A cat."


def test_vectors_of_a_former_words_model_are_not_compared_and_it_is_said_once(
    settings: Settings, models: ModelSet, caplog: pytest.LogCaptureFixture
) -> None:
    embed(settings, models)
    identities = {channel: one.as_dict() for channel, one in models.identities().items()}

    def channels(engine: SearchEngine) -> set[str]:
        return {line.channel for moment in engine.search("a puppy is sleeping").moments for line in moment.evidence}

    with create_or_open(settings.library, identities, profile="lite") as store:
        spans, vectors = store.meanings("dog")
        former = replace(models.joint.identity, words_revision="former").of_words
        store.put_captions([("dog", spans, "made", vectors[:, ::-1])], model=former)
    with SearchEngine(settings.library, models, settings) as engine:
        assert channels(engine) == {"words"} and channels(engine) == {"words"}
        (record,) = caplog.records
        assert "captions of 1 of the media" in record.getMessage() and "secondsight index" in record.getMessage()
        embed(settings, models)  # the next `index`
        assert channels(engine) == {"words", "meaning"} and len(caplog.records) == 1


def test_a_minus_looks_at_what_a_caption_says(settings: Settings, models: ModelSet) -> None:
    def found(question: str) -> list[str]:  # all look alike, so they are copies of one result
        with SearchEngine(settings.library, models, settings) as engine:
            (one,) = engine.search(question).moments
            return [one.media.media_id, *sorted(item.media_id for item in one.same)]

    assert found("a young dog") == ["dog", "car", "food", "sea", "tower"]
    assert "dog" not in found("a young dog -blanket")
    assert found("a young dog -motorway") == ["dog", "food", "sea", "tower"]


def test_a_minus_of_several_words_asks_for_all_of_them_together(settings: Settings, models: ModelSet) -> None:
    def found(question: str, *more: Term) -> set[str]:
        with SearchEngine(settings.library, models, settings) as engine:
            moments = engine.search(Query(terms=(*parse(question).terms, *more))).moments
            return {item.media_id for one in moments for item in (one.media, *one.same)}

    everything = set(CAPTIONS)
    assert found('a young dog -"sleepy dog"') == everything, "a word of it is not it"
    assert found('a young dog -"dog naps on a sofa" -kitten-blanket') == everything
    assert found('a young dog -"dog young"') == everything, "in quotes they stand together, in this order"
    assert found('a young dog -"young dogs"') == everything - {"dog"}
    assert found("a young dog", Term("dog young", weight=-1.0)) == everything - {"dog"}
    assert found("a young dog", Term("dog sleepy", "caption", weight=-1.0)) == everything
