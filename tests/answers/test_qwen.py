"""The whole way with a checkpoint of the real architecture here: it is random, so that what it writes must never pass
for a caption, an answer or a summary."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.errors import ModelError
from data.settings import Settings
from data.store.lance import open_reader
from indexer.pipeline import index
from models.parity import compare
from models.registry import load as load_models
from search.ask import ask
from search.engine import SearchEngine
from search.scope import scope_of
from search.summarize import summarize
from tests.answers.conftest import SUBTITLES
from tests.conftest import write_gif, write_image, write_video


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for module in ("torch", "transformers", "accelerate"):
        pytest.importorskip(module, reason="the qwen3-vl profile needs secondsight[qwen]")
    from tests.models_qwen3vl.conftest import write_checkpoint

    return write_checkpoint(tmp_path_factory.mktemp("weights") / "tiny")


def test_index_search_ask_and_summarize(checkpoint: Path, tmp_path: Path) -> None:
    media = tmp_path / "media"
    media.mkdir()
    write_image(media / "red.png", "red")
    write_gif(media / "blink.gif", ["green", "yellow"])
    film = write_video(media / "film.mp4", ["red", "green", "blue"], seconds_each=2)
    film.with_suffix(".srt").write_text(SUBTITLES)
    settings = Settings(library=tmp_path / "library", cache=tmp_path / "cache")
    models = load_models(f"qwen3-vl:{checkpoint}", settings)
    report = index([media], library=settings.library, models=models, settings=settings)
    assert report.indexed == 3 and not report.failed and len(report.warnings) == 3
    store = open_reader(settings.library)
    for item in store.media():
        assert " failed=" in store.stages()[item.media_id]["caption"] and store.texts(item.media_id, ("caption",)) == []
    with SearchEngine(settings.library, models, settings) as engine:
        assert engine.search("something red").moments
        reply = ask(engine, "What is the price?", answerer=models.answerer, scope=scope_of(engine.store, film))
        assert reply.by_model and not reply.answered and reply.sources == () and reply.shown == 1
    (item,) = (item for item in store.media() if item.path == film)
    assert models.writer is not None
    with pytest.raises(ModelError, match="No summary"):
        summarize(store, item, models.writer)
    assert all(row.good for row in compare(models, load_models(f"qwen3-vl:{checkpoint}", settings)))
