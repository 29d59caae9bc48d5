"""Which translations are kept to learn from, and that the decoder is the model it says it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from models.lite.training import translate


@pytest.mark.parametrize(
    ("english", "chinese", "kept"),
    [
        ("a dalmatian runs through the woods", "一只斑点狗在树林里奔跑", True),
        (
            "a black and white dog tied to a yellow and white van",
            "一只黑色和白色的狗被绑在一辆黄色和白色的货车上",
            True,
        ),
        ("an otter", "水獭", True),
        ("a young blond woman on a horse", "一个年轻 blond 女子坐在马背上", False),  # not translated to the end
        ("an otter", "一只水獭在河里游泳并且看着站在岸边的人们", False),  # says more than was asked
        ("a man", "男人男人男人男人", False),  # runs in circles
        ("two men are standing by a car", "两个男人站在汽车旁边两个男人站在汽车旁边", False),
        ("a man", "男", False),
        ("a dog", "，，，狗", False),
        ("a dog", "狗的英文翻译", False),  # talks about the task
    ],
)
def test_only_whole_chinese_of_the_right_length_is_kept(english: str, chinese: str, kept: bool) -> None:
    assert translate.usable(english, chinese) is kept


def test_what_strays_from_the_sure_translation_is_told() -> None:
    sure = ["一只棕色的狗在草地上跑开", "在草地上跑开的棕色狗"]
    assert translate.alike("棕色的狗在草地上跑", sure)
    assert not translate.alike("头戴红色的消防帽的女人", sure)


def test_every_example_of_the_prompt_would_be_kept_itself() -> None:
    for english, chinese, short in translate._EXAMPLES:
        assert translate.usable(english, chinese) and translate.usable(english, short)
        assert len(short) < len(chinese)
    before, after = translate.prompt("short")
    assert before.count("<|im_start|>user") == len(translate._EXAMPLES) + 1 and after.endswith("assistant\n")


def test_texts_of_one_length_share_a_batch_and_none_is_lost() -> None:
    texts = [[0] * length for length in (3, 1, 3, 2, 3)]
    batches = list(translate._batches(texts, 2))
    assert batches == [[1], [3], [0, 2], [4]]


def test_reading_piece_by_piece_is_reading_at_once() -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    width, inner, words = translate.HEADS * translate.WIDTH, 64, 50
    kv = translate.KV_HEADS * translate.WIDTH
    weights = {"output.weight": torch.randn(words, width) / 20, "output_norm.weight": torch.ones(width)}
    for layer in range(2):
        for name, out, into in (
            ("attn_q", width, width), ("attn_k", kv, width), ("attn_v", kv, width), ("attn_output", width, width),
            ("ffn_gate", inner, width), ("ffn_up", inner, width), ("ffn_down", width, inner),
        ):  # fmt: skip
            weights[f"blk.{layer}.{name}.weight"] = torch.randn(out, into) / into**0.5
            weights[f"blk.{layer}.{name}.bias"] = torch.randn(out) / 10
        for name in ("attn_norm", "ffn_norm"):
            weights[f"blk.{layer}.{name}.weight"] = torch.ones(width)
    decoder = translate.Decoder(weights)
    ids = torch.randint(0, words, (3, 9))
    with torch.no_grad():
        whole = decoder._forward(ids, decoder._cache(3, 9), 0)
        other = decoder._forward(ids.flip(1), decoder._cache(3, 9), 0)
        cache, start = decoder._cache(3, 9), 0
        for part in ids.split([4, 3, 1, 1], dim=1):
            last = decoder._forward(part, cache, start)
            start += part.shape[1]
    torch.testing.assert_close(last, whole, atol=1e-4, rtol=1e-3)
    assert float((other - whole).abs().max()) > 0.1  # the order of the pieces counts
    found = dict(decoder.answers([1, 2], ids.tolist(), [3], [7, 8, 49], at_most=4))
    assert set(found) == {0, 1, 2} and all(set(answer) <= {7, 8} for answer in found.values())


def test_pairs_come_once_and_tell_their_photograph(monkeypatch: pytest.MonkeyPatch) -> None:
    flickr = {
        "captions_en": np.array(["A dog runs in the snow .", "A man on a bike ."] * 2),
        "captions_zh": np.array(["骑车的男人。"]),
        "caption_image_en": np.array([0, 1, 2, 3]),
        "caption_image_zh": np.array([1]),
        "image_vectors": np.zeros((7, 4)),
    }
    said = {"zh": "一只狗在雪地里奔跑", "short": "骑自行车的男人", "en": "a man on a bike"}

    def answer(_d: object, _w: object, asked: list[str], task: str, heat: float = 0.0) -> Iterator[tuple[int, str]]:
        return ((row, "站着的女孩和海" if heat else said[task]) for row in range(len(asked)))

    monkeypatch.setattr(translate.texts, "alignment", lambda _work: (flickr, {}))
    monkeypatch.setattr(translate, "translate", answer)
    found = list(translate.pairs(None, None, Path("nowhere")))  # type: ignore[arg-type]
    assert [(one["en"], one["origin"], one["image"]) for one in found[:2]] == [
        ("a dog runs in the snow", "flickr", 0), ("a man on a bike", "flickr", 1),
    ]  # fmt: skip
    assert {"en": "a man on a bike", "zh": "骑车的男人", "origin": "zh-flickr", "image": 1} in found
    assert len({(one["en"], one["zh"]) for one in found}) == len(found)
    assert all(one["zh"] != "站着的女孩和海" for one in found)  # drawn by chance, and tells of something else
