"""Captions with their vectors, over every store of the conformance suite."""

import numpy as np
import pytest

from data.store import meanings
from data.store.base import Condition, Filter
from data.store.lance import create_or_open, open_reader
from data.store.upkeep import backup, verify
from data.types import TextSpan
from tests.store.made import DIM, MODELS, medium, unit

DOGS, CATS = unit(np.random.default_rng(5), 2), unit(np.random.default_rng(6), 1)


def captions(*texts):
    return [TextSpan("caption", text, float(i), i + 1.0) for i, text in enumerate(texts)]


def filled(store):
    store.add([medium("m1", "/a.mp4"), medium("m2", "/b.mp4", seed=1), medium("s1", "/c.jpg", seed=2, kind="image")])
    store.put_captions(
        [
            ("m1", captions("a dog", "a big dog"), "c1", DOGS),
            ("s1", [TextSpan("caption", "一只猫", None, None)], "c1", CATS),
        ],
        model="toy@1",
    )


def found(store, vector, k=9, where=None):
    hits, vectors = store.search_meanings(vector, k, where or Filter())
    if vectors is not None:  # the reference store keeps none
        assert vectors @ vector == pytest.approx([hit.score for hit in hits], abs=1e-5)
    return [(hit.media_id, hit.span.text, hit.span.start_s, round(hit.score, 2)) for hit in hits]


@pytest.fixture(params=["held", "scanned"])
def wide(request, store, monkeypatch):
    if request.param == "scanned":
        monkeypatch.setattr(meanings, "MOST_BYTES", 0)
    return store


def test_captions_are_found_by_their_vectors_best_first_and_within_a_filter(wide):
    assert found(wide, CATS[0]) == [] if hasattr(wide, "directory") else True
    filled(wide)
    assert found(wide, DOGS[1], 1) == [("m1", "a big dog", 1.0, 1.0)]
    assert {one[1] for one in found(wide, CATS[0])} == {"a dog", "a big dog", "一只猫"}
    assert found(wide, CATS[0], 1) == [("s1", "一只猫", None, 1.0)]
    assert {one[0] for one in found(wide, CATS[0], where=Filter(kinds=("video",)))} == {"m1"}
    assert {one[0] for one in found(wide, DOGS[0], where=Filter(exclude_media_ids=("m1",)))} == {"s1"}
    assert found(wide, DOGS[0], where=Filter(media_ids=("m2",))) == []
    assert {one[0] for one in found(wide, DOGS[0], where=Filter(conditions=(Condition("price", "<", 1.0),)))} == {"m1"}
    assert sorted(wide.sample_meanings(9)[:, 0].tolist()) == pytest.approx(sorted([*DOGS[:, 0], *CATS[:, 0]]), abs=1e-3)
    assert wide.stages()["m1"]["meaning"] == "toy@1" and "meaning" not in wide.stages()["m2"]


def test_other_texts_leave_them_new_captions_take_them_and_so_does_removal(store):
    filled(store)
    store.put_texts("m1", "screen", [TextSpan("screen", "exit", 0.0, 1.0)], stage="s")
    assert found(store, DOGS[1], 1) == [("m1", "a big dog", 1.0, 1.0)]
    store.put_texts("m1", "caption", captions("a horse"), stage="c2")
    assert {one[0] for one in found(store, DOGS[0])} == {"s1"} and "meaning" not in store.stages()["m1"]
    assert [span.text for span in store.texts("m1", ("caption",))] == ["a horse"]
    store.forget_paths(["/c.jpg"])
    assert found(store, CATS[0]) == []


def test_a_medium_written_again_has_them_to_be_made_again(store):
    filled(store)
    rows = medium("m1", "/a.mp4")
    store.add([rows.__class__(**{**{f: getattr(rows, f) for f in rows.__slots__}, "stages": {"meaning": "toy@1"}})])
    assert "meaning" not in store.stages()["m1"] and {one[0] for one in found(store, DOGS[0])} == {"s1"}


def test_they_outlive_the_writer_and_come_along_with_a_backup(library, tmp_path):
    with create_or_open(library, MODELS, profile="lite") as store:
        filled(store)
    with create_or_open(library, MODELS, profile="lite") as store:
        assert store._tables["meanings"].count_rows() == 3
    backup(library, tmp_path / "copy")
    for place in (library, tmp_path / "copy"):
        assert not verify(place).damage
        with open_reader(place) as store:
            assert found(store, DOGS[1], 1) == [("m1", "a big dog", 1.0, 1.0)]


def test_rows_that_are_missing_are_damage(library):
    with create_or_open(library, MODELS, profile="lite") as store:
        filled(store)
        store._tables["meanings"].delete("text = 'a dog'")
    assert verify(library).damage


@pytest.mark.parametrize("most_bytes", [0, meanings.MOST_BYTES])
def test_what_a_writer_replaces_meanwhile_is_found(library, monkeypatch, most_bytes):
    monkeypatch.setattr(meanings, "MOST_BYTES", most_bytes)
    real, again = meanings._there, []
    with create_or_open(library, MODELS, profile="lite") as writer, open_reader(library) as store:
        filled(writer)

        def there(media):
            found = real(media)
            if not again:
                again.append(writer.put_captions([("m1", captions("a dog", "a big dog"), "c2", DOGS)], model="toy@1"))
            return found

        monkeypatch.setattr(meanings, "_there", there)
        assert found(store, DOGS[1], 1) == [("m1", "a big dog", 1.0, 1.0)]


def test_vectors_that_do_not_fit_are_refused(library):
    with create_or_open(library, MODELS, profile="lite") as store:
        filled(store)
        for bad in (np.zeros((2, DIM), np.float32), np.full((1, DIM), np.nan, np.float32)):
            with pytest.raises(ValueError):
                store.put_captions([("m2", captions("one"), "c", bad)], model="toy@1")
        assert found(store, DOGS[1], 1) == [("m1", "a big dog", 1.0, 1.0)]


def test_what_a_killed_writer_left_goes_and_what_is_in_force_stays(library):
    with create_or_open(library, MODELS, profile="lite") as store:
        filled(store)
        left = store._tables["meanings"].to_arrow()
        edition = left.schema.get_field_index("edition")
        store._tables["meanings"].add(left.set_column(edition, "edition", [[store._next_edition] * left.num_rows]))
        store._upsert = store._delete_texts = None  # nothing more is written
        with pytest.raises(TypeError):
            store.put_captions([("m2", captions("a horse"), "c", CATS)], model="toy@1")
    with open_reader(library) as store:
        assert len(found(store, CATS[0])) == 3
    with create_or_open(library, MODELS, profile="lite") as store:
        assert store._tables["meanings"].count_rows() == 3 and len(found(store, CATS[0])) == 3
        assert store.texts("m2", ("caption",)) == [] and "meaning" not in store.stages()["m2"]
