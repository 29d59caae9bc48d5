"""The same engine through transformers' own forward: for checkpoints that the packed engine does not take.

Several devices, quantised weights and mixtures of experts run here. It is also what the packed engine is held to.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.qwen3vl.pixels import Patches
from models.qwen3vl.prompting import Prompt

BATCH = 16
PAD = 0  # masked out, so its id does not matter


class PlainEngine:
    """Args: model: a loaded Qwen3-VL model for conditional generation, anywhere, in any number format."""

    def __init__(self, model: Any) -> None:
        self._model = model.eval()
        self.device = model.model.language_model.embed_tokens.weight.device
        self._lock = threading.Lock()

    @torch.inference_mode()
    def last_hidden(self, prompts: Sequence[Prompt]) -> npt.NDArray[np.float32]:
        """As PackedEngine.last_hidden."""
        with self._lock:
            parts = [self._model.model(**self.inputs(batch)).last_hidden_state[:, -1] for batch in _batches(prompts)]
            return torch.cat(parts).float().cpu().numpy()

    @torch.inference_mode()
    def last_logits(self, prompts: Sequence[Prompt], token_ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """As PackedEngine.last_logits."""
        with self._lock:
            wanted = list(token_ids)
            parts = [
                self._model(**self.inputs(batch), logits_to_keep=1).logits[:, -1, wanted] for batch in _batches(prompts)
            ]
            return torch.cat(parts).float().cpu().numpy()

    @torch.inference_mode()
    def generate(self, prompts: Sequence[Prompt], sampling: Any, ends: set[int], stop: Any = None) -> list[list[int]]:
        """As PackedEngine.generate; `stop` is looked at once the answer is there, since transformers batches alone."""
        answers: list[list[int]] = []
        with self._lock:
            for batch in _batches(prompts):
                torch.manual_seed(sampling.seed)
                inputs = self.inputs(batch)
                drawn = (
                    {"do_sample": True, "temperature": sampling.temperature, "top_k": sampling.top_k}
                    if sampling.temperature > 0
                    else {"do_sample": False}
                )
                out = self._model.generate(
                    **inputs, max_new_tokens=sampling.max_new_tokens, eos_token_id=sorted(ends) or None,
                    pad_token_id=PAD, **drawn,
                )  # fmt: skip
                for row in out[:, inputs["input_ids"].shape[1] :].tolist():
                    cut = next((i for i, token in enumerate(row) if token in ends), len(row))
                    answers.append(row[:cut])
        return answers

    def inputs(self, prompts: Sequence[Prompt]) -> dict[str, Tensor]:
        """What transformers takes: padded on the left, so that every prompt ends at the last column."""
        width = max(len(prompt) for prompt in prompts)
        ids = np.full((len(prompts), width), PAD, np.int64)
        mask = np.zeros((len(prompts), width), np.int64)
        kinds = np.zeros((len(prompts), width), np.int32)
        stills: list[Patches] = []
        clips: list[Patches] = []
        config = self._model.config
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt) :] = prompt.ids
            mask[row, width - len(prompt) :] = 1
            kinds[row, width - len(prompt) :] = np.where(
                prompt.ids == config.image_token_id, 1, np.where(prompt.ids == config.video_token_id, 2, 0)
            )
            at = 0
            seen = prompt.ids[prompt.visual]
            for block in prompt.blocks:
                (stills if seen[at] == config.image_token_id else clips).append(block)
                at += block.tokens
        tensors = {"input_ids": ids, "attention_mask": mask, "mm_token_type_ids": kinds}
        for blocks, pixels, grid in (
            (stills, "pixel_values", "image_grid_thw"),
            (clips, "pixel_values_videos", "video_grid_thw"),
        ):
            if blocks:
                data = np.concatenate([block.data for block in blocks]).astype(np.float32)
                tensors[pixels] = (data - np.float32(127.5)) / np.float32(127.5)
                tensors[grid] = np.array([[block.time, block.height, block.width] for block in blocks])
        return {name: torch.from_numpy(array).to(self.device) for name, array in tensors.items()}


def _batches(prompts: Sequence[Prompt]) -> Iterator[Sequence[Prompt]]:
    for start in range(0, len(prompts), BATCH):
        yield prompts[start : start + BATCH]
