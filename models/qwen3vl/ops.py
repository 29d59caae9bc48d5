"""The few operations of the packed engine: pointwise ones fused by torch.compile on a GPU, and attention.

Each follows transformers' arithmetic for Qwen3-VL (float32 inside norms, weights applied in the model's dtype), so the
two paths agree to the dtype's rounding; tests and the benchmark hold them to it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    wide = x.float()
    return weight * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)).to(x.dtype)


def add_rms_norm(residual: Tensor, update: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """The new residual stream and its norm, in one pass over memory."""
    total = residual + update
    return total, rms_norm(total, weight, eps)


def add_layer_norm(
    residual: Tensor, update: Tensor, weight: Tensor, bias: Tensor, eps: float = 1e-6
) -> tuple[Tensor, Tensor]:
    total = residual + update
    return total, F.layer_norm(total, total.shape[-1:], weight, bias, eps)


def swiglu(gate_up: Tensor) -> Tensor:
    gate, up = gate_up.chunk(2, dim=-1)
    return F.silu(gate) * up


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), dim=-1) * sin


def rope_qkv(
    qkv: Tensor, q_weight: Tensor, k_weight: Tensor, cos: Tensor, sin: Tensor, heads: int, kv_heads: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Splits (n, (heads + 2 kv_heads) * dim) into normed, rotated q and k and plain v, each (n, heads, dim)."""
    parted = qkv.view(qkv.shape[0], heads + 2 * kv_heads, -1)
    query, key, value = parted.split((heads, kv_heads, kv_heads), dim=1)
    cos, sin = cos[:, None], sin[:, None]
    return (
        _rotate(rms_norm(query, q_weight, eps), cos, sin),
        _rotate(rms_norm(key, k_weight, eps), cos, sin),
        value.contiguous(),
    )


