"""Attention of one new token over the cache, in Triton: reads each key that counts once, for all heads that share it.

Split over the keys (Flash-Decoding, Dao et al. 2023) when there are too few slots to fill the chip.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 64
MIN_ROWS = 16  # the smallest matrix product the tensor cores take
PROGRAMS = 512  # enough to fill any chip of today a few times over


@triton.jit
def _attend(
    query, keys, values, lengths, partial, maxima, sums,
    capacity, query_stride, scale,
    KV_HEADS: tl.constexpr, GROUP: tl.constexpr, ROWS: tl.constexpr, DIM: tl.constexpr,
    SPLITS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    slot, head, split = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    length = tl.load(lengths + slot)
    share = tl.cdiv(tl.cdiv(length, SPLITS), BLOCK) * BLOCK
    start = split * share
    stop = tl.minimum(start + share, length)
    rows, dims, steps = tl.arange(0, ROWS), tl.arange(0, DIM), tl.arange(0, BLOCK)
    at_query = slot.to(tl.int64) * query_stride + head * GROUP * DIM + rows[:, None] * DIM + dims[None, :]
    q = tl.load(query + at_query, mask=rows[:, None] < GROUP, other=0.0)
    base = slot.to(tl.int64) * capacity * KV_HEADS * DIM + head * DIM
    top = tl.full((ROWS,), float("-inf"), tl.float32)
    total = tl.zeros((ROWS,), tl.float32)
    acc = tl.zeros((ROWS, DIM), tl.float32)
    for first in range(start, stop, BLOCK):
        places = first + steps
        there = places < stop
        at = base + places[:, None].to(tl.int64) * KV_HEADS * DIM + dims[None, :]
        k = tl.load(keys + at, mask=there[:, None], other=0.0)
        v = tl.load(values + at, mask=there[:, None], other=0.0)
        scores = tl.where(there[None, :], tl.dot(q, tl.trans(k)) * scale, float("-inf"))
        new_top = tl.maximum(top, tl.max(scores, 1))
        weights = tl.exp2(scores - new_top[:, None])
        decay = tl.exp2(top - new_top)
        total = total * decay + tl.sum(weights, 1)
        acc = acc * decay[:, None] + tl.dot(weights.to(v.dtype), v)
        top = new_top
    row = ((slot * KV_HEADS + head) * SPLITS + split).to(tl.int64) * GROUP + rows
    kept = rows < GROUP
    if SPLITS == 1:
        acc = acc / total[:, None]
        tl.store(partial + row[:, None] * DIM + dims[None, :], acc.to(partial.dtype.element_ty), mask=kept[:, None])
    else:
        tl.store(partial + row[:, None] * DIM + dims[None, :], acc, mask=kept[:, None])
        tl.store(maxima + row, top, mask=kept)
        tl.store(sums + row, total, mask=kept)


def decode_attention(query: Tensor, keys: Tensor, values: Tensor, lengths: Tensor) -> Tensor:
    """As ops.cached_attention, on a GPU. A token's heads stand together; keys and values are contiguous."""
    slots, heads, dim = query.shape
    capacity, kv_heads = keys.shape[1], keys.shape[2]
    group = heads // kv_heads
    splits = max(1, min(16, PROGRAMS // (slots * kv_heads), capacity // (2 * BLOCK)))
    shape = (slots, kv_heads, splits, group)
    out = torch.empty((*shape, dim), device=query.device, dtype=query.dtype if splits == 1 else torch.float32)
    maxima = torch.empty(shape if splits > 1 else (1,), device=query.device, dtype=torch.float32)
    sums = torch.empty_like(maxima)
    _attend[(slots, kv_heads, splits)](
        query, keys, values, lengths, out, maxima, sums,
        capacity, query.stride(0), dim**-0.5 * 1.4426950408889634,  # log2(e): the kernel works in powers of two
        KV_HEADS=kv_heads, GROUP=group, ROWS=max(MIN_ROWS, triton.next_power_of_2(group)), DIM=dim,
        SPLITS=splits, BLOCK=BLOCK, num_warps=4, num_stages=3,
    )  # fmt: skip
    if splits > 1:
        # A split with nothing to see has a maximum of -inf and so a weight of zero; split 0 always sees something.
        weight = torch.exp2(maxima - maxima.amax(2, keepdim=True))
        out = (out * weight[..., None]).sum(2) / (sums * weight).sum(2)[..., None]
    return out.to(query.dtype).reshape(slots, heads * dim)
