"""One relevance curve out of many. Pure.

Cosines of different parts are not on one scale: a picture's run from .4 to 1, a text's from -.1 to .4. Each part is
standardised over a sample of the library before the weighted sum (CombSUM with z-scores, Fox and Shaw 1994), so that a
part speaks by how far a frame stands out in it. The sample is of the library, not of what was found: among the best
photographs of a large library an average film would look poor, and its moments would shrink. What is found in texts,
tags and colours has a strength in [0, 1], which is put on that scale by the height of its channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LEAST_DEVIATION = 1e-3  # when all frames are alike in a part, it says nothing rather than dividing by nothing
# What a full find in a channel adds, in deviations; a frame that shows what is asked stands at 3 to 5. Learned by
# benchmarks/learn_weights.py over the samples with titles and with captions, and the held-out library (472 questions):
# judged by folds of media +.020 (95 %: +.001 to +.038) over 3, 2, 2, 2 and the plain share, which were set by hand.
HEIGHTS = {"caption": 5.0, "meaning": 1.0, "speech": 5.0, "screen": 3.0}
# Where the query names the channel every candidate has something of it; only the colour's ever turned a question.
DEMANDED = {"caption": 3.0, "speech": 2.0, "screen": 2.0, "tag": 2.0, "color": 3.0}
# An unwanted part takes a frame out from the first standing on if it also stands higher there than what is wanted, and
# from the second on whatever else is there.
OUT_FROM, OUT_ANYWAY = 1.5, 3.0
# From here on it lowers a frame: every frame stands a little over the average in something.
LOWERS_FROM = 1.0
_UNWANTED_SLOPE = 2.0


@dataclass(frozen=True, slots=True)
class Fusion:
    """How the parts of one event weigh together; 0 is the library's average frame.

    Attributes:
        mean, deviation: (parts, 1) of each part's similarities over the sample.
        weights: (parts, 1); what is wanted sums to 1, so that a minus makes it no smaller beside what is told of it;
            negative pushes away.
    """

    mean: npt.NDArray[np.float32]
    deviation: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]

    def standing(self, similarities: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(parts, n) similarities -> (parts, n) deviations above the library's average."""
        out: npt.NDArray[np.float32] = (similarities - self.mean) / self.deviation
        return out

    def __call__(self, similarities: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(parts, n) similarities -> (n,) relevance.

        What is unwanted only lowers: that a frame is far from it makes it no better than another that is.
        """
        standing = self.standing(similarities)
        standing = np.where(self.weights < 0, np.maximum(standing - LOWERS_FROM, 0), standing)
        out: npt.NDArray[np.float32] = (standing * self.weights).sum(axis=0, dtype=np.float32)
        return out

    def unwanted(self, similarities: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """(parts, n) -> (n,) frames that are out: something unwanted stands out there."""
        wanted, negative = self.weights[:, 0] > 0, self.weights[:, 0] < 0
        if not negative.any() or not wanted.any():
            return np.zeros(similarities.shape[1], dtype=bool)
        standing = self.standing(similarities)
        worst, best = standing[negative].max(axis=0), standing[wanted].max(axis=0)
        out: npt.NDArray[np.bool_] = ((worst >= OUT_FROM) & (worst >= best)) | (worst >= OUT_ANYWAY)
        return out


def fit(sample: npt.NDArray[np.float32], weights: Sequence[float]) -> Fusion:
    """Args: sample: (parts, n) similarities of the library's frames, n >= 1; weights: (parts,), not all 0."""
    asked = np.asarray(weights, dtype=np.float32)[:, None]
    wanted = float(asked[asked > 0].sum()) or float(np.abs(asked).sum())
    return Fusion(
        mean=sample.mean(axis=1, keepdims=True),
        deviation=np.maximum(sample.std(axis=1, keepdims=True), LEAST_DEVIATION),
        weights=asked / max(wanted, 1e-9),
    )


def there(standing: float) -> float:
    """Probability that something unwanted is in a frame of this standing; even at the one that takes it out anyway."""
    return float(1 / (1 + np.exp(-_UNWANTED_SLOPE * (standing - OUT_ANYWAY))))


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
    logs = np.log1p(-safe[unwanted]).sum(axis=0)
    if wanted.any():
        logs = logs + asked[wanted] / asked[wanted].sum() @ np.log(safe[wanted])
    return np.exp(logs).astype(np.float32)


def either(seen: float, read: Sequence[float]) -> float:
    """Probability that it is seen, said or written: one is enough (noisy or)."""
    missed = 1.0 - seen
    for one in read:
        missed *= 1.0 - one
    return 1.0 - missed
