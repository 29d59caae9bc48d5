"""What a person is told when a library cannot be opened, and the states a creation may be left in."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data import errors
from data.store.base import SCHEMA_VERSION, Filter
from data.store.lance import create_or_open, open_reader, read_manifest
from data.store.manifest import new_manifest, write_manifest
from tests.store.made import DIM, MODELS, medium

ROOT = Path(__file__).parents[2]
OTHER = {"joint": {**MODELS["joint"], "name": "toy/b"}}


@pytest.fixture
def made(library):
    with create_or_open(library, MODELS, profile="lite") as store:
        store.add([medium("m", "/m")])
    return library


def sentence(info):
    text = str(info.value)
    assert "\n" not in text and text.endswith((".", ")")), text
    assert info.value.remedy and info.value.remedy in text
    return text


def test_the_manifest_says_what_made_it(made):
    manifest = read_manifest(made)
    assert manifest.models == MODELS and manifest.profile == "lite" and manifest.schema_version == SCHEMA_VERSION
    assert manifest.created_at.endswith("+00:00") and manifest.product_version


def test_reading_the_manifest_imports_no_database():
    code = "import sys, data.store.manifest, data.store.lance; print({'lancedb', 'pyarrow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_threads_import_the_database_together():
    code = """if True:
        from threading import Barrier, Thread
        from data.store.database import lancedb
        barrier, imported = Barrier(4), []
        def run():
            barrier.wait()
            imported.append(lancedb().connect)
        threads = [Thread(target=run) for _ in range(4)]
        [thread.start() for thread in threads], [thread.join() for thread in threads]
        print(len(imported))
    """
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ran.stdout == "4\n", ran.stderr


@pytest.mark.parametrize("opened", [open_reader, read_manifest])
def test_nothing_there(library, opened):
    with pytest.raises(errors.LibraryNotFound) as info:
        opened(library)
    assert str(library) in sentence(info) and "secondsight index PATH" in info.value.remedy
    assert not library.exists(), "looking makes nothing"


def test_other_models(made):
    for opened in (lambda: open_reader(made, OTHER), lambda: create_or_open(made, OTHER, profile="x")):
        with pytest.raises(errors.IndexMismatch) as info:
            opened()
        assert "toy/a" in sentence(info) and "toy/b" in str(info.value) and "--library" in info.value.remedy
    create_or_open(made, MODELS, profile="lite").close()  # the lock was let go


def test_another_revision_is_named(made):
    with pytest.raises(errors.IndexMismatch) as info:
        open_reader(made, {"joint": {**MODELS["joint"], "revision": "r2"}})
    assert "'r1'" in sentence(info) and "'r2'" in str(info.value)


def test_other_channels(made):
    with pytest.raises(errors.IndexMismatch, match="no model"):
        open_reader(made, {**MODELS, "more": MODELS["joint"]})


def test_another_schema(made):
    manifest = json.loads((made / "library.json").read_text())
    (made / "library.json").write_text(json.dumps({**manifest, "schema_version": 99}))
    with pytest.raises(errors.IndexMismatch) as info:
        open_reader(made)
    assert "99" in sentence(info)
    assert read_manifest(made).schema_version == 99


def test_a_query_of_another_model(made):
    reader = open_reader(made)
    with pytest.raises(errors.IndexMismatch, match="length 16"):
        reader.search_vectors("joint", np.ones(DIM + 1, np.float32), 5, Filter())
    with pytest.raises(errors.IndexMismatch, match="no 'speech' vectors"):
        reader.search_vectors("speech", np.ones(DIM, np.float32), 5, Filter())


def test_a_second_writer(made):
    with create_or_open(made, MODELS, profile="lite") as store:
        with pytest.raises(errors.LibraryBusy) as info:
            create_or_open(made, MODELS, profile="lite")
        assert f"process {os.getpid()}" in sentence(info)
        assert open_reader(made).stats().frames == 3, "readers need no lock"
    create_or_open(made, MODELS, profile="lite").close()
    with pytest.raises(errors.LibraryError, match="reading only"):
        store.add([medium("n", "/n")])


def test_a_directory_of_something_else(tmp_path):
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(errors.LibraryError) as info:
        create_or_open(tmp_path, MODELS, profile="lite")
    assert "holiday.jpg" in sentence(info)
    assert os.listdir(tmp_path) == ["holiday.jpg"]


def test_a_file_where_the_library_should_be(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(errors.LibraryError) as info:
        create_or_open(tmp_path / "file", MODELS, profile="lite")
    sentence(info)
    with pytest.raises(errors.LibraryNotFound):
        open_reader(tmp_path / "file")


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"schema_version": 1}', '{"schema_version": 1, "models": 3}', "\xff", "[" * 100_000],
)
def test_a_manifest_that_is_none(made, text):
    (made / "library.json").write_text(text, encoding="latin-1")
    with pytest.raises(errors.LibraryDamaged) as info:
        open_reader(made)
    sentence(info)


@pytest.mark.parametrize("part", ["files", "media", "segments", "frames"])
def test_a_missing_table(made, part):
    shutil.rmtree(made / "tables" / f"{part}.lance")
    for opened in (open_reader, lambda directory: create_or_open(directory, MODELS, profile="lite")):
        with pytest.raises(errors.LibraryDamaged) as info:
            opened(made)
        assert part in sentence(info)


def test_missing_tables(made):
    shutil.rmtree(made / "tables")
    for opened in (open_reader, lambda directory: create_or_open(directory, MODELS, profile="lite")):
        with pytest.raises(errors.LibraryDamaged):
            opened(made)
    assert not (made / "tables").exists()


@pytest.mark.parametrize("part", ["media", "segments", "frames"])
@pytest.mark.parametrize("spoil", ["remove", "truncate"])
def test_a_spoilt_data_file(made, part, spoil):
    for path in (made / "tables" / f"{part}.lance" / "data").iterdir():
        path.unlink() if spoil == "remove" else path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(errors.LibraryDamaged) as info:
        reader = open_reader(made)
        list(reader.media()), reader.segments("m"), reader.frame_vectors("joint", "m")
    sentence(info)
    with pytest.raises(errors.LibraryDamaged):
        create_or_open(made, MODELS, profile="lite")


def test_a_creation_killed_before_the_manifest_begins_anew(library):
    (library / "tables.new" / "files.lance").mkdir(parents=True)
    (library / "library.lock").touch()
    with pytest.raises(errors.LibraryNotFound):
        open_reader(library)
    with create_or_open(library, MODELS, profile="lite") as store:
        store.add([medium("m", "/m")])
    assert open_reader(library).stats().frames == 3 and not (library / "tables.new").exists()


def test_a_creation_killed_after_the_manifest_is_finished(library):
    create_or_open(library, MODELS, profile="lite").close()
    os.rename(library / "tables", library / "tables.new")
    with pytest.raises(errors.LibraryNotFound):
        open_reader(library)
    create_or_open(library, MODELS, profile="lite").close()
    assert open_reader(library).stats().frames == 0


def test_an_awkward_directory(tmp_path):
    library = tmp_path / "a b%20#?'é\N{DOG FACE}" / "deeper"
    with create_or_open(library, MODELS, profile="lite") as store:
        store.add([medium("m", "/m")])
    moved = tmp_path / "moved"
    os.rename(library, moved)
    assert open_reader(moved).stats().frames == 3


def test_the_manifest_is_replaced_as_a_whole(made, monkeypatch):
    before = (made / "library.json").read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(errors.LibraryError, match="No space left"):
        write_manifest(made, new_manifest(OTHER, "x"))
    assert (made / "library.json").read_bytes() == before
    assert not [name for name in os.listdir(made) if name.endswith(".tmp")]
