"""The three pointwise operations that cost most beside the matrix products, in Triton, at the speed of memory.

Norm and rotation of queries and keys work in place in the projection's output, so that values are never copied. (What
torch.compile makes of them took three times as long on an H200: it indexes element by element.)
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

ROWS = 8  # heads a program


@triton.jit
def _norm_rotate(
    x, q_weight, k_weight, cos, sin, stride, eps,
    Q_HEADS: tl.constexpr, HEADS: tl.constexpr, DIM: tl.constexpr, BLOCK: tl.constexpr, ROWS: tl.constexpr,
    NORM: tl.constexpr,
):  # fmt: skip
    token, heads = tl.program_id(0), tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    half: tl.constexpr = DIM // 2
    places = tl.arange(0, BLOCK)
    inside = places < half
    there = (heads < HEADS)[:, None] & inside[None, :]
    at = x + token.to(tl.int64) * stride + heads[:, None] * DIM + places[None, :]
    kind = at.dtype.element_ty
    low, high = (
        tl.load(at, mask=there, other=0.0).to(tl.float32),
        tl.load(at + half, mask=there, other=0.0).to(tl.float32),
    )
    if NORM:
        scale = tl.rsqrt((tl.sum(low * low, 1) + tl.sum(high * high, 1)) / DIM + eps)[:, None]
        is_query = (heads < Q_HEADS)[:, None]
        low_weight = tl.where(
            is_query,
            tl.load(q_weight + places, mask=inside, other=0.0)[None, :],
            tl.load(k_weight + places, mask=inside, other=0.0)[None, :],
        ).to(tl.float32)
        high_weight = tl.where(
            is_query,
            tl.load(q_weight + half + places, mask=inside, other=0.0)[None, :],
            tl.load(k_weight + half + places, mask=inside, other=0.0)[None, :],
        ).to(tl.float32)
        # Rounded where transformers rounds: behind the norm and behind its weight.
        low = ((low * scale).to(kind).to(tl.float32) * low_weight).to(kind).to(tl.float32)
        high = ((high * scale).to(kind).to(tl.float32) * high_weight).to(kind).to(tl.float32)
    angle = token.to(tl.int64) * DIM + places  # cosines and sines are the same in both halves
    cosine = tl.load(cos + angle, mask=inside, other=0.0).to(tl.float32)[None, :]
    sine = tl.load(sin + angle, mask=inside, other=0.0).to(tl.float32)[None, :]
    tl.store(at, (low * cosine - high * sine).to(kind), mask=there)
    tl.store(at + half, (high * cosine + low * sine).to(kind), mask=there)


def rope_qkv(
    qkv: Tensor, q_weight: Tensor, k_weight: Tensor, cos: Tensor, sin: Tensor, heads: int, kv_heads: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """As ops.rope_qkv; q, k and v are views of qkv, which is overwritten."""
    parted = qkv.view(qkv.shape[0], heads + 2 * kv_heads, -1)
    dim = parted.shape[2]
    _norm_rotate[(len(qkv), triton.cdiv(heads + kv_heads, ROWS))](
        qkv, q_weight, k_weight, cos, sin, qkv.stride(0), eps,
        Q_HEADS=heads, HEADS=heads + kv_heads, DIM=dim, BLOCK=triton.next_power_of_2(dim // 2), ROWS=ROWS, NORM=True,
        num_warps=2,
    )  # fmt: skip
    return parted.split((heads, kv_heads, kv_heads), dim=1)


def vision_rope(qkv: Tensor, cos: Tensor, sin: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """As ops.vision_rope; q, k and v are views of qkv, which is overwritten."""
    parted = qkv.view(qkv.shape[0], 3 * heads, -1)
    dim = parted.shape[2]
    _norm_rotate[(len(qkv), triton.cdiv(2 * heads, ROWS))](
        qkv, qkv, qkv, cos, sin, qkv.stride(0), 0.0,
        Q_HEADS=heads, HEADS=2 * heads, DIM=dim, BLOCK=triton.next_power_of_2(dim // 2), ROWS=ROWS, NORM=False,
        num_warps=2,
    )  # fmt: skip
    return parted.split((heads, heads, heads), dim=1)


@triton.jit
def _swiglu(gate_up, out, width, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < width
    at = gate_up + row * 2 * width + column
    gate = tl.load(at, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(at + width, mask=inside, other=0.0).to(tl.float32)
    kind = out.dtype.element_ty
    active = (gate / (1.0 + tl.exp(-gate))).to(kind).to(tl.float32)
    tl.store(out + row * width + column, (active * up).to(kind), mask=inside)


def swiglu(gate_up: Tensor) -> Tensor:
    """As ops.swiglu."""
    rows, width = gate_up.shape[0], gate_up.shape[1] // 2
    out = torch.empty((rows, width), device=gate_up.device, dtype=gate_up.dtype)
    block = 2048
    _swiglu[(rows, triton.cdiv(width, block))](gate_up, out, width, BLOCK=block, num_warps=4)
    return out
