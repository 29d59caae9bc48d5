"""The profile on tiny checkpoints, held to what transformers makes of the same files and pictures."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from data.errors import IndexMismatch
from data.settings import load as load_settings
from models import registry
from models.siglip2.checkpoint import Checkpoint
from tests.models_siglip2.conftest import FAMILIES, SIDE, write_checkpoint

SAMPLES = Path(__file__).resolve().parents[2] / "data" / "samples"
TEXTS = ["A cat!", "", "cats, cats and a long " + "cat " * 90, "<eos> </s> <|endoftext|> cat", "一张沙发的图片"]


@pytest.fixture(scope="module")
def joints(checkpoints):
    settings = load_settings(batch_size=2)
    return {family: registry.load(f"siglip2:{folder}", settings).joint for family, folder in checkpoints.items()}


@pytest.fixture(scope="module")
def pictures():
    """Photographs, and sizes that invite a confusion of channels and rows, or of gigabytes."""
    from data.media import picture

    rng = np.random.default_rng(0)
    photos = [np.ascontiguousarray(picture(SAMPLES / "photos" / f"IMG_000{i}.jpg")[::4, ::4]) for i in (1, 3, 5)]
    return [*photos, *(rng.integers(0, 256, (*size, 3), np.uint8) for size in ((3, 40), (3, 3), (61, 30), (1, 1)))]


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def ids_of_transformers(folder: Path, family: str, texts: list[str]):
    """As the model cards do it: the whole row for SigLIP, a mask for CLIP."""
    import transformers

    if family == "clip":
        tokenizer = transformers.CLIPTokenizer.from_pretrained(folder, split_special_tokens=True)
        return dict(tokenizer(texts, padding=True, truncation=True, max_length=77, return_tensors="pt"))
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"),
        pad_token="</s>" if family == "siglip" else "<pad>",
        split_special_tokens=True,
    )
    told = tokenizer(texts, padding="max_length", truncation=True, max_length=64, return_tensors="pt")
    return {"input_ids": told["input_ids"]}


def model_of(folder: Path):
    import transformers

    return transformers.AutoModel.from_pretrained(folder).eval()


@pytest.mark.parametrize("family", FAMILIES)
def test_words_are_those_of_transformers(joints, checkpoints, family):
    import torch

    told = [text if family == "clip" else text.lower() for text in TEXTS]
    if family == "siglip":
        told = ["a cat", "", "cats cats and a long " + "cat " * 89 + "cat", "eos s endoftext cat", TEXTS[4]]
    inputs = ids_of_transformers(checkpoints[family], family, told)
    with torch.inference_mode():
        wanted = model_of(checkpoints[family]).get_text_features(**inputs).pooler_output.numpy()
    ours = joints[family].embed_texts(TEXTS)
    np.testing.assert_allclose(ours, unit(wanted), atol=2e-5)
    assert ours.dtype == np.float32 and ours.shape == (len(TEXTS), joints[family].identity.dim)
    assert np.abs(ours[0] - ours[1]).max() > 1e-2  # they are not all the same


@pytest.mark.parametrize("family", FAMILIES)
def test_pictures_are_those_of_transformers(joints, checkpoints, pictures, family):
    import torch
    import transformers
    from PIL import Image

    kind = {"clip": "CLIP", "siglip2-naflex": "Siglip2"}.get(family, "Siglip")
    processor = getattr(transformers, f"{kind}ImageProcessorPil").from_pretrained(checkpoints[family])
    wanted = processor([Image.fromarray(rgb) for rgb in pictures], return_tensors="pt")
    ours = joints[family].pixels(pictures)
    assert set(ours) == set(wanted)
    for name in wanted:
        np.testing.assert_allclose(np.asarray(ours[name]), np.asarray(wanted[name]), atol=1e-5)
    with torch.inference_mode():
        features = model_of(checkpoints[family]).get_image_features(**wanted).pooler_output.numpy()
    np.testing.assert_allclose(joints[family].embed_images(pictures), unit(features), atol=2e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_together_as_alone(joints, pictures, family):
    joint = joints[family]
    together, words = joint.embed_images(pictures), joint.embed_texts(TEXTS)
    for i, rgb in enumerate(pictures):
        np.testing.assert_allclose(joint.embed_images([rgb])[0], together[i], atol=1e-5)
    for i, text in enumerate(TEXTS):
        np.testing.assert_allclose(joint.embed_texts([text])[0], words[i], atol=1e-5)
    dim = joint.identity.dim
    assert joint.embed_images([]).shape == joint.embed_texts([]).shape == (0, dim)
    np.testing.assert_allclose(np.linalg.norm(np.concatenate([together, words]), axis=1), 1, atol=1e-5)


def test_a_strip_is_cut_and_not_blown_up(joints):
    strip = np.random.default_rng(0).integers(0, 256, (2, 6000, 3), np.uint8)
    made = joints["clip"].pixels([strip])["pixel_values"]
    assert made.shape == (1, 3, SIDE, SIDE)
    np.testing.assert_array_equal(made, joints["clip"].pixels([strip[:, 2984:3016]])["pixel_values"])


@pytest.mark.parametrize("family", ["siglip", "siglip2-naflex"])
def test_words_are_worth_what_the_model_says(joints, checkpoints, pictures, family):
    import torch

    joint = joints[family]
    words, seen = joint.embed_texts(TEXTS[:3]), joint.embed_images(pictures[:3])
    model = model_of(checkpoints[family])
    inputs = {key: value[:3] for key, value in joint.pixels(pictures).items()}
    with torch.inference_mode():
        said = model(input_ids=torch.from_numpy(joint._words.rows(TEXTS[:3])), **inputs)
    wanted = torch.sigmoid(said.logits_per_text).numpy()
    likely = joint.match_probability(words, words @ seen.T, "text")
    np.testing.assert_allclose(likely, wanted, atol=1e-3)
    assert likely.dtype == np.float32 and likely.max() - likely.min() > 0.05


@pytest.mark.parametrize("family", FAMILIES)
def test_probabilities_rise_and_a_picture_matches_itself(joints, pictures, family):
    joint = joints[family]
    words, seen = joint.embed_texts(TEXTS[:1]), joint.embed_images(pictures[:2])
    rising = joint.match_probability(words, np.linspace(-1, 1, 41, dtype=np.float32)[None], "text")[0]
    assert (np.diff(rising) >= 0).all() and 0 <= rising[0] < 0.01 and 0.99 < rising[-1] <= 1
    likely = joint.match_probability(seen, seen @ seen.T, "image")
    assert likely[0, 0] > 0.95 and likely[0, 0] > likely[0, 1]


def test_the_identity_follows_what_makes_the_vectors(checkpoints, tmp_path):
    folder = checkpoints["siglip2-fixed"]
    first = registry.load(f"siglip2:{folder}", load_settings()).joint.identity
    assert (first.name, first.dim, first.metric) == ("siglip2/siglip2-fixed", 32, "cosine")
    shutil.copytree(folder, tmp_path / "siglip2-fixed")

    def identity():
        return registry.load(f"siglip2:{tmp_path / 'siglip2-fixed'}", load_settings()).joint.identity

    assert identity() == first  # wherever it lies
    for name, old, new in (("preprocessor_config.json", '"resample": 2', '"resample": 3'),
                           ("tokenizer.json", '"cat"', '"tac"')):  # fmt: skip
        text = (folder / name).read_text("utf-8")
        assert old in text
        (tmp_path / "siglip2-fixed" / name).write_text(text.replace(old, new), "utf-8")
        assert identity() != first
        (tmp_path / "siglip2-fixed" / name).write_text(text, "utf-8")
    assert identity() == first
    write_checkpoint(tmp_path / "other" / "siglip2-fixed", "siglip2-fixed", seed=1)
    other = registry.load(f"siglip2:{tmp_path / 'other' / 'siglip2-fixed'}", load_settings()).joint.identity
    assert other.name == first.name and other.revision != first.revision


def test_tags_only_where_chinese_is_read(checkpoints, monkeypatch):
    """Names are asked in both languages: a model that reads one of them would be asked noise."""
    assert registry.load(f"siglip2:{checkpoints['clip']}", load_settings()).tagger is None
    monkeypatch.setattr("models.siglip2.checkpoint._MULTILINGUAL", 100)
    models = registry.load(f"siglip2:{checkpoints['siglip2-fixed']}", load_settings())
    assert models.tagger is not None and models.tagger.revision.endswith(models.joint.identity.revision)
    assert models.transcriber is not None and models.text_reader is not None and models.reranker is None


def test_frames_are_decoded_as_large_as_they_are_looked_at(checkpoints, tmp_path, monkeypatch):
    assert [Checkpoint(str(checkpoints[family])).picture_side for family in FAMILIES] == [64, 64, 80, 64]
    assert registry.load(f"siglip2:{checkpoints['siglip']}", load_settings()).picture_side == 256
    monkeypatch.setattr("models.siglip2.profile.LEAST_SIDE", 1)
    assert registry.load(f"siglip2:{checkpoints['siglip']}", load_settings()).picture_side == 64


@pytest.mark.parametrize("family", ["siglip2-fixed", "clip"])
def test_a_library_made_and_searched(checkpoints, tmp_path, family):
    pytest.importorskip("lancedb")
    from data.types import ImageQuery
    from indexer.pipeline import index
    from search.engine import SearchEngine

    media = tmp_path / "media"
    media.mkdir()
    for number in (1, 3):
        shutil.copy(SAMPLES / "photos" / f"IMG_000{number}.jpg", media)
    settings = load_settings(library=tmp_path / "lib", cache=tmp_path / "cache", workers=1)
    profile = f"siglip2:{checkpoints[family]}"
    report = index([media], library=settings.library, models=registry.load(profile, settings), settings=settings)
    assert report.indexed == 2 and not report.failed
    with SearchEngine(settings.library, settings=settings) as engine:  # the manifest names the models
        assert engine.manifest.profile == profile
        assert engine.manifest.models["joint"] == engine.models.joint.identity.as_dict()
        assert len(engine.search("a cat").moments) + len(engine.search("一张沙发的图片").moments) > 0
        from data.media import picture

        asked = engine.query(images=[ImageQuery(picture(media / "IMG_0003.jpg"))])
        (first, *_) = engine.search(asked).moments
        assert first.media.path.name == "IMG_0003.jpg" and first.score > 0.9
    write_checkpoint(tmp_path / "other" / family, family, seed=1)
    for other in ("lite", f"siglip2:{tmp_path / 'other' / family}"):
        models = registry.load(other, settings)
        with pytest.raises(IndexMismatch):
            SearchEngine(settings.library, models, settings)
        with pytest.raises(IndexMismatch):
            index([media], library=settings.library, models=models, settings=settings)


@pytest.mark.parametrize("family", FAMILIES)
def test_16_bits_as_on_a_gpu_stay_close(joints, checkpoints, pictures, family):
    import torch

    short = registry.load(f"siglip2:{checkpoints[family]}", load_settings()).joint
    short._model().to(torch.bfloat16)
    for task, asked in (("embed_images", pictures), ("embed_texts", TEXTS)):
        ours, whole = getattr(short, task)(asked), getattr(joints[family], task)(asked)
        assert ours.dtype == np.float32 and not np.array_equal(ours, whole)
        np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-5)
        assert (ours * whole).sum(axis=1).min() > 0.998
