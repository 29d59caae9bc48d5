"""A library of the first release opens in this one; library_v1.tar.gz was written by it (schema 1)."""

import json
import os
import shutil
import tarfile
from contextlib import suppress
from pathlib import Path

import lancedb
import numpy as np
import pytest
from lancedb.db import LanceDBConnection
from lancedb.table import LanceTable

from data.store import migrate
from data.store.base import SCHEMA_VERSION, Filter
from data.store.lance import create_or_open, open_reader, read_manifest
from data.types import TextSpan
from tests.store.made import MODELS, medium, spans

HERE = Path(__file__).parent


@pytest.fixture
def old(tmp_path):
    with tarfile.open(HERE / "library_v1.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "lib_v1"


def whole(store):
    assert {item.media_id: str(item.path) for item in store.media()} == {
        "m1": "/films/one.mp4", "s1": "/stills/'two'%.jpg", "g1": "/gifs/three.gif",
    }  # fmt: skip
    assert store.files()["/bad.mp4"].reason == "broken"
    frames = store.frame_vectors("joint", "m1")
    np.testing.assert_allclose(frames.vectors, medium("m1", "/", frames=5).vectors["joint"], atol=5e-4)
    assert [len(store.segments(media_id)) for media_id in ("m1", "s1", "g1")] == [2, 1, 2]
    assert len(store.search_vectors("joint", np.eye(16, dtype=np.float32)[0], 99, Filter())) == 9


def test_reading_upgrades_in_place_and_loses_nothing(old):
    assert read_manifest(old).schema_version == 1
    store = open_reader(old, MODELS)
    whole(store)
    assert store.texts("m1") == [] and store.stages()["m1"] == {} and store.search_texts("hello", 5, Filter()) == []
    assert read_manifest(old).schema_version == SCHEMA_VERSION


def test_writing_goes_on_in_the_new_schema(old):
    with create_or_open(old, MODELS, profile="lite") as store:
        store.put_texts("m1", "speech", spans("hello there"), stage="s1")
        store.put_fields({"s1": {"price": 3}})
        store.add([medium("m2", "/new.mp4", seed=7)])
    store = open_reader(old, MODELS)
    assert [hit.media_id for hit in store.search_texts("there", 1, Filter())] == ["m1"]
    assert {item.media_id: item.fields for item in store.media()}["s1"] == {"price": 3}
    assert store.stats().media == {"gif": 1, "image": 1, "video": 2}


def test_pictures_vectors_outlive_a_new_text_tower(old):
    """Until schema 3 the revision of `lite` named its words' version, on which no picture depends."""
    lite = {"joint": {**MODELS["joint"], "name": "lite/clip"}}
    manifest = json.loads((old / "library.json").read_text())
    manifest["models"]["joint"] = {**lite["joint"], "revision": "2d2da5e2-t1"}
    (old / "library.json").write_text(json.dumps(manifest))
    whole(open_reader(old, {"joint": {**lite["joint"], "revision": "2d2da5e2"}}))
    assert read_manifest(old).models["joint"]["revision"] == "2d2da5e2"


class Killed(BaseException):
    pass


def stop_at(patch, step, *, after):
    """Have the upgrade end before or after its write number `step`."""
    left = [step]

    def guarded(real):
        def call(*args, **kwargs):
            left[0] -= 1
            if left[0] == 0 and not after:
                raise Killed
            result = real(*args, **kwargs)
            if left[0] == 0:
                raise Killed
            return result

        return call

    for owner, name in (
        (LanceTable, "add_columns"),
        (LanceTable, "alter_columns"),
        (LanceTable, "create_index"),
        (LanceDBConnection, "create_table"),
        (migrate, "write_manifest"),
    ):
        patch.setattr(owner, name, guarded(getattr(owner, name)))


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_step_it_goes_on(old, tmp_path, after):
    for step in range(1, 99):
        copy = tmp_path / f"copy{step}"
        shutil.copytree(old, copy)
        with pytest.MonkeyPatch.context() as patch:
            stop_at(patch, step, after=after)
            try:
                open_reader(copy, MODELS)
                break
            except Killed:
                pass
        with open_reader(copy, MODELS) as store:
            whole(store)
            assert store._tables["texts"].list_indices()
    assert step > 10  # 3 x 2 changes of columns, 2 tables, 1 index, the manifest


@pytest.mark.parametrize("after", [False, True])
def test_so_does_the_upgrade_of_a_library_whose_making_was_killed(old, tmp_path, after):
    """Whole, but for the name of its tables: its manifest is old, and they are still tables.new."""
    os.rename(old / "tables", old / "tables.new")
    if after:
        (old / "tables").mkdir()  # as an earlier release left it that could not upgrade
    for step in range(1, 99):
        copy = tmp_path / f"copy{step}"
        shutil.copytree(old, copy)
        with pytest.MonkeyPatch.context() as patch:
            stop_at(patch, step, after=after)
            with suppress(Killed):
                (create_or_open(copy, MODELS, profile="lite") if step % 2 else open_reader(copy, MODELS)).close()
                break
        with create_or_open(copy, MODELS, profile="lite") as store:
            whole(store)
    assert step > 10 and sorted(path.name for path in copy.glob("tables*")) == ["tables"]


@pytest.mark.parametrize("part", ["", "data", "_transactions", "_versions"])
def test_killed_within_the_making_of_a_table_it_goes_on(old, part):
    for table in ("texts", "meanings"):
        (old / "tables" / f"{table}.lance" / part).mkdir(parents=True)
    with open_reader(old, MODELS) as store:
        whole(store)
        assert store._tables["texts"].list_indices()


def test_a_newer_library_is_left_alone(old):
    manifest = json.loads((old / "library.json").read_text())
    (old / "library.json").write_text(json.dumps({**manifest, "schema_version": 99}))
    before = sorted(str(path) for path in old.rglob("*"))
    with pytest.raises(Exception, match="newer than this release"):
        create_or_open(old, MODELS, profile="lite")
    assert sorted(str(path) for path in old.rglob("*") if path.name != "library.lock") == [
        p for p in before if not p.endswith(".lock")
    ]


def test_a_library_of_schema_2_gets_room_for_the_vectors_of_captions(tmp_path):
    library = tmp_path / "two"
    caption = [TextSpan("caption", "a dog", 0.0, 1.0)]
    with create_or_open(library, MODELS, profile="lite") as store:
        store.add([medium("m1", "/one.mp4")])
        store.put_texts("m1", "caption", caption, stage="c")
    database = lancedb.connect(str(library / "tables"))
    database.drop_table("meanings")
    database.open_table("media").drop_columns(["n_meanings"])
    manifest = json.loads((library / "library.json").read_text())
    (library / "library.json").write_text(json.dumps({**manifest, "schema_version": 2}))
    with open_reader(library, MODELS) as store:
        assert store.texts("m1", ("caption",)) == caption
        assert store.search_meanings(np.eye(16, dtype=np.float32)[0], 5, Filter())[0] == []
    with create_or_open(library, MODELS, profile="lite") as store:
        store.put_captions([("m1", caption, "c", np.eye(16, dtype=np.float32)[:1])], model="toy@1")
        assert store.search_meanings(np.eye(16, dtype=np.float32)[0], 5, Filter())[0][0].span.text == "a dog"
    assert read_manifest(library).schema_version == SCHEMA_VERSION
