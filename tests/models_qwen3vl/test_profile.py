"""The whole profile on tiny checkpoints: through the command line, and part by part."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from data.errors import UsageError
from data.settings import load as load_settings
from models import registry
from models.base import Clip

SAMPLES = Path(__file__).resolve().parents[2] / "data" / "samples"
WHEN = (0.25, 0.75)  # what the talking checkpoint says


@pytest.fixture(scope="module")
def models(talking):
    return registry.load(f"qwen3-vl:{talking}", load_settings(qwen_device="cpu"))


@pytest.fixture(scope="module")
def film(packages):
    rng = np.random.default_rng(1)
    frames = tuple(np.full((96, 128, 3), rng.integers(0, 256, 3), np.uint8) for _ in range(6))
    return Clip(frames, tuple(i / 4 for i in range(6)), 0.0, 1.5, media_id="film")


@pytest.fixture(scope="module")
def photo(packages):
    from data.media import picture

    return np.ascontiguousarray(picture(SAMPLES / "photos" / "IMG_0003.jpg")[::4, ::4])


def test_it_is_listed_and_names_its_extra():
    (info,) = [info for info in registry.profiles() if info.name == "qwen3-vl"]
    assert info.extra == "qwen" and "Apache-2.0" in info.licences[0]


def test_vectors(models, photo, film):
    joint = models.joint
    pictures = joint.embed_images([photo, film.frames[0], photo])
    words = joint.embed_texts(["a sofa", "一张沙发"])
    assert joint.identity.dim == pictures.shape[1] == words.shape[1] == 64
    np.testing.assert_allclose(np.linalg.norm(np.concatenate([pictures, words]), axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(pictures[0], pictures[2], atol=1e-5)
    np.testing.assert_allclose(joint.embed_images([film.frames[0]])[0], pictures[1], atol=1e-3)
    assert np.abs(pictures[0] - pictures[1]).max() > 1e-3
    assert joint.embed_texts([]).shape == (0, 64)


def test_words_and_pictures_and_frames_in_one_vector(models, photo, film):
    from models.qwen3vl.prompting import Footage, Picture

    alone, green, moving, slower = models.joint.embed(
        [(Picture(photo),), (Picture(photo), "like this, but green"), (Footage(film.frames, film.times_s, 16),),
         (Footage(film.frames, tuple(10 * time_s for time_s in film.times_s), 16),)]
    )  # fmt: skip
    gaps = [np.abs(alone - green).max(), np.abs(alone - moving).max(), np.abs(moving - slower).max()]
    assert min(gaps) > 1e-4  # the times are seen as well


def test_shorter_vectors_are_the_head_of_the_long_ones(talking, models, photo):
    short = registry.load(f"qwen3-vl:{talking}", load_settings(qwen_device="cpu", qwen_dim=16)).joint
    head = models.joint.embed_images([photo])[:, :16]
    np.testing.assert_allclose(short.embed_images([photo]), head / np.linalg.norm(head), atol=1e-5)
    assert short.identity.dim == 16 and short.identity != models.joint.identity
    with pytest.raises(UsageError, match="qwen_dim = 65 is above the 64"):
        _ = registry.load(f"qwen3-vl:{talking}", load_settings(qwen_dim=65)).joint.identity


def test_a_picture_matches_itself_and_no_strip_ends_a_run(models, photo):
    strip = np.zeros((2, 900, 3), np.uint8)
    vectors = models.joint.embed_images([photo, strip])
    likely = models.joint.match_probability(vectors, vectors @ vectors.T, "image")
    assert likely[0, 0] > 0.95 and likely[0, 0] > likely[0, 1]


def test_the_judge_is_the_two_logits_of_transformers(models, photo, film):
    import torch

    from models.qwen3vl import showing
    from models.qwen3vl.plain import PlainEngine
    from models.qwen3vl.prompting import prompt

    judge = models.reranker._judge
    turns = [showing.judge_turn("a sofa", film), showing.judge_turn("a sofa", Clip((photo,), kind="image"))]
    ours = judge.yes(turns, ["", ""])
    tokens = judge._weights.checkpoint.tokens
    import transformers

    model = transformers.Qwen3VLForConditionalGeneration.from_pretrained(
        judge._weights.checkpoint.folder, dtype=torch.float32
    )
    for turn, one in zip(turns, ours, strict=True):
        with torch.inference_mode():
            logits = model(**PlainEngine(model).inputs([prompt(turn, tokens)]), logits_to_keep=1).logits[0, -1]
        yes, no = logits[tokens.id_of("yes")], logits[tokens.id_of("no")]
        assert one == pytest.approx(float(torch.sigmoid(yes - no)), abs=1e-4)
    keyed = [judge.yes(turns, ["film", "photo"]) for _ in range(2)]
    np.testing.assert_allclose(keyed[1], ours, atol=1e-4)


def test_every_part_answers(models, photo, film):
    seen, still = models.captioner.caption([film, Clip((photo,), kind="image")])
    assert seen.text == still.text == "a violet zeppelin lands"
    assert [(event.start_s, event.end_s) for event in seen.events] == [WHEN] and still.events == ()
    assert seen.model == models.captioner.revision and seen.model.startswith("talking@")
    (found,) = models.grounder.when("a zeppelin", film)
    assert (found.start_s, found.end_s) == WHEN
    height, width = photo.shape[:2]
    (box,) = models.grounder.where("a zeppelin", photo)
    assert (box.x, box.y) == (width // 10, height // 5)
    told = models.answerer.answer("What happens?", [film])
    assert told.answered and told.text == "A zeppelin lands."
    assert (told.citations[0].media_id, told.citations[0].start_s, told.citations[0].end_s) == ("film", *WHEN)
    assert "zeppelin" in models.writer.write("Sum up.", "It lands.", most_tokens=8)
    scores = models.reranker.rerank("a zeppelin", [film, film], criteria=("a zeppelin", "violet"))
    assert len(scores[0].criteria) == 2 and scores[0].score == pytest.approx(scores[1].score, abs=1e-4)


def test_one_checkpoint_is_loaded_once_for_all_it_does(models):
    assert models.reranker._judge._weights is models.joint._weights is models.captioner._chat._weights


def test_what_a_random_model_says_is_a_failure_and_not_a_caption(checkpoint, film, monkeypatch):
    from models.qwen3vl import chat
    from models.qwen3vl.sampling import Sampling

    monkeypatch.setattr(chat, "CAPTION_TRIES", (Sampling(24), Sampling(24, temperature=0.7, seed=1)))
    babble = registry.load(f"qwen3-vl:{checkpoint}", load_settings(qwen_device="cpu"))
    (caption,) = babble.captioner.caption([film])
    assert caption.failed and caption.text == "" and caption.events == ()


def found_at(found: dict, start_s: float) -> dict:
    """The result whose moment begins there."""
    timed = [result for result in found["results"] if result["start_s"] is not None]
    return min(timed, key=lambda result: abs(result["start_s"] - start_s))


def test_from_files_to_answers(talking, tmp_path, monkeypatch, capsys):
    """index describes and makes vectors, search finds by both and looks again, ask answers: nothing stands in."""
    pytest.importorskip("typer")
    from typer.testing import CliRunner

    from ui.cli import app

    media = tmp_path / "media"
    media.mkdir()
    for name in ("photos/IMG_0003.jpg", "animations/loop_1.gif"):
        shutil.copy(SAMPLES / name, media)
    for name, value in {
        "QWEN_DEVICE": "cpu",
        "CACHE": str(tmp_path / "cache"),
        "LIBRARY": str(tmp_path / "lib"),
    }.items():
        monkeypatch.setenv(f"SECONDSIGHT_{name}", value)

    def run(*args: str) -> dict:
        result = CliRunner().invoke(app, [*args, "--json"])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout.strip().splitlines()[-1])

    report = run("index", str(media), "--models", f"qwen3-vl:{talking}")
    assert report["indexed"] == 2 and report["failed"] == []
    found = run("search", "zeppelin", "-k", "5")
    channels = {line["channel"] for result in found["results"] for line in result["evidence"]}
    assert {"caption", "rerank"} <= channels
    moving = [result for result in found["results"] if result["path"].endswith(".gif")]
    assert moving and all(result["start_s"] <= result["peak_s"] < result["end_s"] for result in moving)
    first_event = found_at(run("search", "violet zeppelin", "-k", "20"), WHEN[0])
    assert first_event["start_s"] == pytest.approx(WHEN[0], abs=0.3)
    assert "caption" in {line["channel"] for line in first_event["evidence"]}
    (first, *_) = run("search", "--image", str(media / "IMG_0003.jpg"))["results"]
    assert first["path"].endswith("IMG_0003.jpg") and first["score"] > 0.9
    told = run("ask", "What happens?")
    assert told["answered"] and told["text"] == "A zeppelin lands." and told["sources"]
    again = run("index", str(media), "--models", f"qwen3-vl:{talking}")
    assert again["unchanged"] == 2 and again["indexed"] == 0
