"""The teacher: what the image tower reads, mapped to pictures and steadied by WordNet, and a tuned language model.

Its vector of a text is unit(reading + 1.5 mpnet): reading is the drawn text's vector through one linear map fitted on
real pairs, a noun's with its neighbours' in WordNet and half of its drawn meaning; mpnet is all-mpnet-base-v2 tuned
towards real pictures and towards those readings, a noun read with its meaning. Needs torch and transformers.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.lite.training import mpnet
from models.lite.training.material import PROMPTS, Floats, Material, Pairs, unit
from models.lite.training.wordnet import Nouns, smoothed

MEANING, MPNET = 0.5, 1.5  # shares beside 1 of the reading; the second from a held-out fold, flat from 1 to 1.5
_LENGTHS = (5, 9, 13, 19, 27, 41, 61, 91)  # characters: drawn texts are centred among texts of their length
_MAP_STEPS, _MAP_RATE, _MAP_DECAY = 250, 2e-3, 0.1
_RATE, _HEAD_RATE = 4e-5, 1e-3


def teach(
    work: Path, material: Material, nouns: Nouns | None, steps: int, device: str, seed: int = 0, share: float = MPNET
) -> Floats:
    """(n English texts, 512) unit vectors. nouns: None leaves WordNet out; share 0 leaves the language model out."""
    import torch

    torch.manual_seed(seed)
    pairs = _pairs(material)
    drawn = np.load(work / "drawn.npy")
    words = material.english[: len(material.drawn)]
    read = _centred(drawn[material.drawn].astype(np.float32), words)
    weights = _mapping(read, pairs, device, seed)
    read = unit(read + read @ weights)
    if nouns is not None:
        read = smoothed(words, read, nouns)
        own = material.meaning >= 0
        meant = drawn[material.meaning[own]].astype(np.float32)
        meant = unit(meant - meant.mean(axis=0))
        read[own] = unit(read[own] + MEANING * unit(meant + meant @ weights))
    if not share:
        return np.concatenate([read, np.zeros((len(material.english) - len(read), read.shape[1]), np.float32)])
    spoken = _tuned(work, material, pairs, read, steps, device, seed)
    spoken[: len(read)] = unit(read + share * spoken[: len(read)])
    return spoken


def _centred(vectors: Floats, words: list[str]) -> Floats:
    length = np.digitize([len(word) for word in words], _LENGTHS)
    out = np.zeros_like(vectors)
    for one in np.unique(length):
        rows = length == one
        out[rows] = unit(vectors[rows] - vectors[rows].mean(axis=0))
    return out


def _pairs(material: Material) -> list[tuple[npt.NDArray[np.int64], Pairs, float, int]]:
    """(rows of English, pairs, weight, batch) of what has pictures: captions, names, the packages' pictures."""
    place = {text: row for row, text in enumerate(material.english[: len(material.drawn)])}
    out = []
    for pairs, weight, batch in (
        (material.captions, 1.0, 384),
        (material.names, 1.0, 256),
        (material.pictures, 0.3, 384),
    ):
        keep = [at for at, text in enumerate(pairs.texts) if text in place]
        if keep:
            rows = np.array([place[pairs.texts[at]] for at in keep], dtype=np.int64)
            some = Pairs([pairs.texts[at] for at in keep], pairs.picture[keep], pairs.vectors, pairs.concept[keep])
            out.append((rows, some, weight, batch))
    return out


