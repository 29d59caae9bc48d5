"""Looking after a library: optimize, backup, verify, and other models in its place."""

import errno
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from data import errors
from data.store import faiss, indices, lists, manifest, reader, swap, upkeep
from data.store.base import Filter
from data.store.lance import create_or_open, open_reader, read_manifest
from data.store.manifest import write_manifest
from tests.store.made import DIM, MODELS, file_row, medium
from tests.store.test_crash import start_writer

OTHER = {"joint": {**MODELS["joint"], "name": "toy/b"}}
QUERY = np.eye(DIM, dtype=np.float32)[0]


def fill(library, models=MODELS, count=4, profile="lite"):
    with create_or_open(library, models, profile=profile) as store:
        for i in range(count):
            store.add([medium(f"m{i}", f"/m{i}", seed=i, frames=5)])
        store.record_files([file_row("/bad", "", "is no picture")])
        store.put_fields({"m0": {"price": 3.0}})


def answers(library):
    """All that a search can see of a library."""
    with open_reader(library) as store:
        return (
            store.files(), list(store.media()), store.stages(),
            [store.segments(item.media_id) for item in store.media()],
            [store.texts(item.media_id) for item in store.media()],
            store.search_vectors("joint", QUERY, 100, Filter()),
            {(hit.media_id, hit.span) for hit in store.search_texts("hello 喜欢", 100, Filter())},
        )  # fmt: skip


def test_optimize_merges_and_answers_the_same(library, monkeypatch):
    monkeypatch.setattr(indices, "KEEP_VERSIONS_OPTIMIZED", timedelta(seconds=1))
    fill(library, count=12)
    before = answers(library)
    with ThreadPoolExecutor(1) as other, open_reader(library) as live:
        going_on = other.submit(upkeep.optimize, library)
        while not going_on.done():
            assert len(live.search_vectors("joint", QUERY, 100, Filter())) == 12 * 5
            assert len(live.search_texts("hello", 100, Filter())) == 2 * 12
        size_before, size_after = going_on.result()
    assert size_after < size_before / 2, "states from before the last minute go as well"
    assert answers(library) == before
    with open_reader(library) as store:
        stats = [table.stats()["fragment_stats"]["num_fragments"] for table in store._tables.values()]
    assert max(stats) == 1


def test_optimize_waits_for_no_writer(library):
    fill(library)
    with create_or_open(library, MODELS, profile="lite"), pytest.raises(errors.LibraryBusy):
        upkeep.optimize(library)


def test_a_backup_answers_as_the_library_did(library, tmp_path):
    fill(library)
    before = answers(library)
    assert upkeep.backup(library, tmp_path / "copy") > 0
    shutil.rmtree(library)
    assert answers(tmp_path / "copy") == before
    with create_or_open(tmp_path / "copy", MODELS, profile="lite") as store:
        store.add([medium("new", "/new", seed=9)])
        assert len(list(store.media())) == 5
    assert upkeep.verify(tmp_path / "copy").damage == ()


def test_a_backup_while_a_writer_writes_is_whole(library, tmp_path):
    fill(library)
    process = start_writer(library, 100)
    try:
        for turn in range(2):
            time.sleep(0.3)
            upkeep.backup(library, tmp_path / str(turn))
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    for turn in range(2):
        verdict = upkeep.verify(tmp_path / str(turn))
        assert verdict.damage == ()
        assert {"m0", "m1", "m2", "m3"} <= {item.media_id for item in open_reader(tmp_path / str(turn)).media()}


def test_a_backup_goes_over_nothing(library, tmp_path):
    fill(library)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("mine")
    with pytest.raises(errors.LibraryError, match="something at"):
        upkeep.backup(library, tmp_path / "full")
    assert os.listdir(tmp_path / "full") == ["x"]
    (tmp_path / "empty").mkdir()
    upkeep.backup(library, tmp_path / "empty")
    assert answers(tmp_path / "empty") == answers(library)


def test_a_backup_removes_only_what_it_made(tmp_path):
    library, mine = tmp_path / "lib.part", tmp_path / "full.part"
    fill(library)
    before = answers(library)
    mine.mkdir()
    (mine / "x").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("mine")
    with pytest.raises(errors.LibraryError, match="something at"):
        upkeep.backup(library, tmp_path / "full")
    assert os.listdir(mine) == ["x"]
    upkeep.backup(library, tmp_path / "lib")
    assert answers(library) == answers(tmp_path / "lib") == before
    assert sorted(os.listdir(tmp_path)) == ["full", "full.part", "lib", "lib.part"], "nothing of the making is left"


