"""The vision tower over packed patches: one matrix product for all frames, attention in one call a frame size.

It runs on the weights of a loaded `Qwen3VLVisionModel`; transformers' own forward calls attention frame by frame.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.qwen3vl import ops
from models.qwen3vl.pixels import CUT_ORDER, MERGE, PATCH_DIM, TEMPORAL, Patches, cut


class VisionTower:
    """Patches in, one (tokens, 1 + levels, width) tensor a block out: the tower's output, then its DeepStack levels.

    Args:
        visual: the `model.visual` of a loaded checkpoint, on one device, unquantised.
        fused: the pointwise operations for that device.
    """

    def __init__(self, visual: Any, fused: ops.Fused) -> None:
        self._visual, self._fused = visual, fused
        self._heads = visual.config.num_heads
        self._levels = list(visual.config.deepstack_visual_indexes)
        weight = visual.patch_embed.proj.weight
        self.device, self._dtype = weight.device, weight.dtype
        # The kernel covers a whole patch, so the convolution is a matrix product.
        self._patch_weight = weight.view(weight.shape[0], PATCH_DIM)
        self._tables: dict[tuple[int, int], tuple[Tensor, Tensor, Tensor]] = {}

    @torch.inference_mode()
    def __call__(self, blocks: Sequence[Patches]) -> list[Tensor]:
        # Blocks of one frame size stand together, so that attention is one call for all of them.
        order = sorted(range(len(blocks)), key=lambda i: (blocks[i].height, blocks[i].width))
        patches = self._upload([blocks[i] for i in order])
        tables = [self._table(blocks[i].height, blocks[i].width) for i in order]
        times = [blocks[i].time for i in order]
        position, cos, sin = (
            torch.cat([table[part].repeat(time, 1) for table, time in zip(tables, times, strict=True)])
            for part in range(3)
        )
        groups: list[tuple[int, int]] = []
        for i in order:
            size = blocks[i].height * blocks[i].width
            if groups and groups[-1][1] == size:
                groups[-1] = (groups[-1][0] + blocks[i].time, size)
            else:
                groups.append((blocks[i].time, size))
        hidden = F.linear(
            self._fused.normalise_pixels(patches, self._dtype), self._patch_weight, self._visual.patch_embed.proj.bias
        )
        merged = self._blocks(hidden + position, cos, sin, groups)
        counts = [blocks[i].tokens for i in order]
        features: list[Tensor] = [merged] * len(blocks)
        for i, part in zip(order, merged.split(counts), strict=True):
            features[i] = part
        return features

    def _blocks(self, hidden: Tensor, cos: Tensor, sin: Tensor, groups: list[tuple[int, int]]) -> Tensor:
        layers, fused = self._visual.blocks, self._fused
        levels: list[Tensor] = []
        normed = F.layer_norm(hidden, hidden.shape[-1:], layers[0].norm1.weight, layers[0].norm1.bias, 1e-6)
        for index, layer in enumerate(layers):
            attention, mlp = layer.attn, layer.mlp
            qkv = F.linear(normed, attention.qkv.weight, attention.qkv.bias)
            query, key, value = fused.vision_rope(qkv, cos, sin, self._heads)
            seen = ops.frame_attention(query, key, value, groups)
            update = F.linear(seen, attention.proj.weight, attention.proj.bias)
            hidden, normed = fused.add_layer_norm(hidden, update, layer.norm2.weight, layer.norm2.bias)
            wide = ops.linear_gelu(normed, mlp.linear_fc1.weight, mlp.linear_fc1.bias)
            update = F.linear(wide, mlp.linear_fc2.weight, mlp.linear_fc2.bias)
            if index + 1 < len(layers):
                norm = layers[index + 1].norm1
                hidden, normed = fused.add_layer_norm(hidden, update, norm.weight, norm.bias)
            else:
                hidden = hidden + update
            if index in self._levels:
                levels.append(self._visual.deepstack_merger_list[self._levels.index(index)](hidden))
        return torch.stack([self._visual.merger(hidden), *levels], dim=1)

    def _upload(self, blocks: list[Patches]) -> Tensor:
        """(patches, 1536) uint8 on the device: whole frames go there, and are cut there."""
        shapes = [(TEMPORAL * block.time, *block.frames.shape[1:]) for block in blocks]
        staging = torch.empty(sum(map(math.prod, shapes)), dtype=torch.uint8, pin_memory=self.device.type == "cuda")
        there, at = staging.numpy(), 0
        for block, shape in zip(blocks, shapes, strict=True):
            np.copyto(there[at : at + math.prod(shape)].reshape(shape), block.frames)
            at += math.prod(shape)
        here, patches, at = staging.to(self.device, non_blocking=True), [], 0
        for size, same in itertools.groupby(shapes, key=lambda shape: shape[1:]):
            shape = (sum(one[0] for one in same), *size)
            frames = here[at : at + math.prod(shape)].view(cut(shape))
            patches.append(frames.permute(CUT_ORDER).reshape(-1, PATCH_DIM))
            at += math.prod(shape)
        return patches[0] if len(patches) == 1 else torch.cat(patches)

    def _table(self, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
        """Learned position, and cosine and sine of the axial rotation, for one frame of this grid in merge order."""
        if (height, width) not in self._tables:
            rows, columns = _merge_order(height, width)
            position = self._learned(rows, columns, height, width)
            inverse = self._visual.rotary_pos_emb.inv_freq.float()
            angle = torch.cat(
                [torch.from_numpy(axis).to(self.device).float()[:, None] * inverse for axis in (rows, columns)], dim=1
            )
            angle = torch.cat([angle, angle], dim=1)
            self._tables[height, width] = position, angle.cos(), angle.sin()
        return self._tables[height, width]

    def _learned(self, rows: np.ndarray, columns: np.ndarray, height: int, width: int) -> Tensor:
        """The square grid of learned positions, resampled bilinearly with aligned corners, as published."""
        side = int(self._visual.config.num_position_embeddings**0.5)
        taps = []
        for place, size in ((rows, height), (columns, width)):
            source = place.astype(np.float32) * np.float32(side - 1) / np.float32(max(size - 1, 1))
            low = np.floor(source).astype(np.int64)
            high = np.minimum(low + 1, side - 1)
            taps.append(((low, 1 - (source - low)), (high, source - low)))
        total: Tensor | None = None
        for row, row_weight in taps[0]:
            for column, column_weight in taps[1]:
                index = torch.from_numpy(row * side + column).to(self.device)
                weight = torch.from_numpy((row_weight * column_weight).astype(np.float32)).to(self.device)
                term = self._visual.pos_embed.weight[index] * weight[:, None]
                total = term if total is None else total + term
        assert total is not None
        return total.to(self._dtype)


def _merge_order(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of each patch in the order of `pixels._patchify`."""
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    shape = (height // MERGE, MERGE, width // MERGE, MERGE)
    return tuple(np.ascontiguousarray(a.reshape(shape).transpose(0, 2, 1, 3)).reshape(-1) for a in (rows, columns))  # type: ignore[return-value]
