"""A library too large for memory that grows: its vectors are indexed in a few parts."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import numpy as np
import pytest

from data.errors import LibraryError
from data.store import faiss, indices, lists, reader
from data.store.base import Filter
from data.store.lance import create_or_open, open_reader
from tests.store.made import DIM, MODELS
from tests.store.test_large import FRAMES, exact, many


def test_a_growing_library_is_indexed_in_few_parts_while_it_grows(library, monkeypatch):
    pytest.importorskip("faiss")
    monkeypatch.setattr(reader, "MOST_RESIDENT_BYTES", 1000)
    monkeypatch.setattr(lists, "CODES_A_ROW", 10**9)
    monkeypatch.setattr(faiss, "MOST_OUTSIDE_BYTES", 2 * 4 * DIM * (2 * FRAMES))  # two media wait, three do not
    rng = np.random.default_rng(1)
    added, seen, most = [], set(), 0
    with create_or_open(library, MODELS, profile="lite") as store:
        live = open_reader(library)
        for i in range(24):
            added.append(many(rng, i))
            store.add([added[-1]])
            store._beside.wait()
            parts = live._open_indices("joint")
            seen |= {index.path.name for index in parts}
            most = max(most, len(parts))
            query = added[i].vectors["joint"][7]
            hits, expected = live.search_vectors("joint", query, 20, Filter()), exact(added, query, 20, Filter())
            assert {(h.media_id, h.time_s) for h in hits} >= {(m, t) for _, m, t in expected[:3]}
            assert len(hits) == 20 and sum(len(rows.editions) for rows in live._held.values()) <= 2, "no more in memory"
        assert most <= 4 and len(seen) == 8
    copied = sum(int(name[10:]) - int(name[:9]) + 1 for name in seen)
    assert copied <= 8 * 4, "each vector is copied few times"
    store = open_reader(library)
    for i in range(0, 24, 5):
        assert np.allclose(store.frame_vectors("joint", f"m{i}").vectors, added[i].vectors["joint"], atol=1e-3)
    assert sorted(p.name for p in store._index_folder("joint").iterdir()) == [i.path.name for i in parts]


def test_no_search_and_no_write_waits_while_an_index_is_made(library, monkeypatch):
    pytest.importorskip("faiss")
    monkeypatch.setattr(reader, "MOST_RESIDENT_BYTES", 1000)
    monkeypatch.setattr(faiss, "MOST_OUTSIDE_BYTES", 8 * 4 * DIM * (2 * FRAMES))  # eight media
    monkeypatch.setattr(indices, "UNINDEXED_SHARE", 0.1)
    rng, begun, go_on, make = np.random.default_rng(1), threading.Event(), threading.Event(), faiss.build

    def held_up(*arguments):
        begun.set()
        assert go_on.wait(60)
        return make(*arguments)

    monkeypatch.setattr(faiss, "build", held_up)
    with create_or_open(library, MODELS, profile="lite") as store:
        added = [many(rng, i) for i in range(12)]
        store.add(added[:10])
        assert begun.wait(60)
        store.add(added[10:])
        with ThreadPoolExecutor(1) as other:
            for opened in (store, open_reader(library)):
                for where in (Filter(), Filter(kinds=("gif",))):
                    query = added[11].vectors["joint"][3]
                    hits = other.submit(opened.search_vectors, "joint", query, 20, where).result(30)
                    assert [(h.media_id, h.time_s) for h in hits[:3]] == [
                        (m, t) for _, m, t in exact(added, query, 3, where)
                    ]
            assert faiss.in_force(store._index_folder("joint")) == [], "still in the making"
        go_on.set()
    parts = open_reader(library)._open_indices("joint")
    sizes = [len(index.vectors) for index in parts]
    assert sizes == [10 * FRAMES, 2 * FRAMES], "what was written meanwhile is indexed at the end"
    monkeypatch.setattr(indices, "KEEP_VERSIONS_OPTIMIZED", timedelta(milliseconds=1))
    with create_or_open(library, MODELS, profile="lite") as store:
        store.optimize()
    (one,) = opened._open_indices("joint")
    assert len(one.vectors) == 12 * FRAMES, "optimized, they are one"
    hits = opened.search_vectors("joint", query, 20, Filter())
    assert [(h.media_id, h.time_s) for h in hits[:3]] == [(m, t) for _, m, t in exact(added, query, 3, Filter())]


def test_what_goes_wrong_beside_the_run_is_told_at_its_end(library, monkeypatch):
    pytest.importorskip("faiss")
    monkeypatch.setattr(reader, "MOST_RESIDENT_BYTES", 1000)
    monkeypatch.setattr(faiss, "MOST_OUTSIDE_BYTES", 2 * 4 * DIM * (2 * FRAMES))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(faiss, "build", full)
    store = create_or_open(library, MODELS, profile="lite")
    for i in range(4):
        store.add([many(np.random.default_rng(1), i)])
    with pytest.raises(LibraryError, match="No space left"):
        store.close()
    assert len(open_reader(library).search_vectors("joint", np.eye(DIM, dtype=np.float32)[0], 50, Filter())) == 50


@pytest.mark.parametrize("sizes", [(40,), (25, 10, 5)])
def test_codes_tell_near_from_far_whatever_the_axes(tmp_path, monkeypatch, sizes):
    """Vectors that differ along few axes, as those of image models do, need turning before codes of one bit an axis."""
    pytest.importorskip("faiss")
    monkeypatch.setattr(lists, "LEAST_REFINED", 200)
    rng, dim, media = np.random.default_rng(0), 128, sum(sizes)
    scale = np.arange(1, dim + 1) ** -0.5
    vectors = rng.standard_normal((media * 500, dim)) * scale
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)

    def batches():
        yield np.repeat(np.arange(media), 500), np.arange(len(vectors)) / 2, np.zeros(len(vectors), np.int32), vectors

    ends = np.cumsum(sizes)
    for kept, (start, end) in enumerate(zip(ends - sizes, ends, strict=True)):
        assert faiss.build(tmp_path, kept, np.arange(start, end), np.full(end - start, 500), dim, batches)
    parts = [faiss.open_index(path) for path in faiss.in_force(tmp_path)]
    assert [len(index.editions) for index in parts] == list(sizes) and len({id(index.axes) for index in parts}) == 1
    compared, compare = [], lists._compared
    monkeypatch.setattr(lists, "_compared", lambda *asked: compared.append(asked[1]) or compare(*asked))
    found = []
    for let in (np.ones(media, bool), np.arange(media) % 4 == 1):
        of_row = np.repeat(let, 500)
        for query in vectors[::1001].astype(np.float32):
            products = np.where(of_row, vectors.astype(np.float32) @ query, -2)
            editions, times_s, scores = lists.nearest(parts, query, 10, [let[index.editions] for index in parts])
            rows = (times_s * 2).astype(int)
            assert (rows // 500 == editions).all() and of_row[rows].all()
            assert sum(map(len, compared[-1])) == 200, "as many of all parts together as of one"
            found.append(len(set(rows.tolist()) & set(np.argsort(-products)[:10].tolist())) / 10)
            assert np.allclose(scores, products[rows], atol=1e-3) and (np.diff(scores) <= 0).all()
    assert np.mean(found) > 0.9, "unturned it is .8"


def test_bulk_writing_indexes_once_at_the_end(library, monkeypatch):
    pytest.importorskip("faiss")
    monkeypatch.setattr(reader, "MOST_RESIDENT_BYTES", 1000)
    monkeypatch.setattr(faiss, "MOST_OUTSIDE_BYTES", 2 * 4 * DIM * (2 * FRAMES))
    rng = np.random.default_rng(1)
    with create_or_open(library, MODELS, profile="lite", bulk=True) as store:
        added = [many(rng, i) for i in range(9)]
        for rows in added:
            store.add([rows])
        store._beside.wait()
        assert faiss.in_force(store._index_folder("joint")) == []
        query = added[4].vectors["joint"][7]
        expected = [(m, t) for _, m, t in exact(added, query, 3, Filter())]
        assert [(h.media_id, h.time_s) for h in store.search_vectors("joint", query, 3, Filter())] == expected
    (index,) = open_reader(library)._open_indices("joint")
    assert len(index.vectors) == 9 * FRAMES


def test_spans_within_another_are_not_in_force(tmp_path):
    for name in ("000000001-000000003", "000000002-000000002", "000000004-000000004", "making", "000000004-000000006"):
        (tmp_path / name).mkdir()
    assert [path.name for path in faiss.in_force(tmp_path)] == ["000000001-000000003", "000000004-000000006"]
    assert faiss.in_force(tmp_path / "nowhere") == []


def test_an_index_that_cannot_be_read_is_passed_over_and_made_again(library, monkeypatch):
    pytest.importorskip("faiss")
    monkeypatch.setattr(reader, "MOST_RESIDENT_BYTES", 1000)
    rng = np.random.default_rng(1)
    with create_or_open(library, MODELS, profile="lite") as store:
        store.add([many(rng, i) for i in range(3)])
    (path,) = faiss.in_force(open_reader(library)._index_folder("joint"))
    (path / "lists.faiss").write_bytes(b"no index")
    query = np.eye(DIM, dtype=np.float32)[0]
    assert len(open_reader(library).search_vectors("joint", query, 50, Filter())) == 50
    with create_or_open(library, MODELS, profile="lite") as store:
        store.add([many(rng, 3)])
    (again,) = open_reader(library)._open_indices("joint")
    assert len(again.vectors) == 4 * FRAMES


def test_what_a_kill_left_of_an_index_goes_with_the_next(library, monkeypatch):
    pytest.importorskip("faiss")
    monkeypatch.setattr(reader, "MOST_RESIDENT_BYTES", 1000)
    rng = np.random.default_rng(1)
    with create_or_open(library, MODELS, profile="lite") as store:
        store.add([many(rng, i) for i in range(3)])
        folder = store._index_folder("joint")
    for name in ("making", "000000001-000000000"):
        (folder / name).mkdir()
    with create_or_open(library, MODELS, profile="lite") as store:
        store.add([many(rng, i) for i in range(3, 6)])
    assert sorted(folder.iterdir()) == faiss.in_force(folder)


def test_threads_search_at_once(library, monkeypatch):
    pytest.importorskip("faiss")
    monkeypatch.setattr(reader, "MOST_RESIDENT_BYTES", 1000)
    rng = np.random.default_rng(1)
    added = [many(rng, i) for i in range(12)]
    with create_or_open(library, MODELS, profile="lite") as store:
        store.add(added)
    store = open_reader(library)
    asked = [
        (rows.vectors["joint"][i], Filter(kinds=kinds)) for i, rows in enumerate(added) for kinds in ((), ("gif",))
    ]

    def answer(one):
        return [(hit.media_id, hit.time_s) for hit in store.search_vectors("joint", one[0], 20, one[1])]

    alone = [answer(one) for one in asked]
    for rows, mine in zip(asked, alone, strict=True):
        assert mine[0] == exact(added, rows[0], 1, rows[1])[0][1:]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(answer, asked * 5)) == alone * 5
