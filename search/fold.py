"""Results that say the same thing twice: copies folded into the best of them, groups shown by their best."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T")

SAME = 0.97  # cosine from which frames of two media are taken for one picture, re-encoded or scaled


@dataclass(slots=True)
class Kept(Generic[T]):
    """A result and those folded into it."""

    item: T
    same: list[T] = field(default_factory=list)


def copies(
    found: Iterable[T], most: int, *, vector: Callable[[T], npt.NDArray[np.float32]], medium: Callable[[T], str]
) -> list[Kept[T]]:
    """Up to `most` results, best first; one that shows what a better one of another medium shows is folded into it.

    Args:
        vector: (dim,) of the frame it peaks at, unit norm.
    """
    kept: list[Kept[T]] = []
    vectors: list[npt.NDArray[np.float32]] = []
    for one in found:
        mine = vector(one)
        alike = np.stack(vectors) @ mine if vectors else np.zeros(0, np.float32)
        place = next(
            (int(i) for i in np.flatnonzero(alike >= SAME) if medium(kept[i].item) != medium(one)),
            None,
        )
        if place is not None:
            if all(medium(other) != medium(one) for other in kept[place].same):
                kept[place].same.append(one)
        elif len(kept) < most:
            kept.append(Kept(one))
            vectors.append(mine)
        else:
            break
    return kept


def best_of_groups(found: Sequence[T], group: Callable[[T], object | None]) -> list[T]:
    """The first of every group, in order; what has no group (None) stays."""
    seen: set[object] = set()
    out = []
    for one in found:
        name = group(one)
        if name is None:
            out.append(one)
        elif name not in seen:
            seen.add(name)
            out.append(one)
    return out
