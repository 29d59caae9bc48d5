"""From what a person gives to a Query that can be answered."""

from __future__ import annotations

from collections.abc import Sequence

from data.errors import UsageError
from data.types import KINDS, ImageQuery, Kind, Query

LONGEST_TEXT = 2000
MOST_RESULTS = 1000


def build(text: str = "", *, images: Sequence[ImageQuery] = (), kinds: Sequence[str] = (), k: int = 10) -> Query:
    """A checked query.

    Raises:
        UsageError: nothing asked, only things to avoid, an unknown kind, or a number out of its range.
    """
    text = " ".join(text.split())
    if not text and not any(image.weight > 0 for image in images):
        raise UsageError("Nothing to search for.", remedy="Give some words, an image, or both.")
    if len(text) > LONGEST_TEXT:
        raise UsageError(f"The query has {len(text)} characters.", remedy=f"Keep it under {LONGEST_TEXT}.")
    if not 1 <= k <= MOST_RESULTS:
        raise UsageError(f"{k} results asked for.", remedy=f"Ask for 1 to {MOST_RESULTS}.")
    known: list[Kind] = []
    for kind in kinds:
        match = next((name for name in KINDS if name == kind), None)
        if match is None:
            raise UsageError(f"Unknown kind {kind!r}.", remedy=f"Use one of: {', '.join(KINDS)}.")
        known.append(match)
    return Query(text=text, images=tuple(images), kinds=tuple(known), k=k)
