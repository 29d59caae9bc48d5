"""The lite profile with its real text weights: words find pictures, in both languages, fast enough."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from data import settings
from models.lite import preprocess
from models.lite.embedder import HEAD_SHA256, NOUNS_SHA256, TEXT_SHA256, LiteEmbedder
from models.lite.text import TextTower, dequantised
from models.lite.tokenizer import EOS, UNKNOWN, Tokenizer
from models.lite.training.export import quantised

SET = Path(__file__).with_name("emoji_vectors.npz")


@pytest.fixture(scope="module")
def lite() -> LiteEmbedder:
    return LiteEmbedder(settings.load())


@pytest.mark.parametrize(("language", "floor_at_1", "floor_at_10"), [("en", 0.6, 0.9), ("zh", 0.5, 0.85)])
def test_names_find_their_pictures(lite: LiteEmbedder, language: str, floor_at_1: float, floor_at_10: float) -> None:
    """A regression floor: these pictures were trained on, so it says that weights, tokenizer and space fit together."""
    with np.load(SET, allow_pickle=False) as held:
        names, vectors = [str(name) for name in held[language]], held["vectors"].astype(np.float32)
    similarities = lite.embed_texts(names) @ vectors.T
    rank = (similarities > np.diag(similarities)[:, None]).sum(axis=1)
    assert (rank < 1).mean() >= floor_at_1
    assert (rank < 10).mean() >= floor_at_10


def test_both_languages_meet(lite: LiteEmbedder) -> None:
    pairs = [("a dog running", "一只狗在跑"), ("red sofa", "红色沙发"), ("snowy mountain", "雪山"), ("kitchen", "厨房")]
    english, chinese = (lite.embed_texts(list(side)) for side in zip(*pairs, strict=True))
    assert ((english @ chinese.T).argmax(axis=1) == np.arange(len(pairs))).all()


def test_a_full_stop_and_an_article_say_nothing(lite: LiteEmbedder) -> None:
    said = lite.embed_texts(
        ["一只狗在雪地里奔跑", "一只狗在雪地里奔跑。", "a dog runs", "a dog runs.", "otter", "an otter", "..."]
    )
    assert np.allclose(said[0], said[1], atol=1e-5) and np.allclose(said[2], said[3], atol=1e-5)
    assert said[4] @ said[5] > 0.9 and np.isfinite(said[6]).all()


def test_vectors_are_unit_and_do_not_depend_on_their_batch(lite: LiteEmbedder) -> None:
    texts = ["otter", "", "a page of text", "一个小女孩在海滩上跑步", "x" * 5000]
    together = lite.embed_texts(texts)
    apart = np.concatenate([lite.embed_texts([text]) for text in texts])
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert (together * apart).sum(axis=1).min() > 0.9999
    assert lite.embed_texts([]).shape == (0, 512)
    assert lite.embed_images([]).shape == (0, 512)


def test_a_picture_has_the_same_vector_in_any_company(lite: LiteEmbedder) -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (60, 80, 3), dtype=np.uint8) // (1 + i) for i in range(6)]
    together = lite.embed_images(pictures)
    apart = np.concatenate([lite.embed_images([picture]) for picture in reversed(pictures)])[::-1]
    assert np.array_equal(together, apart)


def test_probability_rises_with_similarity_and_ignores_the_library(lite: LiteEmbedder) -> None:
    query = lite.embed_texts(["a brown dog"])
    p = lite.match_probability(query, np.array([[-0.2, 0.0, 0.1, 0.2, 0.4]], dtype=np.float32), "text")
    assert (np.diff(p) > 0).all() and p[0, 0] < 0.1 and p[0, -1] > 0.5
    alone = lite.match_probability(query, np.array([[0.2]], dtype=np.float32), "text")
    assert alone[0, 0] == p[0, 3]


def test_preprocessing_equals_the_plain_reference() -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 255, (12, 20, 3), dtype=np.uint8))
    rgb = np.asarray(coarse.resize((400, 240), Image.Resampling.BICUBIC))
    out = np.empty((3, 224, 224), dtype=np.float32)
    preprocess.to_input(rgb, out)
    small = Image.fromarray(rgb).resize((373, 224), Image.Resampling.BICUBIC)
    reference = np.asarray(small.crop((74, 0, 298, 224))).transpose(2, 0, 1) / 255
    reference = (reference - preprocess.MEAN[:, None, None]) / preprocess.STD[:, None, None]
    assert np.abs(out - reference).mean() < 0.06  # a fraction of a pixel apart
    swapped = np.abs(out - reference[::-1]).mean()
    assert swapped > 5 * np.abs(out - reference).mean()


def test_tokenizer_takes_the_best_split() -> None:
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁", "a", "b", "▁ab", "▁a"]
    tokenizer = Tokenizer(pieces, [0, 0, 0, 0, -3, -2, -2, -1, -2])
    assert tokenizer.encode("AB") == [0, 7, EOS]
    assert tokenizer.encode("aab") == [0, 8, 5, 6, EOS]
    assert tokenizer.encode("a?") == [0, 8, UNKNOWN, EOS]
    assert len(tokenizer.encode("ab " * 500, 64)) == 64


def test_six_bits_keep_a_matrix() -> None:
    matrix = np.random.default_rng(0).normal(size=(128, 192)).astype(np.float32)
    back = dequantised(*quantised(matrix, 31))
    assert (back * matrix).sum() / np.linalg.norm(back) / np.linalg.norm(matrix) > 0.999


def test_the_weights_are_those_the_code_was_calibrated_for() -> None:
    for name, sha256 in (("text.npz", TEXT_SHA256), ("nouns.npz", NOUNS_SHA256), ("head.npz", HEAD_SHA256)):
        assert hashlib.sha256((files("models.lite") / name).read_bytes()).hexdigest() == sha256, name


PROBE = {  # one thing said twice, in English and in Chinese: no kind of query may collapse into another
    "furniture": ("a red sofa", "红色的沙发"),
    "product": ("a wrist watch", "手表"),
    "action": ("a man playing the guitar", "一个男人在弹吉他"),
    "animal": ("an elephant", "大象"),
    "place": ("a beach with palm trees", "有棕榈树的沙滩"),
    "weather": ("heavy snow", "暴风雪"),
    "vehicle": ("a fire engine", "消防车"),
    "food": ("a bowl of noodles", "一碗面条"),
    "text": ("a page of text", "一页文字"),
    "abstract": ("loneliness", "孤独"),
    "sport": ("a skateboarder doing a trick", "用滑板做特技的人"),
    "night": ("a city at night", "城市夜景"),
}


def test_no_kind_of_query_collapses(lite: LiteEmbedder) -> None:
    english, chinese = (lite.embed_texts(list(side)) for side in zip(*PROBE.values(), strict=True))
    across = english @ chinese.T
    assert (across.argmax(axis=1) == np.arange(len(PROBE))).all()
    assert (across.argmax(axis=0) == np.arange(len(PROBE))).all()
    within = english @ english.T
    assert within[~np.eye(len(PROBE), dtype=bool)].mean() < 0.3


def test_text_tower_needs_no_torch() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from data import settings; from models import registry;"
        "registry.load('lite', settings.load()).joint.embed_texts(['dog']);"
        "sys.exit(any(m in sys.modules for m in ('torch', 'onnxruntime', 'transformers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert TextTower.__doc__