def _mapping(read: Floats, pairs: list[Any], device: str, seed: int) -> Floats:
    """The residual (512, 512) map from readings to pictures."""
    import torch

    from models.lite.training.student import contrast

    rng = np.random.default_rng(seed)
    width = read.shape[1]
    weights = torch.zeros(width, width, device=device, requires_grad=True)
    optimizer = torch.optim.Adam([weights], _MAP_RATE)
    held = [
        (torch.tensor(read[rows], device=device), torch.tensor(some.vectors[some.picture], device=device),
         torch.tensor(some.concept, device=device), weight)
        for rows, some, weight, _ in pairs
    ]  # fmt: skip
    for _ in range(_MAP_STEPS if held else 0):
        loss = _MAP_DECAY * (weights**2).sum()
        for source, target, concept, weight in held:
            pick = torch.tensor(rng.integers(0, len(source), 256), device=device)
            z = torch.nn.functional.normalize(source[pick] + source[pick] @ weights, dim=-1)
            same = (concept[pick][:, None] == concept[pick][None]).float()
            loss = loss + weight * contrast(z, target[pick], same, 0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return weights.detach().cpu().numpy()


def _tuned(
    work: Path, material: Material, pairs: list[Any], read: Floats, steps: int, device: str, seed: int
) -> Floats:
    """The language model's vectors of all English texts, tuned for `steps`."""
    import torch
    from torch.nn import functional

    from models.lite.training.student import contrast

    rng = np.random.default_rng(seed)
    model = mpnet.model(work / "mpnet").to(device).train()
    head = torch.nn.Linear(model.config.hidden_size, read.shape[1]).to(device)
    tokens = torch.tensor(mpnet.tokens(work / "mpnet", material.read), device=device)
    prompted = [
        torch.tensor(
            mpnet.tokens(work / "mpnet", [prompt.format(name) for name in material.names.texts]), device=device
        )
        for prompt in PROMPTS[1:]
    ]
    readings = torch.tensor(read, device=device)
    groups = [{"params": model.parameters(), "peak": _RATE}, {"params": head.parameters(), "peak": _HEAD_RATE}]
    optimizer = torch.optim.AdamW(groups, lr=_RATE, weight_decay=0.01)

    def forward(ids: Any) -> Any:
        ids = ids[:, : int((ids != mpnet.PAD).sum(1).max())]
        mask = ids != mpnet.PAD
        with torch.autocast(device.split(":")[0], torch.bfloat16, enabled=device.startswith("cuda")):
            hidden = model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        hidden = hidden.float()
        return functional.normalize(head((hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)), dim=-1)

    held = []
    for rows, some, weight, batch in pairs:
        vectors = torch.tensor(some.vectors[some.picture], device=device)
        ways = [tokens[torch.tensor(rows, device=device)]]
        if len(prompted[0]) == len(rows) and some.texts == material.names.texts:
            ways += prompted
        held.append((ways, vectors, torch.tensor(some.concept, device=device), weight, min(batch, len(rows))))
    long = np.array([len(text) > 30 for text in material.read[: len(read)]])
    learnt = ~material.unseen
    kinds = (learnt & ~long & ~material.nouns, learnt & long & ~material.nouns, learnt & material.nouns)
    some_rows = [np.flatnonzero(kind) for kind in kinds]
    for step in range(steps):
        done = step / steps
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * min(done / 0.1 + 0.01, 0.5 + 0.5 * math.cos(math.pi * done))
        loss: Any = 0.0
        for ways, vectors, concept, weight, batch in held:
            pick = torch.tensor(rng.integers(0, len(vectors), batch), device=device)
            same = (concept[pick][:, None] == concept[pick][None]).float()
            loss = loss + weight * contrast(forward(ways[rng.integers(len(ways))][pick]), vectors[pick], same, 0.05)
        for rows in some_rows:
            if len(rows) < 8:
                continue
            pick = torch.tensor(rng.choice(rows, 384), device=device)
            z, target = forward(tokens[pick]), readings[pick]
            same = ((target @ target.T) > 0.95).float()
            loss = loss + 0.4 * contrast(z, target, same, 0.07) + 1.5 * (1 - (z * target).sum(1)).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.eval()
    out = np.zeros((len(material.english), read.shape[1]), np.float32)
    order = np.argsort([len(text) for text in material.read], kind="stable")
    with torch.no_grad():
        for at in range(0, len(order), 2048):
            rows = order[at : at + 2048]
            out[rows] = forward(tokens[torch.tensor(rows, device=device)]).cpu().numpy()
    return out
