"""`models check`: equal backends agree, others are found out, and the exit code says so."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from data.types import Pixels, Vectors
from models import parity
from models.base import ModelIdentity, ModelSet
from models.server.chat import ServerChat
from models.server.client import Client
from models.server.embedder import ServerEmbedder
from models.server.reranker import ServerReranker
from tests.conftest import ColourModel
from tests.models_server.fake import FakeServer, probability
from ui.cli import app


class Turned(ColourModel):
    """The same model behind other pixels."""

    def embed_images(self, images: list[Pixels]) -> Vectors:
        return super().embed_images([255 - image for image in images])


class Longer(ColourModel):
    identity = ModelIdentity("test/longer", "1", 5)

    def embed_images(self, images: list[Pixels]) -> Vectors:
        return np.pad(super().embed_images(images), ((0, 0), (0, 1)))


@pytest.fixture
def served(fake: FakeServer) -> ModelSet:
    client = Client(fake.url, budget_s=5)
    reranker = ServerReranker(client, "judge", ServerChat(client))
    return ModelSet("served", ServerEmbedder(client, "fake-embed"), reranker=reranker)


@pytest.fixture
def fake():
    with FakeServer() as server:
        yield server


class Local:
    """What the fake server judges, judged here; off by so much."""

    def __init__(self, off: float = 0.0) -> None:
        self.off = off

    def rerank(self, query, clips, *, criteria=(), budget_s=None):
        from models.base import RerankScore

        return [RerankScore(probability(query, list(clip.frames)) - self.off) for clip in clips]


def test_equal_backends_agree(served: ModelSet, fake: FakeServer) -> None:
    pictures, words, judged = parity.compare(served, ModelSet("here", ColourModel(), reranker=Local()))
    assert (pictures.count, words.count, judged.count) == (12, 8, 18)
    assert pictures.good and words.good and judged.good and pictures.worst > 0.999 and words.worst > 0.9999
    assert fake.counts["/embeddings"] == 12 + 8 + 1 and fake.counts["/rerank"] == 18


def test_what_differs_is_found_out(served: ModelSet) -> None:
    pictures, words, judged = parity.compare(served, ModelSet("here", Turned()))
    assert pictures.good is False and words.good and judged.good is None and "here has none" in judged.note
    longer = parity.compare(served, ModelSet("here", Longer()))[0]
    assert longer.good is False and "4 and of 5 numbers" in longer.note
    off = parity.compare(served, replace(served, joint=ColourModel(), reranker=Local(0.2)))[2]
    assert off.good is False and off.worst == pytest.approx(0.2, abs=0.001)


def test_the_command(fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server = f"server:{fake.url}"
    said = CliRunner().invoke(app, ["models", "check", server, "--against", "lite", "--json"])
    told = json.loads(said.stdout)
    assert said.exit_code == 0 and told["agree"] and [part["good"] for part in told["parts"]] == [True, True, None]
    monkeypatch.setenv("SECONDSIGHT_SERVER_EMBED", "fake-embed")
    said = CliRunner().invoke(app, ["models", "check", server, "--against", "lite"])
    assert said.exit_code == 1 and "DIFFERS (vectors of 4 and of 512 numbers)" in said.stdout
