"""Texts as pictures, through the image tower: a picture of the word "otter" lies near pictures of otters (measured in
docs/models/lite.md), so the tower teaches words for which no picture is at hand. Needs torch."""

from __future__ import annotations

import collections
import itertools
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.lite.training import material, render, tower

_AT_ONCE, _DRAWERS = 512, 14
MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def make(work: Path, tower_file: Path, fonts: str, device: str) -> None:
    """Write drawn.npy: (n texts, 512) float16, each the direction of the sum of its styles' vectors."""
    import torch

    texts = material.drawn_texts(work)
    count = torch.cuda.device_count() if device == "cuda" else 1
    devices = [f"cuda:{at}" if device == "cuda" else device for at in range(count)]
    shares = [texts[at::count] for at in range(count)]
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn")) as pool:
        parts = list(pool.map(_embedded, shares, [tower_file] * count, [fonts] * count, devices))
    out = np.empty((len(texts), parts[0].shape[1]), np.float16)
    for at, part in enumerate(parts):
        out[at::count] = part
    np.save(work / "drawn.npy", out)


def _embedded(texts: list[str], tower_file: Path, fonts: str, device: str) -> npt.NDArray[np.float16]:
    import torch

    forward = tower.load(tower_file)
    kind = torch.float16 if device.startswith("cuda") else torch.float32
    forward.to(device, kind)
    mean, deviation = (torch.tensor(three, device=device)[:, None, None] for three in (MEAN, DEVIATION))
    out = np.zeros((len(texts), 512), np.float32)
    with ProcessPoolExecutor(_DRAWERS, multiprocessing.get_context("forkserver")) as pool, torch.no_grad():
        for at, style, masks in _drawn(pool, texts, fonts):
            paper, ink = (torch.tensor(one, device=device)[:, None, None] / 255 for one in render.colours(style))
            mask = torch.from_numpy(masks).to(device)[:, None].float() / 255
            pixels = paper + (ink - paper) * mask
            vectors = forward(((pixels - mean) / deviation).to(kind)).float()
            vectors = torch.nn.functional.normalize(vectors, dim=-1)
            out[at : at + len(masks)] += vectors.cpu().numpy()
    return material.unit(out).astype(np.float16)


def _drawn(pool: ProcessPoolExecutor, texts: list[str], fonts: str) -> Iterator[tuple[int, int, npt.NDArray[np.uint8]]]:
    """(first row, style, pages) of some texts at a time, drawn a little ahead of their use."""
    jobs = iter([(at, style) for style in range(len(render.STYLES)) for at in range(0, len(texts), _AT_ONCE)])
    ahead: collections.deque[tuple[int, int, Future[npt.NDArray[np.uint8]]]] = collections.deque()
    while True:
        for at, style in itertools.islice(jobs, 3 * _DRAWERS - len(ahead)):
            ahead.append((at, style, pool.submit(_masks, texts[at : at + _AT_ONCE], style, fonts)))
        if not ahead:
            return
        at, style, pages = ahead.popleft()
        yield at, style, pages.result()


def _masks(texts: list[str], style: int, fonts: str) -> npt.NDArray[np.uint8]:
    return np.stack([render.mask(text, style, fonts) for text in texts])
