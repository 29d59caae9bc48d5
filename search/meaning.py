"""Captions found by what they mean: "a puppy sleeping" in "a young dog naps", in whatever languages.

A question's vector against captions' vectors, both of the library's joint model, held against the neutral questions as
pictures are (search.background): a caption counts by how far it stands above the best that a question without an
answer reaches among this library's captions.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt

from data.store.base import Filter, Store
from search.background import Background
from search.mentions import Place

# Deviations above chance at which a caption counts in full. Of 3, 5 (from 0 on) and 6, over the samples with captions
# in other words and with their authors' titles.
FULL = 6.0


def places(
    store: Store, vector: npt.NDArray[np.float32], captions: Background | None, k: int, where: Filter
) -> dict[str, list[Place]]:
    """media_id -> the captions that mean what is asked, out of the k nearest.

    Args:
        vector: (dim,) of the question.
        captions: the background of the library's captions; None: they are not looked at.
    """
    out: dict[str, list[Place]] = defaultdict(list)
    if captions is None or not len(captions.sample):
        return out
    hits, vectors = store.search_meanings(vector, k, where)
    if not hits:
        return out
    similarities = vectors @ vector
    standing = similarities - captions.bias(vector[None], vectors)[0]
    location, _ = captions.best_of_library
    above = standing / captions.deviation - location
    for hit, similarity, one, probability in zip(
        hits, similarities.tolist(), above.tolist(), captions.probability(standing).tolist(), strict=True
    ):
        if one > 0:
            strength = min(one / FULL, 1.0)
            out[hit.media_id].append(Place(hit.span, strength, probability, (), hit.span.start_s, similarity))
    return out