def test_verify_finds_what_is_wrong(library):
    fill(library)
    verdict = upkeep.verify(library)
    assert (verdict.media, verdict.frames, verdict.damage, verdict.unfinished) == (4, 20, (), 0)
    with create_or_open(library, MODELS, profile="lite") as store:
        store._tables["frames"].update(where="time_s = 0.5", values={"vec_joint": [0.5] * DIM})
    (damage,) = upkeep.verify(library).damage
    assert damage.startswith("4 vectors of 'joint'")
    with create_or_open(library, MODELS, profile="lite") as store:
        store._tables["segments"].delete("index = 1")
    assert any("missing" in line for line in upkeep.verify(library).damage)


def test_verify_counts_what_a_stopped_writer_left(library):
    fill(library)
    with create_or_open(library, MODELS, profile="lite") as store:
        store._tables["files"].delete("path = '/m1'")
    verdict = upkeep.verify(library)
    assert verdict.damage == () and verdict.unfinished == 1


def test_verify_compares_the_index_with_the_tables(library, monkeypatch):
    pytest.importorskip("faiss")
    monkeypatch.setattr(reader, "MOST_RESIDENT_BYTES", 0)
    fill(library)
    assert upkeep.verify(library).damage == ()
    with open_reader(library) as store:
        (path,) = faiss.in_force(store._index_folder("joint"))
    vectors = np.load(path / "vectors.npy", mmap_mode="r+")
    vectors[:] = 0.25
    vectors.flush()
    (damage,) = upkeep.verify(library).damage
    assert "index of 'joint' differs" in damage


def in_the_making(library, count=4):
    """As a re-index leaves it before it is put in force."""
    with swap.held(library):
        fill(swap.place_beside(library, OTHER), OTHER, count, "other")


def test_a_swap_is_seen_at_once_and_can_be_undone(library):
    fill(library)
    live = open_reader(library, MODELS)
    old = answers(library)
    in_the_making(library, count=6)
    assert answers(library) == old, "until it is put in force nothing has changed"
    with swap.held(library):
        swap.swap_in(library)
    new = answers(library)
    assert len(new[1]) == 6 and read_manifest(library).models == OTHER
    assert len(list(live.media())) == 4, "who has the old one open goes on with it"
    with pytest.raises(errors.IndexMismatch, match="toy/b"):
        open_reader(library, MODELS)
    assert swap.undo(library).profile == "lite" and answers(library) == old
    assert swap.undo(library).profile == "other" and answers(library) == new
    with create_or_open(library, OTHER, profile="other") as store:
        store.add([medium("later", "/later", seed=9)])
    in_the_making(library, count=1)
    with swap.held(library):
        swap.swap_in(library)
    assert len(answers(library)[1]) == 1
    swap.undo(library)
    assert len(answers(library)[1]) == 7, "one step back, and only one is kept"
    assert len(swap._tables(library)) == 2


def test_nothing_to_undo(library):
    fill(library)
    with pytest.raises(errors.LibraryError, match="no earlier one"):
        swap.undo(library)
    in_the_making(library)
    with swap.held(library):
        swap.swap_in(library)
    with_old = swap._tables(library)
    swap.drop_old(library)
    assert len(with_old) == 2 and len(swap._tables(library)) == 1
    with pytest.raises(errors.LibraryError, match="no earlier one"):
        swap.undo(library)
    assert len(answers(library)[1]) == 4


@pytest.mark.parametrize("stopped_at", ["note", "rename", "manifest", "clean"])
def test_killed_while_swapping_nothing_is_lost(library, monkeypatch, stopped_at):
    fill(library)
    old = answers(library)
    in_the_making(library, count=6)

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if stopped_at == "rename":
            patch.setattr(swap.os, "rename", killed)
        elif stopped_at == "note":
            patch.setattr(swap, "write_manifest", killed)
        elif stopped_at == "manifest":
            patch.setattr(
                swap, "write_manifest", lambda *args: killed() if args[0] == library else write_manifest(*args)
            )
        else:
            patch.setattr(swap.shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt), swap.held(library):
            swap.swap_in(library)
    if stopped_at == "clean":
        assert len(answers(library)[1]) == 6, "it was in force already"
        swap.undo(library)
    assert answers(library) == old
    with swap.held(library):
        beside = swap.place_beside(library, OTHER)
        if stopped_at == "clean":
            assert not beside.exists()
            return
        assert len(answers(beside)[1]) == 6, "the work done is still there"
        swap.swap_in(library)
    assert len(answers(library)[1]) == 6
    assert len(swap._tables(library)) == 2 and not (library / swap.NEXT).exists()


