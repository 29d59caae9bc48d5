"""Tunes the text encoder into the picture space (needs torch; minutes on a GPU).

Two signals: real pairs (a contrastive loss inside each source, so that telling emoji from photographs earns nothing)
and words without pictures, whose target is the image tower's own reading of the rendered word.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Pairs:
    """One source: texts as token ids, the row of `vectors` (centred, unit) each belongs to, and its concept: texts
    of one concept are never each other's negatives."""

    ids: list[list[int]]
    picture: npt.NDArray[np.int64]
    vectors: npt.NDArray[np.float32]
    batch: int
    weight: float = 1.0
    concept: npt.NDArray[np.int64] | None = None
    words: bool = False  # no pictures: `vectors` are what the image tower makes of the rendered words


@dataclass
class Recipe:
    steps: int = 2500
    seconds: float = 0.0  # 0: no limit; else the schedule is fitted into this much time
    rate: float = 3e-4
    head_rate: float = 1e-3
    temperature: float = 0.05
    words_temperature: float = 0.07
    dropout: float = 0.1
    seed: int = 0


class Encoder(nn.Module):
    """BERT as in e5-small, mean pooled, and a linear head to 512."""

    def __init__(self, arrays: dict[str, npt.NDArray], layers: int = 12, heads: int = 12, dropout: float = 0.1) -> None:
        super().__init__()
        self.w = nn.ParameterDict()
        for name, array in arrays.items():
            self.w[name.replace(".", "_")] = nn.Parameter(torch.tensor(array.astype(np.float32)))
        hidden = arrays["emb.word"].shape[1]
        self.layers, self.heads, self.hidden, self.dropout = layers, heads, hidden, dropout
        self.head = nn.Linear(hidden, 512)

    def _ln(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return F.layer_norm(x, (self.hidden,), self.w[name + "_w"], self.w[name + "_b"], 1e-12)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        w, n, length = self.w, ids.shape[0], ids.shape[1]
        mask = ids != 1
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


def padded(rows: list[list[int]], longest: int = 40) -> torch.Tensor:
    length = min(longest, max(map(len, rows)))
    out = torch.ones(len(rows), length, dtype=torch.long)
    for i, row in enumerate(rows):
        out[i, : min(len(row), length)] = torch.tensor(row[:length])
    return out


def _info_nce(z: torch.Tensor, v: torch.Tensor, same: torch.Tensor, temperature: float) -> torch.Tensor:
    logits = z @ v.T / temperature
    target = same / same.sum(1, keepdim=True)
    back = same.T / same.T.sum(1, keepdim=True)
    return -(target * logits.log_softmax(1)).sum(1).mean() - (back * logits.T.log_softmax(1)).sum(1).mean()


def train(arrays: dict[str, npt.NDArray], sources: list[Pairs], recipe: Recipe, device: str = "cuda") -> Encoder:
    """The tuned encoder."""
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    model = Encoder(arrays, dropout=recipe.dropout).to(device)
    groups = [
        {"params": list(model.w.parameters()), "lr": recipe.rate, "weight_decay": 0.01},
        {"params": list(model.head.parameters()), "lr": recipe.head_rate, "weight_decay": 0.01},
    ]
    optimizer = torch.optim.AdamW(groups, fused=device == "cuda")
    held = [
        (
            source,
            padded(source.ids).to(device),
            torch.tensor(source.vectors, device=device),
            torch.tensor(source.picture, device=device),
            torch.tensor(source.picture if source.concept is None else source.concept, device=device),
        )
        for source in sources
    ]
    long = [held_one[1].shape[1] > 16 for held_one in held]
    model.train()
    started, step, done = time.monotonic(), 0, 0.0
    while done < 1:
        for group, peak in zip(optimizer.param_groups, (recipe.rate, recipe.head_rate), strict=True):
            group["lr"] = peak * min(done / 0.1, 0.5 + 0.5 * math.cos(math.pi * done)) + 1e-7
        picks = [torch.tensor(rng.integers(0, len(one[1]), one[0].batch), device=device) for one in held]
        embedded: dict[int, torch.Tensor] = {}
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            for want in (True, False):  # sentences and names apart: one forward each, little padding
                mine = [i for i in range(len(held)) if long[i] == want]
                if mine:
                    width = max(held[i][1].shape[1] for i in mine)
                    rows = torch.cat(
                        [F.pad(held[i][1][picks[i]], (0, width - held[i][1].shape[1]), value=1) for i in mine]
                    )
                    parts = model(rows[:, : 28 if want else width]).split([len(picks[i]) for i in mine])
                    embedded.update(zip(mine, parts, strict=True))
        loss = torch.zeros((), device=device)
        for i, (source, _, vectors, pictures, concepts) in enumerate(held):
            z, target = embedded[i], vectors[pictures[picks[i]]]
            if source.words:
                same = ((target @ target.T) > 0.95).float()
                part = _info_nce(z, target, same, recipe.words_temperature) + 4 * (1 - (z * target).sum(1)).mean()
            else:
                same = (concepts[picks[i]][:, None] == concepts[picks[i]][None]).float()
                part = _info_nce(z, target, same, recipe.temperature)
            loss = loss + source.weight * part
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        spent = (time.monotonic() - started) / recipe.seconds if recipe.seconds else 0.0
        done = max(step / recipe.steps, spent)
    model.steps_done = step
    return model.eval()


@torch.no_grad()
def embed(model: Encoder, ids: list[list[int]], device: str = "cuda") -> npt.NDArray[np.float32]:
    out = [model(padded(ids[i : i + 512], 64).to(device)).float().cpu().numpy() for i in range(0, len(ids), 512)]
    return np.concatenate(out)
