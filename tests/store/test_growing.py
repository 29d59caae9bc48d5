"""A library too large for memory that grows: its vectors are indexed in a few parts."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from data.store import faiss, reader
from data.store.base import Filter
from data.store.lance import create_or_open, open_reader
from tests.store.made import DIM, MODELS
from tests.store.test_large import FRAMES, exact, many


def test_a_growing_library_is_indexed_in_few_parts_while_it_grows(library, monkeypatch):
    pytest.importorskip("faiss")
    monkeypatch.setattr(reader, "MOST_RESIDENT_BYTES", 1000)
    monkeypatch.setattr(faiss, "EXACT_ROWS", 0)
    monkeypatch.setattr(faiss, "MOST_OUTSIDE_BYTES", 2 * 4 * DIM * (2 * FRAMES))  # two media wait, three do not
    rng = np.random.default_rng(1)
    added, seen, most = [], set(), 0
    with create_or_open(library, MODELS, profile="lite") as store:
        live = open_reader(library)
        for i in range(24):
            added.append(many(rng, i))
            store.add([added[-1]])
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
