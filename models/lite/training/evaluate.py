"""How often a held-out text finds its photograph: the fold's table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.lite.training import material, texts
from models.lite.training.material import Floats

RANKS = (1, 5, 10)
Embed = Callable[[Sequence[str]], Floats]


def asked(work: Path, number: int) -> dict[str, tuple[list[str], npt.NDArray[np.int64], Floats]]:
    """What is asked in a fold: kind -> (texts, the row of each one's photograph, the held-out photographs)."""
    flickr, imagenet = texts.alignment(work)
    sizes = len(imagenet["names"])
    _, _, captioned, named = material.fold(number, sizes, material.held_out(sizes))
    photos, named_photos = material.photographs(work, number)
    out = {}
    for kind, words, owner in (
        ("en", flickr["captions_en"], flickr["caption_image_en"]),
        ("zh", flickr["captions_zh"], flickr["caption_image_zh"]),
    ):
        place = {row: at for at, row in enumerate(captioned.tolist())}
        keep = np.flatnonzero(np.isin(owner, captioned))
        mine = [texts.cleaned(str(words[row])) for row in keep]
        out[kind] = (mine, np.array([place[int(owner[row])] for row in keep]), photos[captioned])
    names = [str(imagenet["names"][row]) for row in named]
    for kind, prompt in (("names", "{}"), ("names, a photo of", "a photo of a {}")):
        out[kind] = ([prompt.format(name) for name in names], np.arange(len(names)), named_photos[named])
    return out


def recall(vectors: Floats, truth: npt.NDArray[np.int64], photos: Floats) -> list[float]:
    """R@1, R@5, R@10: the share of texts whose photograph is among the nearest so many."""
    score = material.unit(vectors) @ photos.T
    rank = (~(score <= score[np.arange(len(score)), truth][:, None])).sum(axis=1)  # no number is no rank
    return [round(float((rank < most).mean()), 3) for most in RANKS]


def table(
    questions: Mapping[Any, tuple[list[str], npt.NDArray[np.int64], Floats]],
    embedders: Mapping[str, Embed],
) -> dict[str, dict[str, list[float]]]:
    """Embedder -> kind -> recalls."""
    return {
        name: {kind: recall(embed(some), truth, photos) for kind, (some, truth, photos) in questions.items()}
        for name, embed in embedders.items()
    }


def told(rows: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """The table as lines: R@1 / R@5 / R@10 of each kind."""
    return "\n".join(
        f"{name}: " + "; ".join(f"{kind} {' / '.join(f'{one:.3f}' for one in found)}" for kind, found in kinds.items())
        for name, kinds in rows.items()
    )
