"""From what a person gives to a Query that can be answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from data.errors import QuerySyntaxError, UsageError
from data.types import KINDS, ImageQuery, Kind, Pixels, Query
from search import language

LONGEST_TEXT = 2000
MOST_RESULTS = 1000
MOST_EVENTS = 5


def build(
    text: str = "",
    *,
    images: Sequence[ImageQuery] = (),
    kinds: Sequence[str] = (),
    k: int = 10,
    group_by: str = "",
    fields: Mapping[str, type] | None = None,
    open_picture: Callable[[str], Pixels] | None = None,
) -> Query:
    """A checked query out of a line in the query language (docs/search.md) and what is given beside it.

    Args:
        kinds: beside those named in the text.
        fields: see search.language.parse; SearchEngine.fields() knows them.
        open_picture: turns the FILE of image:FILE into pixels; without it such a line is refused.

    Raises:
        QuerySyntaxError: the text cannot be read; points at the character.
        UsageError: nothing asked, only things to avoid, an unknown kind, or a number out of its range.
        MediaError: as open_picture.
    """
    text = " ".join(text.encode("utf-8", "replace").decode("utf-8").split())  # a shell may hand on lone surrogates
    if len(text) > LONGEST_TEXT:
        raise UsageError(f"The query has {len(text)} characters.", remedy=f"Keep it under {LONGEST_TEXT}.")
    if not 1 <= k <= MOST_RESULTS:
        raise UsageError(f"{k} results asked for.", remedy=f"Ask for 1 to {MOST_RESULTS}.")
    parsed = language.parse(text, fields, [_kind(kind) for kind in kinds])
    if len(parsed.steps) >= MOST_EVENTS:
        raise UsageError(f"The query has {len(parsed.steps) + 1} events.", remedy=f"Name at most {MOST_EVENTS}.")
    pictures = list(images)
    for reference in parsed.images:
        if open_picture is None:
            raise QuerySyntaxError(
                "Pictures cannot be named in words here", query=text, position=reference.position,
                remedy="Give the picture beside the words.",
            )  # fmt: skip
        pictures.append(ImageQuery(open_picture(reference.name), reference.name, reference.weight))
    for picture in pictures:
        if not 0 < abs(picture.weight) <= language.MOST_WEIGHT:
            raise UsageError(
                f"The picture {picture.label!r} has the weight {picture.weight:g}.",
                remedy=f"Give it one over 0 up to {language.MOST_WEIGHT:g}, or below 0 to push away.",
            )
    wanted = any(term.weight > 0 for term in parsed.terms) or any(picture.weight > 0 for picture in pictures)
    if not wanted:
        if parsed.terms or pictures:
            told = repr(text) if text else "the picture"
            raise UsageError(f"Nothing to search for: {told} only says what to avoid.", remedy="Add what to look for.")
        if not parsed.conditions and not parsed.kinds:
            raise UsageError("Nothing to search for.", remedy="Give some words, an image, or both.")
    return Query(
        text=text,
        terms=parsed.terms,
        steps=parsed.steps,
        images=tuple(pictures),
        conditions=parsed.conditions,
        kinds=parsed.kinds,
        k=k,
        group_by=group_by,
    )


def _kind(name: str) -> Kind:
    match = next((kind for kind in KINDS if kind == name), None)
    if match is None:
        raise UsageError(f"Unknown kind {name!r}.", remedy=f"Use one of: {', '.join(KINDS)}.")
    return match
