"""Conditions on the facts of a file and on its owner's fields, exactly, over the media held in memory."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from data.store.base import FACTS, Condition
from data.store.rows import decode
from data.types import FieldValue

if TYPE_CHECKING:
    from data.store.resident import Media

Paths = Callable[[], Mapping[str, Sequence[str]]]

_ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_ESCAPED_TEXTS = ("captured_at", "container", "codec")
MOST_HELD = 100  # names and conditions whose answers are kept for one state of the library


def hold(asked: Sequence[Condition], media: Media, paths: Paths) -> npt.NDArray[np.bool_]:
    """(m,) whether all conditions hold for each of the `media`.

    Args:
        paths: media_id -> its paths, called only where a condition asks for them.
    """
    result = np.ones(len(media.editions), dtype=bool)
    for condition in asked:
        if condition.name == "path":
            named = paths()
            every = (named.get(media_id, ()) for media_id in media.row_of)
            holds = np.fromiter((_any(condition, each) for each in every), dtype=bool, count=len(result))
        else:
            holds = _held(condition, media)
        result &= holds
    return result


def _held(condition: Condition, media: Media) -> npt.NDArray[np.bool_]:
    """`condition` on a name under which a medium has one value or none; each is read and asked once."""
    key = (repr(condition),)  # of equal conditions True and 1.0 are told apart by "contains"
    holds: npt.NDArray[np.bool_] | None = media.facts.get(key)
    if holds is not None:
        return holds
    read = media.facts.get(condition.name)
    if read is None:
        values = _values(condition.name, media)
        numbers = (np.nan if value is None or isinstance(value, str) else value for value in values)
        read = values, np.fromiter(numbers, dtype=float, count=len(values))
    values, of_number = read
    if condition.op in _ORDER and not isinstance(condition.value, str):
        holds = _ORDER[condition.op](of_number, condition.value)
    else:
        one = (_any(condition, () if value is None else (value,)) for value in values)
        holds = np.fromiter(one, dtype=bool, count=len(values))
    if len(media.facts) >= MOST_HELD:
        media.facts.clear()
    media.facts[condition.name], media.facts[key] = read, holds
    return holds


def _values(name: str, media: Media) -> list[FieldValue | None]:
    """What each of the media has under a name."""
    if name in ("camera", "latitude", "longitude"):
        stated = [json.loads(text).get(name) for text in media.table["tags"].to_pylist()]
        return stated if name == "camera" else [None if value is None else float(value) for value in stated]
    if name in FACTS:
        column = media.table[name].to_pylist()
        return [decode(text) or None for text in column] if name in _ESCAPED_TEXTS else column
    key = name.removeprefix("field.")
    return [json.loads(text).get(key) for text in media.table["fields"].to_pylist()]


def _any(condition: Condition, values: Sequence[FieldValue]) -> bool:
    if condition.op == "!=":
        return not any(_equal(value, condition.value) for value in values)
    return any(_holds(condition, value) for value in values)


def _holds(condition: Condition, value: FieldValue) -> bool:
    asked = condition.value
    if condition.op == "=":
        return _equal(value, asked)
    if condition.op == "contains":
        return str(asked).casefold() in str(value).casefold()
    if condition.op == "under":
        return PurePath(str(value)).is_relative_to(PurePath(str(asked)))
    if isinstance(value, str) != isinstance(asked, str):
        return False
    return bool(_ORDER[condition.op](value, asked))


def _equal(value: FieldValue, asked: FieldValue) -> bool:
    if isinstance(value, str) and isinstance(asked, str):
        return value.casefold() == asked.casefold()
    return value == asked
