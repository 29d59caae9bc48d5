import pytest

from data.store import faiss, indices, lists, reader
from data.store.lance import create_or_open
from tests.store.made import MODELS
from tests.store.reference import ReferenceStore


@pytest.fixture
def library(tmp_path):
    return tmp_path / "library"


@pytest.fixture(params=["lance", "tables", "faiss", "reference"])
def store(request, library, monkeypatch):
    """LanceDB with vectors in memory, in its tables, and in a FAISS index that is remade at every second write."""
    if request.param == "reference":
        yield ReferenceStore()
        return
    if request.param != "lance":
        monkeypatch.setattr(reader, "MOST_RESIDENT_BYTES", 0)
        monkeypatch.setattr(lists, "CODES_A_ROW", 10**9)
        monkeypatch.setattr(lists, "LEAST_REFINED", 1)
    if request.param == "tables":
        monkeypatch.setattr(faiss, "installed", lambda: False)
    opened = create_or_open(library, MODELS, profile="lite")
    if request.param == "faiss":
        pytest.importorskip("faiss")
        add, turns = opened.add, []

        def add_and_index(batch):
            add(batch)
            turns.append(batch)
            if len(turns) % 2:
                indices.index_vectors(opened)

        opened.add = add_and_index
    yield opened
    opened.close()
