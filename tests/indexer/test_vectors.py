"""Vectors beside those of frames: of captions, and of the parts of stills."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from data.settings import Settings
from data.store.base import MEANING, Filter
from data.store.lance import create_or_open
from data.types import TextSpan
from indexer import embed_texts
from indexer.apart import Apart
from indexer.crops import embed_crops
from indexer.embed_texts import embed_captions
from indexer.pipeline import index
from models.base import ModelSet


class Counting:
    def __init__(self, models: ModelSet) -> None:
        self.identity, self._real, self.asked = models.joint.identity, models.joint, []

    def embed_texts(self, texts: list[str]) -> np.ndarray:
        self.asked.append(len(texts))
        return self._real.embed_texts(texts)


@pytest.fixture
def store(tmp_path: Path, media: Path, settings: Settings, colour_models: ModelSet):
    index([media], library=settings.library, models=colour_models, settings=settings)
    identities = {channel: one.as_dict() for channel, one in colour_models.identities().items()}
    with create_or_open(settings.library, identities, profile=colour_models.profile) as opened:
        yield opened


def test_captions_get_their_vectors_a_bounded_number_at_once_and_stop_between(
    store, colour_models: ModelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embed_texts, "TEXTS_AT_ONCE", 8)
    words, counts = ["red", "blue", "green", "yellow", "white"], [20, 3, 4, 2]
    for media_id, count in zip(sorted(store.stages()), counts, strict=True):
        spans = [TextSpan("caption", words[k % 5], float(k), k + 1.0) for k in range(count)]
        store.put_texts(media_id, "caption", spans, stage="toy")
    model, told = Counting(colour_models), []
    assert not embed_captions(store, model, should_stop=lambda: len(model.asked) == 4)
    assert max(model.asked) <= 8 and 1 <= sum(MEANING in stages for stages in store.stages().values()) < 4
    assert embed_captions(store, model, tell=lambda *done: told.append(done[1:]))
    assert max(model.asked) <= 8 and told and all(total < 4 for _, total in told), "what was done is not done again"
    for media_id, count in zip(sorted(store.stages()), counts, strict=True):
        spans, vectors = store.meanings(media_id)
        expected = colour_models.joint.embed_texts([span.text for span in spans])
        assert len(spans) == count and np.allclose(vectors, expected, atol=1e-3)


def test_parts_of_stills_cost_one_process_and_leave_the_captions_vectors(
    store, media: Path, settings: Settings, colour_models: ModelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    stills = [item for item in store.media() if item.info.kind == "image"]
    for item in stills:
        store.put_texts(
            item.media_id, "caption", [TextSpan("caption", item.path.stem, None, None, "en", source="toy")], stage="toy"
        )
    model = Counting(colour_models)
    embed_captions(store, model)
    found = [hit.span.text for hit in store.search_meanings(model._real.embed_texts(["red"])[0], 2, Filter())[0]]
    assert found == ["red", "blue"]
    begun, popen = [], subprocess.Popen
    monkeypatch.setattr("indexer.process.subprocess.Popen", lambda *a, **how: begun.append(1) or popen(*a, **how))
    with Apart(10**8) as files:
        assert embed_crops(store, stills, colour_models.joint, files) == (len(stills), [])
    assert len(begun) == 1 and len(stills) == 2
    assert all(store.texts(item.media_id)[0].source == "toy" for item in stills)
    assert all(store.stages()[item.media_id]["crops"] for item in stills)
    again = [hit.span.text for hit in store.search_meanings(model._real.embed_texts(["red"])[0], 2, Filter())[0]]
    assert again == found and embed_captions(store, model) and len(model.asked) == 1
