"""The HTTP API: the command line's answers, as JSON, for scripts and other programs. Reference: docs/api.md.

It stands beside the page's own routes and alone under `secondsight serve`. A request never names a path of this
machine: media are addressed by content hash, pictures are uploaded.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, QueryParams, UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from data.errors import (
    LibraryError,
    MediaError,
    MediaTooLarge,
    MissingMedia,
    ModelError,
    SecondSightError,
    UsageError,
)
from data.types import Box, ImageQuery, MediaItem, SearchResponse
from search.limits import Without
from search.scope import stretch_of
from ui import openapi
from ui.app import held
from ui.app.routes import OUR_NAMES, allow_hosts, clip_url, is_ours, play_url, still_url
from ui.app.routes import routes as media_routes
from ui.commands.answers import reply_dict
from ui.commands.search import as_dict, loosened
from ui.console import defect
from ui.text import parse_box, plain
from ui.uploads import picture_of

MAX_BODY_BYTES = 50 << 20
MOST_RESULTS = 100
NAME_ITS_SECOND = "Name its second: t=12.5."
MOST_MEDIA = 1000
_STATUS: tuple[tuple[type[SecondSightError], int], ...] = (  # the first that fits
    (UsageError, 400),
    (MissingMedia, 404),
    (MediaTooLarge, 413),
    (MediaError, 415),
    (LibraryError, 503),
    (ModelError, 503),
)
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True, slots=True)
class Asked:
    """The arguments of a request, from its address or its form, and the picture that came with it."""

    values: QueryParams | FormData
    image: bytes = b""
    image_name: str = ""

    def text(self, name: str) -> str:
        value = self.values.get(name, "")
        return value if isinstance(value, str) else ""

    def texts(self, name: str) -> list[str]:
        return [value for value in self.values.getlist(name) if isinstance(value, str) and value]

    def number(self, name: str, default: float, least: float, most: float) -> float:
        """Raises UsageError outside of least to most."""
        text = self.text(name)
        try:
            value = float(text) if text else default
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            raise UsageError(f"{name}={plain(text, 40)} is not a number from {least:g} to {most:g}.")
        return value

    def box(self) -> Box | None:
        return Box(*parse_box(self.text("box"))) if self.text("box") else None


def routes(*, alone: bool = False) -> list[Route]:
    """Args: alone: without the page, whose own the bare address is otherwise."""
    ours = [_route("/", lambda *_: openapi.overview()), _route("/health", _health)]
    return [
        *(ours if alone else []),
        _route("/api/library", _library),
        _route("/api/media", _media),
        _route("/api/media/{media_id}", _medium),
        _route("/api/media/{media_id}/similar", _similar),
        _route("/api/search", _search, ("GET", "POST")),
        _route("/api/ask", _ask),
        _route("/api/openapi.json", lambda *_: openapi.document(alone=alone)),
        _route("/api/{other:path}", _nothing),
    ]


def _health(_: Request, __: Asked) -> dict[str, Any]:
    """The library can be read; no models are loaded for that."""
    return {"ok": True, "media": sum(held.reader().stats().media.values())}


def _nothing(request: Request, _: Asked) -> dict[str, Any]:
    """Under the page, an unknown address would be answered with the page."""
    raise HTTPException(404, f"There is no {plain(request.url.path, 100)!r}; docs/api.md lists what there is.")


def _search(_: Request, asked: Asked) -> dict[str, Any]:
    images = []
    if asked.image:
        at_s = asked.number("t", 0.0, 0.0, 1e9) if asked.text("t") else None
        rgb = picture_of(
            asked.image, asked.image_name, at_s=at_s, box=asked.box(), max_pixels=held.settings().max_pixels,
            remedy=NAME_ITS_SECOND,
        )  # fmt: skip
        images.append(ImageQuery(rgb, label=plain(asked.image_name, 80) or "picture"))
    with held.engine() as engine:
        query = engine.query(
            asked.text("q"), images=images, kinds=asked.texts("kind"), k=_results(asked),
            group_by=asked.text("group_by"), files=False,
        )  # fmt: skip
        response = engine.search(query)
        loose = loosened(engine, response, asked.texts("kind"), images, files=False)
        return _response(response, asked.text("q"), loose)


def _ask(_: Request, asked: Asked) -> dict[str, Any]:
    scope = None
    if asked.text("media"):
        times = [asked.number(name, 0.0, 0.0, 1e9) if asked.text(name) else None for name in ("from", "to")]
        scope = stretch_of(_medium_of(asked.text("media")), *times)
    reply = held.ask(asked.text("q"), scope)
    out = reply_dict(reply)
    for told, source in zip(out["sources"], reply.sources, strict=True):
        told.update(_addresses(source.item, source.at_s))
    return out


def _similar(request: Request, asked: Asked) -> dict[str, Any]:
    item = _item(request)
    length_s = item.info.duration_s
    if item.info.kind == "video" and not asked.text("t"):
        raise UsageError("A video is compared by one of its frames.", remedy=NAME_ITS_SECOND)
    at_s = asked.number("t", 0.0, 0.0, length_s) if length_s is not None else None
    with held.engine() as engine:
        response = engine.similar(
            item.path, at_s=at_s, box=asked.box(), k=_results(asked), kinds=asked.texts("kind"),
            exact=asked.text("mode") == "exact", color_weight=asked.number("color", 0.0, 0.0, 10.0),
            group_by=asked.text("group_by"),
        )  # fmt: skip
    return _response(response, item.media_id)


def _library(_: Request, __: Asked) -> dict[str, Any]:
    from data.store.manifest import read_manifest

    stats, manifest = held.reader().stats(), read_manifest(held.settings().library)
    return {**asdict(stats), "profile": manifest.profile, "models": dict(manifest.models)}


def _media(_: Request, asked: Asked) -> dict[str, Any]:
    most = int(asked.number("limit", 100, 1, MOST_MEDIA))
    first = int(asked.number("offset", 0, 0, 1e12))
    media = sorted(held.reader().media(), key=lambda item: str(item.path))
    return {"total": len(media), "media": [_facts(item) for item in media[first : first + most]]}


def _medium(request: Request, _: Asked) -> dict[str, Any]:
    item, reader = _item(request), held.reader()
    texts = [
        {"channel": span.channel, "start_s": span.start_s, "end_s": span.end_s, "text": span.text}
        for span in reader.texts(item.media_id)
    ]
    segments = [
        {
            "start_s": segment.start_s,
            "end_s": segment.end_s,
            "tags": [tag.name for tag in segment.tags],
            "colors": [asdict(color) for color in segment.colors],
        }
        for segment in reader.segments(item.media_id)
    ]
    return {**_facts(item), "segments": segments, "texts": texts}


def _facts(item: MediaItem) -> dict[str, Any]:
    return {
        "media_id": item.media_id,
        "path": str(item.path),
        "size_bytes": item.size_bytes,
        "fields": dict(item.fields),
        **asdict(item.info),
        **_addresses(item, None),
    }


def _addresses(item: MediaItem, at_s: float | None) -> dict[str, str]:
    """Where its pictures are had from this server."""
    out = {"still_url": still_url(item, at_s)}
    if item.info.kind == "video":
        out["play_url"] = play_url(item)
    if item.info.duration_s is not None:
        out["clip_url"] = f"{clip_url(item)}?t={at_s or 0.0:.6f}"
    return out


def _response(response: SearchResponse, query: str, loose: Sequence[Without] = ()) -> dict[str, Any]:
    out = as_dict(response, query, loose)
    for result, moment in zip(out["results"], response.moments, strict=True):
        result["media_id"] = moment.media.media_id
        result.update(_addresses(moment.media, moment.peak_s))
    return out


def _results(asked: Asked) -> int:
    return int(asked.number("k", 10, 1, MOST_RESULTS))


def _item(request: Request) -> MediaItem:
    return _medium_of(request.path_params["media_id"])


def _medium_of(media_id: str) -> MediaItem:
    item = held.media_item(media_id)
    if item is None:
        raise MissingMedia("The library holds no such medium.")
    return item


def _route(path: str, answer: Callable[[Request, Asked], dict[str, Any]], methods: Sequence[str] = ("GET",)) -> Route:
    """The endpoint of a function: who asks is checked, errors become one sentence and a status.

    It takes every method, so that a wrong one is answered in the same form as all else.
    """

    async def endpoint(request: Request) -> Response:
        if not is_ours(request):
            return _json({"error": "Pages of other sites, and other host names, are not answered."}, 403)
        if request.method not in (*methods, "HEAD"):
            error = {"error": f"{request.method} is not answered here; use {' or '.join(methods)}."}
            return _json(error, 405, {"Allow": ", ".join(methods)})
        try:
            return _json(await run_in_threadpool(answer, request, await _asked(request)))
        except SecondSightError as error:
            status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
            return _json({"error": plain(error, 2000)}, status)
        except HTTPException as error:
            return _json({"error": error.detail}, error.status_code)
        except Exception as error:
            return _json({"error": defect(error)}, 500)

    return Route(path, endpoint, methods=_METHODS)


def _json(content: dict[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(content, status, {**_HEADERS, **(headers or {})})


async def _as_json(_: Request, error: Exception) -> Response:
    """What no route of ours answered."""
    assert isinstance(error, HTTPException)
    return _json({"error": str(error.detail)}, error.status_code, error.headers)


async def _asked(request: Request) -> Asked:
    if request.method != "POST":
        return Asked(request.query_params)
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind not in ("multipart/form-data", "application/x-www-form-urlencoded"):
        raise HTTPException(415, "Send the question as a form (multipart/form-data).")
    bounded = Request(request.scope, _bounded(request.receive))
    async with bounded.form(max_files=1, max_fields=100, max_part_size=1 << 20) as form:
        upload = form.get("image")
        if not isinstance(upload, UploadFile):
            return Asked(form)
        return Asked(form, await upload.read(), upload.filename or "")


def _bounded(receive: Receive) -> Receive:
    """The body of a request, up to MAX_BODY_BYTES."""
    came = 0

    async def counted() -> Message:
        nonlocal came
        message = await receive()
        came += len(message.get("body", b""))
        if came > MAX_BODY_BYTES:
            raise HTTPException(413, f"The request is larger than {MAX_BODY_BYTES >> 20} MB.")
        return message

    return counted


class KeyNeeded:
    """Every request, for media too, must carry the key."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app = app
        self._key = f"Bearer {key}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, self._key):
                answer = _json({"error": "Send the header 'Authorization: Bearer KEY' with this server's key."}, 401)
                return await answer(scope, receive, send)
        await self._app(scope, receive, send)


def application(key: str = "") -> Starlette:
    """The API and the media, without the page; with a key, only for those who send it."""
    needed = [Middleware(KeyNeeded, key=key)] if key else []
    return Starlette(
        routes=[*routes(alone=True), *media_routes()],
        middleware=needed,
        exception_handlers={HTTPException: _as_json},
    )


def serve(library: Path, host: str, port: int, key: str) -> None:
    """Serve the API until the process is interrupted.

    Args:
        host: address to listen on. key: "" for none, which only a loopback address may have.
    """
    import uvicorn

    os.environ["SECONDSIGHT_LIBRARY"] = str(library.absolute())
    allow_hosts(() if key else OUR_NAMES)
    uvicorn.run(application(key), host=host, port=port, log_level="warning", server_header=False)
