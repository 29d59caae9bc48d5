"""The language model over packed sequences (no padding), and one step of decoding over a cache of slots.

It runs on the weights of a loaded `Qwen3VLTextModel`. Query, key and value projections are laid side by side, and gate
and up likewise: transformers' modules keep views of the same memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from models.qwen3vl import ops


@dataclass(slots=True)
class Layer:
    input_norm: Tensor
    qkv: Tensor
    q_norm: Tensor
    k_norm: Tensor
    out: Tensor
    post_norm: Tensor
    gate_up: Tensor
    down: Tensor


@dataclass(slots=True)
class Cache:
    """Keys and values of all slots: (layers, slots, capacity, kv_heads, dim) each."""

    keys: Tensor
    values: Tensor

    @property
    def capacity(self) -> int:
        return self.keys.shape[2]


class Decoder:
    """Args: language: `model.language_model` of a loaded checkpoint, unquantised, on one device; lm_head: its head."""

    def __init__(self, language: Any, lm_head: Any, fused: ops.Fused) -> None:
        config = language.config
        self._language, self._fused = language, fused
        self.heads, self.kv_heads, self.head_dim = (
            config.num_attention_heads,
            config.num_key_value_heads,
            config.head_dim,
        )
        self.eps = config.rms_norm_eps
        self.embedding = language.embed_tokens.weight
        self.head = lm_head.weight
        self.device, self.dtype = self.embedding.device, self.embedding.dtype
        rotary = language.rotary_emb
        self._inverse = rotary.inv_freq.float()
        self._axis = _rotary_axes(len(self._inverse), list(rotary.mrope_section)).to(self.device)
        self.layers = [_layer(layer) for layer in language.layers]
        self._final_norm = language.norm.weight

    def rotation(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """(3, n) positions -> cosine and sine, (n, dim) in the model's dtype."""
        angle = positions[self._axis].float().t() * self._inverse
        angle = torch.cat([angle, angle], dim=1)
        return angle.cos().to(self.dtype), angle.sin().to(self.dtype)

    def prefill(
        self,
        hidden: Tensor,
        positions: Tensor,
        spans: ops.Spans,
        visual_rows: Tensor | None = None,
        levels: Tensor | None = None,
        cache: Cache | None = None,
        cache_rows: Tensor | None = None,
    ) -> Tensor:
        """Runs packed sequences through all layers.

        Args:
            hidden: (n, width) input embeddings, vision features in place.
            positions: (3, n) rotary positions.
            spans: where the sequences lie.
            visual_rows: (v,) rows of vision tokens; levels: (v, levels, width) what DeepStack adds to them.
            cache, cache_rows: where keys and values are kept: row slot * capacity + place of each token.

        Returns:
            (sequences, width): the last token of each, behind the final norm.
        """
        fused, eps = self._fused, self.eps
        cos, sin = self.rotation(positions)
        normed = fused.rms_norm(hidden, self.layers[0].input_norm, eps)
        for index, layer in enumerate(self.layers):
            query, key, value = fused.rope_qkv(
                F.linear(normed, layer.qkv), layer.q_norm, layer.k_norm, cos, sin, self.heads, self.kv_heads, eps
            )
            if cache is not None and cache_rows is not None:
                cache.keys[index].flatten(0, 1).index_copy_(0, cache_rows, key)
                cache.values[index].flatten(0, 1).index_copy_(0, cache_rows, value)
            if index + 1 < len(self.layers):
                seen = ops.causal_attention(query, key, value, spans)
            else:  # only the last tokens are asked for: their queries alone go on
                hidden, query = hidden[spans.last], query[spans.last]
                seen = ops.last_token_attention(query, key, value, spans)
            hidden, normed = fused.add_rms_norm(hidden, F.linear(seen, layer.out), layer.post_norm, eps)
            update = F.linear(fused.swiglu(F.linear(normed, layer.gate_up)), layer.down)
            if levels is not None and visual_rows is not None and index < levels.shape[1]:
                update.index_add_(0, visual_rows, levels[:, index])
            hidden, normed = fused.add_rms_norm(hidden, update, self._norm_after(index), eps)
        return normed

    def step(self, tokens: Tensor, positions: Tensor, lengths: Tensor, cache: Cache) -> Tensor:
        """One token a slot.

        Args:
            tokens: (slots,) ids; positions: (slots,) rotary positions; lengths: (slots,) int32 tokens already cached.

        Returns:
            (slots, vocabulary) logits.
        """
        fused, eps = self._fused, self.eps
        cos, sin = self.rotation(positions.expand(3, -1))
        rows = torch.arange(len(tokens), device=tokens.device) * cache.capacity + lengths
        seen_lengths = lengths + 1
        hidden = self.embedding[tokens]
        normed = fused.rms_norm(hidden, self.layers[0].input_norm, eps)
        for index, layer in enumerate(self.layers):
            query, key, value = fused.rope_qkv(
                F.linear(normed, layer.qkv), layer.q_norm, layer.k_norm, cos, sin, self.heads, self.kv_heads, eps
            )
            keys, values = cache.keys[index], cache.values[index]
            keys.flatten(0, 1).index_copy_(0, rows, key)
            values.flatten(0, 1).index_copy_(0, rows, value)
            seen = ops.cached_attention(query, keys, values, seen_lengths)
            hidden, normed = fused.add_rms_norm(hidden, F.linear(seen, layer.out), layer.post_norm, eps)
            update = F.linear(fused.swiglu(F.linear(normed, layer.gate_up)), layer.down)
            hidden, normed = fused.add_rms_norm(hidden, update, self._norm_after(index), eps)
        return self.logits(normed)

    def logits(self, normed: Tensor) -> Tensor:
        return F.linear(normed, self.head)

    def new_cache(self, slots: int, capacity: int) -> Cache:
        shape = (len(self.layers), slots, capacity, self.kv_heads, self.head_dim)
        keys, values = (torch.zeros(shape, device=self.device, dtype=self.dtype) for _ in range(2))
        return Cache(keys, values)

    def cache_bytes_per_token(self) -> int:
        return 2 * len(self.layers) * self.kv_heads * self.head_dim * self.dtype.itemsize

    def _norm_after(self, index: int) -> Tensor:
        return self.layers[index + 1].input_norm if index + 1 < len(self.layers) else self._final_norm


def _layer(layer: Any) -> Layer:
    attention, mlp = layer.self_attn, layer.mlp
    return Layer(
        input_norm=layer.input_layernorm.weight,
        qkv=_side_by_side([attention.q_proj, attention.k_proj, attention.v_proj]),
        q_norm=attention.q_norm.weight,
        k_norm=attention.k_norm.weight,
        out=attention.o_proj.weight,
        post_norm=layer.post_attention_layernorm.weight,
        gate_up=_side_by_side([mlp.gate_proj, mlp.up_proj]),
        down=mlp.down_proj.weight,
    )


def _side_by_side(linears: list[Any]) -> Tensor:
    joined = torch.cat([linear.weight.detach() for linear in linears])
    start = 0
    for linear in linears:
        rows = linear.weight.shape[0]
        linear.weight.data = joined[start : start + rows]
        start += rows
    return joined


def _rotary_axes(frequencies: int, sections: list[int]) -> Tensor:
    """Which of time, height, width turns each frequency: interleaved, t h w t h w ... and time for the rest."""
    axes = torch.zeros(frequencies, dtype=torch.long)
    for axis in (1, 2):
        axes[axis : sections[axis] * 3 : 3] = axis
    return axes