def test_a_kill_after_the_swap_does_not_bring_back_what_was_replaced(library, monkeypatch):
    third = {"joint": {**MODELS["joint"], "name": "toy/c"}}
    fill(library, count=4)
    in_the_making(library, count=5)
    with swap.held(library):
        swap.swap_in(library)
        fill(swap.place_beside(library, third), third, 6, "third")
        remove = shutil.rmtree

        def killed(path, *args, **kwargs):
            if path.name == swap.NEXT:
                raise KeyboardInterrupt
            remove(path, *args, **kwargs)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(swap.shutil, "rmtree", killed)
            swap.swap_in(library)
    assert len(answers(library)[1]) == 6, "it was in force already"
    with swap.held(library):
        assert not swap.place_beside(library, third).exists(), "tables of the first models are no work of the third"
    assert len(answers(library)[1]) == 6
    swap.undo(library)
    assert len(answers(library)[1]) == 5


def test_what_was_begun_with_other_models_is_begun_anew(library):
    fill(library)
    in_the_making(library)
    third = {"joint": {**MODELS["joint"], "name": "toy/c"}}
    with swap.held(library):
        assert (swap.place_beside(library, OTHER) / "library.json").exists()
        assert not swap.place_beside(library, third).exists()


def test_on_a_full_disk_room_can_be_given_back(library, monkeypatch):
    fill(library)
    in_the_making(library)
    with swap.held(library):
        swap.swap_in(library)
    new = answers(library)
    in_the_making(library, count=2)
    (library / "tables.9").mkdir()

    def full(**_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(manifest.tempfile, "mkstemp", full)
        with pytest.raises(errors.LibraryError, match="No space"):  # the manifest could not be written
            swap.drop_old(library)
        assert [name for name in os.listdir(library) if "tables" in name or "next" in name] == ["tables.2"]
    assert answers(library) == new
    with pytest.raises(errors.LibraryError, match="no earlier one"):
        swap.undo(library)
    swap.drop_old(library)
    assert read_manifest(library).previous is None and answers(library) == new


def test_old_tables_half_dropped_are_not_gone_back_to(library, monkeypatch):
    fill(library)
    in_the_making(library)
    with swap.held(library):
        swap.swap_in(library)

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(swap.shutil, "rmtree", lambda path, *_, **__: killed() if path.exists() else None)
        swap.drop_old(library)
    with pytest.raises(errors.LibraryError, match="no earlier one"):
        swap.undo(library)
    in_the_making(library, count=2)
    with swap.held(library):
        swap.swap_in(library)
    assert len(answers(library)[1]) == 2


def test_a_manifest_cannot_name_tables_elsewhere(library):
    fill(library)
    for name in ("../tables", "/tmp", "tables.new", "tables.1/..", "tables.1\n"):
        write_manifest(library, replace(read_manifest(library), tables="tables"))
        text = (library / "library.json").read_text()
        (library / "library.json").write_text(
            text.replace('"tables": "tables"', f'"tables": {name!r}'.replace("'", '"'))
        )
        with pytest.raises(errors.LibraryDamaged):
            open_reader(library)
        (library / "library.json").write_text(text)


def test_indices_are_those_of_the_tables_in_force(library, monkeypatch):
    pytest.importorskip("faiss")
    monkeypatch.setattr(reader, "MOST_RESIDENT_BYTES", 0)
    monkeypatch.setattr(lists, "CODES_A_ROW", 10**9)
    monkeypatch.setattr(lists, "LEAST_REFINED", 1)
    fill(library)
    old = answers(library)
    in_the_making(library, count=6)
    with swap.held(library):
        swap.swap_in(library)
    with open_reader(library) as store:
        assert [index.path.parts[-3] for index in store._open_indices("joint")] == ["tables.2"]
        assert len(store.search_vectors("joint", QUERY, 100, Filter())) == 30
    swap.undo(library)
    assert answers(library) == old
