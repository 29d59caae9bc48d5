"""Two backends of one model on the same inputs: do their vectors and scores agree, so that one can stand in for the
other?

A library that was made on a GPU can be searched through a server only when both make the same vectors; a server with
another chat template, instruction or picture size is found out here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files

import numpy as np
import numpy.typing as npt

from data.types import Pixels, Vectors
from models.base import Clip, ModelSet, Reranker

# Number formats and JPEG cost up to 0.01 of a cosine; another template or instruction costs 0.05 and more.
LEAST_COSINE = 0.98
MOST_DIFFERENCE = 0.1  # between two probabilities
PICTURES = tuple(f"IMG_{number:04d}.jpg" for number in (1, 3, 5, 7, 9, 11, 13, 15, 17, 20, 22, 24))
TEXTS = (
    "a cat on a sofa", "a red car in a street", "people eating at a table", "a snowy mountain at sunset",
    "一只狗在草地上", "a handwritten note", "what is the man holding?", "夜晚的城市",
)  # fmt: skip
_JUDGED_TEXTS, _JUDGED_PICTURES = 3, 6


@dataclass(frozen=True, slots=True)
class Agreement:
    """One part compared.

    Attributes:
        measure: "cosine" (1 is equal) or "difference" of probabilities (0 is equal).
        count: pairs compared; 0: they could not be, and `note` says why.
        good: within bounds; None: nothing to compare, as a side does not have the part.
    """

    part: str
    measure: str
    count: int
    mean: float
    worst: float
    good: bool | None
    note: str = ""


def compare(one: ModelSet, other: ModelSet) -> list[Agreement]:
    """Vectors of pictures and words, their similarities, and re-ranking, on packaged photographs.

    Raises:
        ModelError: one of them cannot be had.
    """
    pictures = _pictures()
    out = [
        _vectors("pictures", one.joint.embed_images(pictures), other.joint.embed_images(pictures)),
        _vectors("words", one.joint.embed_texts(TEXTS), other.joint.embed_texts(TEXTS)),
    ]
    if one.reranker is None or other.reranker is None:
        lacks = one.profile if one.reranker is None else other.profile
        out.append(Agreement("re-ranking", "difference", 0, 0.0, 0.0, None, f"{lacks} has none"))
    else:
        clips = [Clip((picture,), kind="image") for picture in pictures[:_JUDGED_PICTURES]]
        apart = np.abs(_judged(one.reranker, clips) - _judged(other.reranker, clips))
        worst = float(apart.max())
        out.append(
            Agreement("re-ranking", "difference", apart.size, float(apart.mean()), worst, worst <= MOST_DIFFERENCE)
        )
    return out


def _vectors(part: str, one: Vectors, other: Vectors) -> Agreement:
    if one.shape != other.shape:
        note = f"vectors of {one.shape[1]} and of {other.shape[1]} numbers"
        return Agreement(part, "cosine", 0, 0.0, 0.0, False, note)
    cosines = (one * other).sum(axis=1)
    worst = float(cosines.min())
    return Agreement(part, "cosine", len(cosines), float(cosines.mean()), worst, worst >= LEAST_COSINE)


def _judged(reranker: Reranker, clips: Sequence[Clip]) -> npt.NDArray[np.float64]:
    rows = [[score.score for score in reranker.rerank(text, clips)] for text in TEXTS[:_JUDGED_TEXTS]]
    return np.asarray(rows, np.float64)


def _pictures() -> list[Pixels]:
    from data.media import picture

    with as_file(files("data") / "samples" / "photos") as folder:
        return [picture(folder / name) for name in PICTURES]
