"""JSON schemas of the answers that the prompts ask for, for backends that can be held to one while they write.

What comes back is parsed in the same forgiving way whether a backend kept to its schema or not.
"""

from __future__ import annotations

from typing import Any

_TEXT = {"type": "string", "maxLength": 600}
_TEXTS = {"type": "array", "items": {"type": "string", "maxLength": 200}, "maxItems": 48}
_SECOND = {"type": "number", "minimum": 0}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _list(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item, "maxItems": 48}


_FACTS = {"objects": _TEXTS, "actions": _TEXTS, "on_screen_text": _TEXTS, "setting": _TEXT, "mood": _TEXT}
CAPTION = _object(text=_TEXT, events=_list(_object(start=_SECOND, end=_SECOND, text=_TEXT)), **_FACTS)
CAPTION_IMAGE = _object(text=_TEXT, **_FACTS)
WHEN = _list(_object(start=_SECOND, end=_SECOND, peak=_SECOND))
_CORNER = {"type": "integer", "minimum": 0, "maximum": 1000}
_CORNERS = {"type": "array", "items": _CORNER, "minItems": 4, "maxItems": 4}
WHERE = _list(_object(bbox_2d=_CORNERS, label=_TEXT))
ANSWER = _object(
    answered={"type": "boolean"},
    answer={"type": "string", "maxLength": 8000},
    citations=_list(_object(clip={"type": "integer", "minimum": 1}, start=_SECOND, end=_SECOND)),
)
