"""Random sequences of operations: LanceDB and the reference store must tell the same afterwards."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.store import faiss, lists, resident
from data.store import reader as reader_module
from data.store.base import Condition, Filter
from data.store.lance import create_or_open, open_reader
from tests.store.made import MODELS, file_row, medium, spans, unit
from tests.store.reference import ReferenceStore

ids = st.sampled_from(["a", "b'", "c\n", "d\udcff"])
paths = st.sampled_from([f"/{name}" for name in ("1", "2'", "3%0041", "4\udc80", "5")])
media = st.builds(
    lambda media_id, path, seed, frames, kind: medium(media_id, path, seed=seed, frames=frames, kind=kind),
    ids, paths, st.integers(0, 999), st.integers(0, 5), st.sampled_from(["image", "gif", "video"]),
)  # fmt: skip
operations = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.lists(media, min_size=1, max_size=3)),
        st.tuples(st.just("record"), st.lists(st.tuples(paths, ids, st.booleans()), max_size=3)),
        st.tuples(st.just("forget"), st.lists(paths, max_size=3)),
        st.tuples(
            st.just("texts"), st.tuples(ids, st.sampled_from(["speech", "screen"]), st.sampled_from(["", "hi word3"]))
        ),
        st.tuples(st.just("fields"), st.dictionaries(ids, st.just({"price": 5.0, "new": "x"}))),
        st.tuples(st.just("reopen"), st.none()),
    ),
    min_size=4,
    max_size=8,
)


@pytest.mark.parametrize("how", ["memory", "whole scans", "tables", "faiss"])
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(operations=operations, seed=st.integers(0, 99))
def test_same_as_the_reference(how, operations, seed):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        if how in ("tables", "faiss"):
            patch.setattr(reader_module, "MOST_RESIDENT_BYTES", 0)
            patch.setattr(faiss, "installed", lambda: how == "faiss")
            patch.setattr(lists, "CODES_A_ROW", 10**9)
            patch.setattr(lists, "LEAST_REFINED", 1)
        if how == "whole scans":
            patch.setattr(resident, "MOST_EDITIONS_BY_NAME", 0)
        library, reference = Path(folder) / "library", ReferenceStore()
        store = create_or_open(library, MODELS, profile="lite")
        live = open_reader(library, MODELS)
        for name, argument in operations:
            if name == "reopen":
                store.close()
                store = create_or_open(library, MODELS, profile="lite")
            elif name == "record":  # a path may name only contents that are there, or fail
                rows = [
                    file_row(path, media_id, "bad" if bad or media_id not in reference.contents else "")
                    for path, media_id, bad in argument
                ]
                # rows are applied together; ones that would name a content that the same call removes are no use
                for row in rows:
                    row = row if row.reason or row.media_id in reference.contents else replace(row, reason="bad")
                    store.record_files([row])
                    reference.record_files([row])
            elif name == "texts":
                media_id, channel, text = argument
                if media_id in reference.contents:
                    for each in (store, reference):
                        each.put_texts(media_id, channel, spans(text, channel) if text else (), stage="toy@2")
            elif name == "fields":
                for each in (store, reference):
                    each.put_fields(argument)
            elif name == "forget":
                assert store.forget_paths(argument) == reference.forget_paths(argument)
            else:
                named = {rows.file.path: rows.media_id for rows in argument}
                argument = [rows for rows in argument if named[rows.file.path] == rows.media_id]
                store.add(argument)
                reference.add(argument)
            same(live, reference, seed)
        store.close()
        same(live, reference, seed)


@pytest.mark.parametrize("by_name", [0, 2000])
def test_a_live_reader_keeps_up(library, monkeypatch, by_name):
    monkeypatch.setattr(resident, "MOST_EDITIONS_BY_NAME", by_name)
    reference = ReferenceStore()
    with create_or_open(library, MODELS, profile="lite") as store:
        live = open_reader(library)
        for i in range(4):
            for each in (store, reference):
                each.add([medium(f"m{i}", f"/{i}", seed=i), medium("again", "/again", seed=10 + i, frames=2 + i)])
            same(live, reference, seed=i)
        assert store.forget_paths(["/1"]) == reference.forget_paths(["/1"]) == 1
        same(live, reference, seed=9)


def same(store, reference, seed):
    assert store.files() == reference.files()
    assert replace(store.stats(), size_on_disk_bytes=0) == reference.stats()
    expected = {item.media_id: item.info for item in reference.media()}
    assert {item.media_id: item.info for item in store.media()} == expected
    assert {i.media_id: str(i.path) for i in store.media()} == {i.media_id: i.path for i in reference.media()}
    for media_id in expected:
        assert store.segments(media_id) == reference.segments(media_id)
        ours, theirs = store.frame_vectors("joint", media_id), reference.frame_vectors("joint", media_id)
        np.testing.assert_array_equal(ours.times_s, theirs.times_s)
        np.testing.assert_array_equal(ours.segment_of_frame, theirs.segment_of_frame)
        np.testing.assert_allclose(ours.vectors, theirs.vectors, atol=5e-4)
        assert store.texts(media_id) == reference.texts(media_id)
    assert {i.media_id: i.fields for i in store.media()} == {i.media_id: i.fields for i in reference.media()}
    assert store.stages() == reference.stages()
    query = unit(np.random.default_rng(seed), 1)[0]
    cheap = Filter(conditions=(Condition("price", "<", 50.0),))
    for words, where, phrase in (
        ("hello", Filter(), False), ("word3 word7", cheap, False), ("hi word3", Filter(kinds=("video",)), True)
    ):  # fmt: skip
        ours, theirs = (s.search_texts(words, 50, where, phrase=phrase) for s in (store, reference))
        assert {(hit.media_id, hit.span) for hit in ours} == {(hit.media_id, hit.span) for hit in theirs}
    for where in (
        cheap,
        Filter(),
        Filter(kinds=("image", "gif")),
        Filter(media_ids=("a", "c\n")),
        Filter(("video",), (), ("b'",)),
    ):
        ours, theirs = (s.search_vectors("joint", query, 4, where) for s in (store, reference))
        np.testing.assert_allclose([h.score for h in ours], [h.score for h in theirs], atol=1e-3)
        exact = {(h.media_id, h.time_s): h.score for h in reference.search_vectors("joint", query, 10**6, where)}
        assert all(abs(exact[h.media_id, h.time_s] - h.score) < 1e-3 for h in ours)
