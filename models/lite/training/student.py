"""The small encoder: multilingual-e5-small cut to two languages, taught the teacher's vectors. Needs torch."""

from __future__ import annotations

import math
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from models.lite.tokenizer import PAD
from models.lite.training.material import PROMPTS, Floats, Material, Pairs, unit
from models.lite.training.texts import encoded

RATE, HEAD_RATE, DECAY = 4e-4, 1e-3, 0.01
REAL = 0.15  # weight of real pairs: more of it fits the few photographs at the cost of all else
TEMPERATURE, TAUGHT_TEMPERATURE = 0.05, 0.07
_LONGEST, _SHORT = 28, 16  # tokens
_AVERAGED = 0.996  # of the weights, after two fifths of the steps


class Encoder(nn.Module):
    """BERT as in e5-small, mean pooled, and a linear head to 512."""

    def __init__(self, arrays: dict[str, npt.NDArray[np.float32]], width: int = 512) -> None:
        super().__init__()
        self.w = nn.ParameterDict()
        for name, array in arrays.items():
            self.w[name.replace(".", "_")] = nn.Parameter(torch.tensor(array.astype(np.float32)))
        self.hidden = self.w["emb_word"].shape[1]
        self.layers, self.heads, self.dropout = 12, 12, 0.1
        self.head = nn.Linear(self.hidden, width)

    def _ln(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return F.layer_norm(x, (self.hidden,), self.w[name + "_w"], self.w[name + "_b"], 1e-12)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """(n, length) ids padded with 1 -> (n, 512) unit."""
        w, (n, length) = self.w, ids.shape
        mask = ids != PAD
        x = w["emb_word"][ids] + w["emb_pos"][:length] + w["emb_type"][0]
        x = F.dropout(self._ln(x, "emb_ln"), self.dropout, self.training)
        for i in range(self.layers):
            p = f"l{i}_"
            q, k, v = (
                F.linear(x, w[p + c + "_w"], w[p + c + "_b"]).view(n, length, self.heads, -1).transpose(1, 2)
                for c in "qkv"
            )
            h = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :])
            h = F.linear(h.transpose(1, 2).reshape(n, length, -1), w[p + "ao_w"], w[p + "ao_b"])
            x = self._ln(x + F.dropout(h, self.dropout, self.training), p + "aln")
            h = F.gelu(F.linear(x, w[p + "fi_w"], w[p + "fi_b"]))
            h = F.linear(h, w[p + "fo_w"], w[p + "fo_b"])
            x = self._ln(x + F.dropout(h, self.dropout, self.training), p + "oln")
        pooled = (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return F.normalize(self.head(pooled.float()), dim=-1)


@dataclass(frozen=True, slots=True)
class _Source:
    """ids: (n, length); target: (n,) rows of vectors; concept: of real pairs, None where the teacher is followed."""

    ids: torch.Tensor
    target: torch.Tensor
    vectors: torch.Tensor
    concept: torch.Tensor | None
    batch: int
    weight: float


def contrast(z: torch.Tensor, target: torch.Tensor, same: torch.Tensor, temperature: float) -> torch.Tensor:
    """InfoNCE in both directions; same: (n, n) which of the targets count as a row's own."""
    logits = z @ target.T / temperature
    share, back = same / same.sum(1, keepdim=True), same.T / same.T.sum(1, keepdim=True)
    return -(share * logits.log_softmax(1)).sum(1).mean() - (back * logits.T.log_softmax(1)).sum(1).mean()


def train(
    arrays: dict[str, npt.NDArray[np.float32]],
    material: Material,
    taught: Floats,
    steps: int,
    device: str,
    seed: int = 0,
    scale: float = 1.0,
) -> Encoder:
    """The tuned encoder, its weights averaged over the last steps.

    Args:
        arrays: the weights to begin with.
        taught: (n English texts, 512) the teacher's vectors.
        scale: of the batches.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = Encoder(arrays, taught.shape[1]).to(device)
    sources = _sources(material, taught, device, scale)
    cuda = device.startswith("cuda")
    groups = [
        {"params": list(model.w.parameters()), "peak": RATE},
        {"params": list(model.head.parameters()), "peak": HEAD_RATE},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE, weight_decay=DECAY, fused=cuda)
    average = [weight.detach().clone() for weight in model.parameters()]
    net: Any = torch.compile(model, dynamic=False) if cuda else model
    by_length = [[s for s in sources if (s.ids.shape[1] <= _SHORT) == short] for short in (True, False)]
    model.train()
    started = time.monotonic()
    for step in range(steps):
        done = step / steps
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * min(done / 0.06 + 0.01, 0.5 + 0.5 * math.cos(math.pi * done)) + 1e-7
        loss = torch.zeros((), device=device)
        for some in by_length:
            if not some:
                continue
            picks = [torch.tensor(rng.integers(0, len(s.ids), s.batch), device=device) for s in some]
            width = max(s.ids.shape[1] for s in some)
            ids = torch.cat(
                [
                    F.pad(s.ids[pick], (0, width - s.ids.shape[1]), value=PAD)
                    for s, pick in zip(some, picks, strict=True)
                ]
            )
            with torch.autocast(device.split(":")[0], torch.bfloat16, enabled=cuda):
                parts = net(ids).split([s.batch for s in some])
            for s, pick, z in zip(some, picks, parts, strict=True):
                loss = loss + s.weight * _loss(s, pick, z)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        keep = _AVERAGED if done > 0.4 else 0.0
        torch._foreach_lerp_(average, [weight.detach() for weight in model.parameters()], 1 - keep)
        if step % 100 == 0:
            print(f"step {step}: loss {loss.item():.3f}, {time.monotonic() - started:.0f} s", flush=True)
    with torch.no_grad():
        for weight, mean in zip(model.parameters(), average, strict=True):
            weight.copy_(mean)
    return model.eval()


def _loss(source: _Source, pick: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    target = source.vectors[source.target[pick]]
    if source.concept is not None:
        same = (source.concept[pick][:, None] == source.concept[pick][None]).float()
        return contrast(z, target, same, TEMPERATURE)
    same = ((target @ target.T) > 0.95).float()
    return 0.5 * contrast(z, target, same, TAUGHT_TEMPERATURE) + 4 * (1 - (z * target).sum(1)).mean()


def _sources(material: Material, taught: Floats, device: str, scale: float) -> list[_Source]:
    vectors = torch.tensor(taught, device=device)
    out: list[_Source] = []

    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("forkserver")) as pool:

        def tokens(texts: Sequence[str], longest: int) -> torch.Tensor:
            parts = [texts[at : at + 5000] for at in range(0, len(texts), 5000)]
            return torch.tensor(
                np.concatenate(list(pool.map(partial(encoded, material.vocabulary, longest=longest), parts))),
                device=device,
            )

        def add(
            texts: Sequence[str],
            rows: Sequence[int] | npt.NDArray[np.intp],
            batch: int,
            weight: float,
            longest: int = _LONGEST,
        ) -> None:
            if len(texts):
                target = torch.tensor(np.asarray(rows, dtype=np.int64), device=device)
                size = max(4, int(batch * scale))
                out.append(_Source(tokens(texts, longest), target, vectors, None, size, weight))

        def real(pairs: Pairs, batch: int, weight: float, longest: int = _LONGEST) -> None:
            if pairs.texts:
                picture, concept = (torch.tensor(one, device=device) for one in (pairs.picture, pairs.concept))
                held = torch.tensor(pairs.vectors, device=device)
                size = max(4, int(batch * scale))
                out.append(_Source(tokens(pairs.texts, longest), picture, held, concept, size, weight))

        real(material.captions, 128, REAL)
        real(material.captions_zh, 96, REAL)
        told = [(zh, picture) for zh, _, picture in material.translated if picture >= 0]
        shown = np.array([picture for _, picture in told], dtype=np.int64)
        real(Pairs([zh for zh, _ in told], shown, material.captions.vectors, shown, chinese=True), 128, REAL)
        prompted = [prompt.format(name) for prompt in PROMPTS for name in material.names.texts]
        owner = np.tile(material.names.picture, len(PROMPTS))
        real(Pairs(prompted, owner, material.names.vectors, owner), 192, REAL, _SHORT)
        real(material.pictures, 128, 0.4, _SHORT)
        real(material.pictures_zh, 96, 0.4, _SHORT)
        english, learnt = (
            material.english,
            ~np.array([*material.unseen, *[False] * (len(taught) - len(material.unseen))]),
        )
        nouns = np.zeros(len(english), bool)
        nouns[: len(material.nouns)] = material.nouns
        long = np.array([len(text) > 40 for text in english])
        drawn = np.arange(len(english)) < len(material.drawn)
        for rows, batch, weight, longest in (
            (learnt & drawn & nouns, 640, 1.0, _SHORT),
            (learnt & drawn & ~nouns & ~long, 512, 1.0, _SHORT),
            (learnt & drawn & long, 384, 1.0, _LONGEST),
            (learnt & ~drawn, 768, 1.0, _LONGEST),
        ):
            at = np.flatnonzero(rows)
            add([english[row] for row in at], at, batch, weight, longest)
        at = np.flatnonzero(learnt & drawn & ~long)
        add([f"a photo of a {english[row]}" if row % 2 else f"a {english[row]}" for row in at], at, 192, 0.3, _SHORT)
        for pairs, batch, weight, longest in (
            (material.chinese, 768, 1.0, _LONGEST),
            ([(zh, row) for zh, row, _ in material.translated], 1024, 1.0, _LONGEST),
            (material.dictionary, 384, 0.6, _SHORT),
        ):
            add([zh for zh, _ in pairs], [row for _, row in pairs], batch, weight, longest)
        add([f"{zh}的照片" for zh, _ in material.dictionary], [row for _, row in material.dictionary], 128, 0.2, _SHORT)
        if material.captions_zh.texts:  # what a Chinese caption tells: what the photograph's English captions do
            place = {text: row for row, text in enumerate(english)}
            meant = np.zeros((len(material.captions.vectors), taught.shape[1]), np.float32)
            np.add.at(meant, material.captions.picture, taught[[place[text] for text in material.captions.texts]])
            ids, target = (
                tokens(material.captions_zh.texts, _LONGEST),
                torch.tensor(material.captions_zh.picture, device=device),
            )
            out.append(
                _Source(ids, target, torch.tensor(unit(meant), device=device), None, max(4, int(96 * scale)), 0.4)
            )
    return out
