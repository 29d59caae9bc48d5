import pytest

from data.store.lance import create_or_open
from tests.store.made import MODELS
from tests.store.reference import ReferenceStore


@pytest.fixture
def library(tmp_path):
    return tmp_path / "library"


@pytest.fixture(params=["lance", "reference"])
def store(request, library):
    opened = create_or_open(library, MODELS, profile="lite") if request.param == "lance" else ReferenceStore()
    yield opened
    opened.close()
