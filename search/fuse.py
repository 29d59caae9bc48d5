"""One relevance curve out of many similarity curves. Pure.

Cosines of different parts are not on one scale: a picture's run from .4 to 1, a text's from -.1 to .4. Each part is
standardised over a sample of the library before the weighted sum (CombSUM with z-scores, Fox and Shaw 1994), so that a
part speaks by how far a frame stands out in it. The sample is of the library, not of what was found: among the best
photographs of a large library an average film would look poor, and its moments would shrink.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LEAST_DEVIATION = 1e-3  # when all frames are alike in a part, it says nothing rather than dividing by nothing


@dataclass(frozen=True, slots=True)
class Fusion:
    """How the parts of one query weigh together; 0 is the library's average frame.

    Attributes:
        mean, deviation: (parts, 1) of each part's similarities over the sample.
        weights: (parts, 1), absolute values summing to 1; negative pushes away.
    """

    mean: npt.NDArray[np.float32]
    deviation: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]

    def __call__(self, similarities: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(parts, n) similarities -> (n,) relevance."""
        standing: npt.NDArray[np.float32] = (similarities - self.mean) / self.deviation * self.weights
        return standing.sum(axis=0, dtype=np.float32)


def fit(sample: npt.NDArray[np.float32], weights: Sequence[float]) -> Fusion:
    """Args: sample: (parts, n) similarities of the library's frames, n >= 1; weights: (parts,), not all 0."""
    asked = np.asarray(weights, dtype=np.float32)[:, None]
    return Fusion(
        mean=sample.mean(axis=1, keepdims=True),
        deviation=np.maximum(sample.std(axis=1, keepdims=True), LEAST_DEVIATION),
        weights=asked / np.abs(asked).sum(),
    )


def probability(matches: npt.NDArray[np.float32], weights: Sequence[float]) -> npt.NDArray[np.float32]:
    """Probability that all wanted parts match and no unwanted one does, parts taken as independent.

    Args:
        matches: (parts, n) probabilities that picture j matches part i.

    Returns:
        (n,): geometric mean over wanted parts by weight, times (1 - p) of every unwanted part.
    """
    asked = np.asarray(weights, dtype=np.float64)
    safe = np.clip(matches.astype(np.float64), 1e-6, 1 - 1e-6)
    wanted, unwanted = asked > 0, asked < 0
    shares = asked[wanted] / asked[wanted].sum()
    logs = shares @ np.log(safe[wanted]) + np.log1p(-safe[unwanted]).sum(axis=0)
    return np.exp(logs).astype(np.float32)
