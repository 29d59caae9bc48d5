"""What the HTTP API takes and gives, as an OpenAPI document that clients can be made of. For people: docs/api.md."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from data.types import KINDS

_PARAMETERS: dict[str, dict[str, Any]] = {  # name -> its schema, the description for people inside
    "q": {"type": "string", "maxLength": 2000, "description": "Words, as a query of docs/search.md or as a question."},
    "k": {"type": "integer", "minimum": 1, "maximum": 100, "default": 10, "description": "Results wanted."},
    "kind": {"type": "array", "items": {"enum": list(KINDS)}, "description": "Kinds of media; all when left out."},
    "group_by": {"type": "string", "description": "A field of the owner's: one result for each of its values."},
    "t": {"type": "number", "minimum": 0, "description": "Second of a film or an animation."},
    "box": {"type": "string", "pattern": r"^\d+,\d+,\d+,\d+$", "description": "left,top,width,height in pixels."},
    "mode": {"enum": ["exact"], "description": "Only the very same picture, at any size."},
    "color": {"type": "number", "minimum": 0, "maximum": 10, "default": 0, "description": "Weight of the colours."},
    "media": {"type": "string", "description": "ID of the only medium to look at."},
    "from": {"type": "number", "minimum": 0, "description": "With media: its first second."},
    "to": {"type": "number", "minimum": 0, "description": "With media: its last second."},
    "limit": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100, "description": "Media told at once."},
    "offset": {"type": "integer", "minimum": 0, "default": 0, "description": "Media passed over before."},
    "side": {"enum": [480, 1600], "default": 480, "description": "Longest side of the picture, in pixels."},
}
# path -> (what it answers, its parameters, the media type or schema of its answer)
_ADDRESSES: dict[str, tuple[str, tuple[str, ...], str]] = {
    "/": ("Name, version and addresses.", (), "Object"),
    "/health": ("Whether the library can be read; loads no models.", (), "Object"),
    "/api/openapi.json": ("This document.", (), "Object"),
    "/api/search": ("Moments that match words, best first.", ("q", "k", "kind", "group_by"), "Moments"),
    "/api/ask": ("An answer, with the seconds it rests on.", ("q", "media", "from", "to"), "Object"),
    "/api/library": ("Counts, profile and models.", (), "Object"),
    "/api/media": ("What the library holds, by path.", ("limit", "offset"), "Object"),
    "/api/media/{media_id}": ("A medium: facts, fields, segments and texts.", (), "Object"),
    "/api/media/{media_id}/similar": (
        "What looks like a medium, of a video at its second.",
        ("t", "box", "mode", "color", "k", "kind", "group_by"),
        "Moments",
    ),
    "/still/{media_id}": ("A picture, at a second.", ("t", "side"), "image/jpeg"),
    "/clip/{media_id}": ("A short re-encoded clip round a second.", ("t",), "video/mp4"),
    "/play/{media_id}": ("The file of a video, by ranges.", (), "video/*"),
}
_ALONE = ("/", "/health")  # answered by `secondsight serve`; under the page they are the page's own
_FORM = ("q", "k", "kind", "group_by", "t", "box")
_REQUIRED = {("/api/ask", "q"), ("/clip/{media_id}", "t")}
_SECONDS = {"type": ["number", "null"]}
_SCHEMAS: dict[str, Any] = {
    "Object": {"type": "object"},
    "Error": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}},
    "Moments": {
        "type": "object",
        "required": ["query", "no_match", "matches", "without", "timing_ms", "results"],
        "properties": {
            "query": {"type": "string"},
            "no_match": {"type": "boolean", "description": "Nothing matches: the results are only the nearest."},
            "matches": {"type": "integer", "description": "How many of the results are likely what was asked."},
            "without": {"type": "array", "items": {"$ref": "#/components/schemas/Object"}},
            "timing_ms": {"$ref": "#/components/schemas/Object"},
            "results": {"type": "array", "items": {"$ref": "#/components/schemas/Moment"}},
        },
    },
    "Moment": {
        "type": "object",
        "required": ["rank", "media_id", "path", "kind", "start_s", "peak_s", "end_s", "score", "evidence", "same"],
        "properties": {
            "rank": {"type": "integer"},
            "media_id": {"type": "string"},
            "path": {"type": "string"},
            "kind": {"enum": list(KINDS)},
            "start_s": _SECONDS,
            "peak_s": {**_SECONDS, "description": "The second to open."},
            "end_s": _SECONDS,
            "score": {"type": "number", "minimum": 0, "maximum": 1, "description": "Probability that it matches."},
            "evidence": {"type": "array", "items": {"$ref": "#/components/schemas/Object"}},
            "same": {"type": "array", "items": {"type": "string"}},
            "still_url": {"type": "string"},
            "clip_url": {"type": "string"},
            "play_url": {"type": "string"},
        },
    },
}


def overview() -> dict[str, Any]:
    """For whoever opens the bare address."""
    return {
        "name": "Second Sight",
        "version": version("secondsight"),
        "docs": "docs/api.md",
        "openapi": "/api/openapi.json",
        "health": "/health",
        "addresses": {path: what for path, (what, _, _) in _ADDRESSES.items() if path != "/"},
    }


def document(*, alone: bool = False) -> dict[str, Any]:
    """The OpenAPI 3.1 document.

    Args:
        alone: of the API without the page beside it.
    """
    paths: dict[str, Any] = {}
    for path, (what, names, answer) in _ADDRESSES.items():
        if path in _ALONE and not alone:
            continue
        parameters = [_parameter(path, name) for name in names]
        if "{media_id}" in path:
            parameters.insert(0, {"name": "media_id", "in": "path", "required": True, "schema": {"type": "string"}})
        paths[path] = {"get": {"summary": what, "parameters": parameters, "responses": _responses(answer)}}
    image = {"type": "string", "contentMediaType": "application/octet-stream"}
    form = {"type": "object", "properties": {**{name: _PARAMETERS[name] for name in _FORM}, "image": image}}
    paths["/api/search"]["post"] = {
        "summary": "Moments that match words, a picture or a second of a film, or both.",
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}},
        "responses": _responses("Moments"),
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Second Sight", "version": version("secondsight"), "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {"schemas": _SCHEMAS, "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
        "security": [{}, {"key": []}],  # a key is needed where the server was started with one
    }


def _parameter(path: str, name: str) -> dict[str, Any]:
    schema = _PARAMETERS[name]
    return {"name": name, "in": "query", "required": (path, name) in _REQUIRED, "schema": schema}


def _responses(answer: str) -> dict[str, Any]:
    kind, schema = (answer, {}) if "/" in answer else ("application/json", {"$ref": f"#/components/schemas/{answer}"})
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        "200": {"description": "As asked.", "content": {kind: {"schema": schema}}},
        "default": {"description": "What went wrong, in one sentence.", "content": error},
    }
