"""Conditions on the facts of a file and on its owner's fields, exactly, over the media held in memory."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
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


def hold(asked: Sequence[Condition], media: Media, rows: npt.NDArray[np.intp], paths: Paths) -> npt.NDArray[np.bool_]:
    """(len(rows),) whether all conditions hold for each of these rows of `media`.

    Args:
        paths: media_id -> its paths, called only where a condition asks for them.
    """
    result = np.ones(len(rows), dtype=bool)
    for condition in asked:
        values = _values(condition.name, media, rows, paths)
        result &= np.fromiter((_any(condition, each) for each in values), dtype=bool, count=len(rows))
    return result


def _values(name: str, media: Media, rows: npt.NDArray[np.intp], paths: Paths) -> Iterable[Sequence[FieldValue]]:
    """What each row has under a name: nothing, one value, or the paths of all its copies."""
    if name == "path":
        named = paths()
        return (named.get(media_id, ()) for media_id in media.ids(rows))
    if name == "camera":
        tags = media.table["tags"].take(rows).to_pylist()
        return (_one(json.loads(text).get("camera")) for text in tags)
    if name in FACTS:
        column = media.table[name].take(rows).to_pylist()
        if name in _ESCAPED_TEXTS:
            return (_one(decode(text) or None) for text in column)
        return map(_one, column)
    key = name.removeprefix("field.")
    return (_one(json.loads(text).get(key)) for text in media.table["fields"].take(rows).to_pylist())


def _one(value: FieldValue | None) -> Sequence[FieldValue]:
    return () if value is None else (value,)


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
