"""Which translations are kept to learn from, and that the decoder is the model it says it is."""

from __future__ import annotations

import pytest

from models.lite.training import translate


def test_captions_are_asked_as_they_are_learnt() -> None:
    assert translate.clean("A Dalmatian runs through the woods .") == "a dalmatian runs through the woods"
    assert translate.clean("拿着望远镜看远方。") == "拿着望远镜看远方"


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


def test_answers_with_a_cache_are_those_without() -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    width, inner, words = translate.HEADS * translate.WIDTH, 64, 50
    kv = translate.KV_HEADS * translate.WIDTH
    weights = {"output.weight": torch.randn(words, width), "output_norm.weight": torch.ones(width)}
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
    before, texts, after, allowed = [1, 2, 3], [[4, 5], [6], [7, 8]], [9], [*range(10, 40), 49]
    found = dict(decoder.answers(before, texts, after, allowed, at_most=200))
    assert set(found) == {0, 1, 2}
    ended = [row for row, answer in found.items() if answer]
    assert ended, "no answer came to an end: nothing to compare"
    for row in ended:
        assert set(found[row]) <= set(allowed[:-1])
        ids = [*before, *texts[row], *after]  # the whole sequence anew for each piece
        for expected in found[row]:
            with torch.no_grad():
                last = decoder._forward(torch.tensor([ids]), decoder._cache(1, len(ids)), 0)
            scores = last @ weights["output.weight"].T
            assert max(allowed, key=lambda i: float(scores[0, i])) == expected
            ids.append(expected)
