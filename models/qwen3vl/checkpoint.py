"""Where the weights of a model of the family are, and what their files say without loading them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from data.errors import WeightsUnavailable
from models.checkpoint import CheckpointFolder, read_json
from models.qwen3vl.prompting import TURN_END, QwenTokens

CLASSES = {"qwen3_vl": "Qwen3VLForConditionalGeneration", "qwen3_vl_moe": "Qwen3VLMoeForConditionalGeneration"}
_4BIT_BYTES, _16BIT_BYTES = 0.56, 2.0  # a number of a linear layer in NF4 with its scales; any other number


@dataclass(frozen=True, slots=True)
class Numbers:
    """How many numbers a checkpoint holds: all, and those of the language model's linear layers."""

    total: int
    linear: int

    def bytes_in_4_bits(self) -> int:
        return int(self.linear * _4BIT_BYTES + (self.total - self.linear) * _16BIT_BYTES)


class Checkpoint(CheckpointFolder):
    """A model of the family ("Qwen/Qwen3-VL-4B-Instruct"), in its folder."""

    profile: ClassVar[str] = "qwen3-vl"

    @cached_property
    def config(self) -> dict[str, Any]:
        """config.json. Raises: WeightsUnavailable: of another family of models."""
        config = read_json(self.folder / "config.json")
        if config.get("model_type") not in CLASSES:
            raise WeightsUnavailable(
                f"{self.source!r} is a {config.get('model_type')!r} model and not one of Qwen3-VL.",
                remedy="Name a model of the family: qwen3-vl:4B, say, or its folder.",
            )
        return config

    @cached_property
    def width(self) -> int:
        """Length of the hidden states, and so of the vectors."""
        return int(self.config.get("text_config", {}).get("hidden_size", 0))

    @property
    def is_fp8(self) -> bool:
        return self.config.get("quantization_config", {}).get("quant_method") == "fp8"

    @property
    def is_mixture(self) -> bool:
        return self.config["model_type"] == "qwen3_vl_moe"

    @property
    def thinks(self) -> bool:
        return "thinking" in self.name.lower()

    @cached_property
    def tokens(self) -> QwenTokens:
        return QwenTokens(self.folder / "tokenizer.json")

    @cached_property
    def ends(self) -> set[int]:
        """The tokens that end an answer."""
        path = self.folder / "generation_config.json"
        told = read_json(path).get("eos_token_id") if path.is_file() else None
        ids = told if isinstance(told, list) else [told]
        return {int(i) for i in ids if isinstance(i, int)} | {self.tokens.id_of(TURN_END)}

    @cached_property
    def numbers(self) -> Numbers:
        total = linear = 0
        for _, name, shape in self.tensors():
            if not name.endswith("_scale_inv"):
                count = math.prod(shape)
                total += count
                linear += count if "_proj" in name and "visual" not in name else 0
        return Numbers(total, linear)