def vision_rope(qkv: Tensor, cos: Tensor, sin: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """(n, 3 * width) -> q, k, v, each (n, heads, dim); the rotation is in float32 as published."""
    query, key, value = qkv.view(qkv.shape[0], 3, heads, -1).unbind(1)
    cos, sin = cos[:, None], sin[:, None]
    return (
        _rotate(query.float(), cos, sin).to(qkv.dtype),
        _rotate(key.float(), cos, sin).to(qkv.dtype),
        value.contiguous(),
    )


def normalise_pixels(patches: Tensor, dtype: torch.dtype) -> Tensor:
    """uint8 -> (x - 127.5) / 127.5, computed in float32."""
    return ((patches.float() - 127.5) / 127.5).to(dtype)


def linear_gelu(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """gelu(x @ weight.T + bias), tanh form; on a GPU in the matrix product's own epilogue."""
    if x.is_cuda:
        return torch._addmm_activation(bias, x, weight.t(), use_gelu=True)
    return F.gelu(F.linear(x, weight, bias), approximate="tanh")


class Fused:
    """The pointwise operations, compiled for the device where that works and plain otherwise.

    Compiling needs Triton and a C compiler; where either is missing the plain functions give the same numbers, slower.
    """

    def __init__(self, device: torch.device) -> None:
        wrap = _compiler(device.type)
        self.rms_norm = wrap(rms_norm)
        self.add_rms_norm = wrap(add_rms_norm)
        self.add_layer_norm = wrap(add_layer_norm)
        self.normalise_pixels = wrap(normalise_pixels)
        self.swiglu, self.rope_qkv, self.vision_rope = _kernels(device.type)


@functools.cache
def _compiler(device_type: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    if device_type != "cuda":
        return lambda function: function
    try:
        probe = torch.compile(normalise_pixels, dynamic=True)
        probe(torch.ones(2, 4, device=device_type), torch.bfloat16)
    except Exception:  # torch raises many kinds here: no Triton, no C compiler, an unknown chip
        return lambda function: function
    return lambda function: torch.compile(function, dynamic=True)


@functools.cache
def _kernels(device_type: str) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    if device_type == "cuda":
        try:
            from models.qwen3vl import pointwise_kernels as kernels
        except ImportError:  # no Triton on this platform
            pass
        else:
            return kernels.swiglu, kernels.rope_qkv, kernels.vision_rope
    return swiglu, rope_qkv, vision_rope


class Spans:
    """Where the sequences of a packed batch lie.

    Args:
        lengths: tokens of each sequence.
    """

    def __init__(self, lengths: list[int], device: torch.device) -> None:
        self.lengths = lengths
        self.longest = max(lengths)
        ends = torch.tensor([0, *lengths], dtype=torch.int32).cumsum(0, dtype=torch.int32)
        self.offsets = ends.to(device, non_blocking=True)
        self.last = (ends[1:] - 1).long().to(device, non_blocking=True)
        self.ones = torch.arange(len(lengths) + 1, dtype=torch.int32, device=device)


def causal_attention(query: Tensor, key: Tensor, value: Tensor, spans: Spans) -> Tensor:
    """(n, heads, dim) packed sequences -> (n, heads * dim), each token seeing its own sequence up to itself."""
    if query.is_cuda and query.dtype in (torch.bfloat16, torch.float16):
        if len(set(spans.lengths)) == 1:
            return _dense(query, key, value, len(spans.lengths), causal=True)
        return _varlen(query, key, value, spans.offsets, spans.offsets, spans.longest, spans.longest, causal=True)
    return _looped(query, key, value, spans.lengths, spans.lengths, causal=True)


def last_token_attention(query: Tensor, key: Tensor, value: Tensor, spans: Spans) -> Tensor:
    """(sequences, heads, dim) queries of each sequence's last token -> (sequences, heads * dim)."""
    if query.is_cuda and query.dtype in (torch.bfloat16, torch.float16):
        return _varlen(query, key, value, spans.ones, spans.offsets, 1, spans.longest, causal=False)
    return _looped(query, key, value, [1] * len(spans.lengths), spans.lengths, causal=False)


def frame_attention(query: Tensor, key: Tensor, value: Tensor, groups: list[tuple[int, int]]) -> Tensor:
    """Attention inside each frame of the vision tower.

    Args:
        query, key, value: (n, heads, dim), frames of one size standing together.
        groups: (frames, patches of each) in that order: one call a size instead of one a frame.

    Returns:
        (n, heads * dim).
    """
    outputs, start = [], 0
    for frames, patches in groups:
        stop = start + frames * patches
        outputs.append(_dense(query[start:stop], key[start:stop], value[start:stop], frames, causal=False))
        start = stop
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


def _dense(query: Tensor, key: Tensor, value: Tensor, sequences: int, causal: bool) -> Tensor:
    heads, kv_heads = query.shape[1], key.shape[1]
    q, k, v = (x.view(sequences, -1, x.shape[1], x.shape[2]).transpose(1, 2) for x in (query, key, value))
    out = F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=heads != kv_heads)
    return out.transpose(1, 2).reshape(query.shape[0], -1)


def _varlen(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    q_offsets: Tensor,
    k_offsets: Tensor,
    q_max: int,
    k_max: int,
    causal: bool,
) -> Tensor:
    # The operator behind torch.nn.attention.varlen: it shares key heads among query heads by itself.
    out = torch.ops.aten._flash_attention_forward(
        query, key, value, q_offsets, k_offsets, q_max, k_max, 0.0, causal, False
    )[0]
    return out.reshape(query.shape[0], -1)


def _looped(
    query: Tensor, key: Tensor, value: Tensor, q_lengths: list[int], k_lengths: list[int], causal: bool
) -> Tensor:
    parts = zip(query.split(q_lengths), key.split(k_lengths), value.split(k_lengths), strict=True)
    return torch.cat([_dense(q, k, v, 1, causal) for q, k, v in parts])


def cached_attention(query: Tensor, keys: Tensor, values: Tensor, lengths: Tensor) -> Tensor:
    """One new token a slot against the cache.

    Args:
        query: (slots, heads, dim).
        keys, values: (slots, capacity, kv_heads, dim).
        lengths: (slots,) int32 tokens that count in each slot, the new one included.

    Returns:
        (slots, heads * dim).
    """
    if query.is_cuda:
        try:
            from models.qwen3vl.decode_kernel import decode_attention
        except ImportError:  # no Triton on this platform
            pass
        else:
            return decode_attention(query, keys, values, lengths)
    slots, heads, dim = query.shape
    kv_heads = keys.shape[2]
    # Query heads that share a key head stand as rows, so the mask is one a slot and nothing is repeated.
    grouped = query.view(slots, kv_heads, heads // kv_heads, dim)
    seen = torch.arange(keys.shape[1], device=query.device)[None, :] < lengths[:, None]
    out = F.scaled_dot_product_attention(
        grouped, keys.transpose(1, 2), values.transpose(1, 2), attn_mask=seen[:, None, None, :]
    )
    return out.reshape(slots, -1)
