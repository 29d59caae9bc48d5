"""Media over HTTP, beside Streamlit's own routes: whole files by Range, stills, and short re-encoded clips.

A medium is addressed by its content hash and must be in the library: no path of a request ever reaches the file
system. Streamlit's own video element holds the whole file in memory and its static files end at 200 MB; these do not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from data.errors import MediaError, SecondSightError
from data.types import MediaItem
from ui.app import clips, held
from ui.text import plain

STILL_SIDES = (480, 1600)

# What a container's bytes are, from what the probe found, never from the file's name.
_TYPES = {
    "mov": "video/mp4",
    "mp4": "video/mp4",
    "matroska": "video/x-matroska",
    "webm": "video/webm",
    "avi": "video/x-msvideo",
    "mpegts": "video/mp2t",
    "mpeg": "video/mpeg",
    "ogg": "video/ogg",
    "flv": "video/x-flv",
    "asf": "video/x-ms-asf",
}
# The bytes come from files that anyone may have made: shown, never run.
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, max-age=86400",
}

OUR_NAMES = ("127.0.0.1", "localhost", "[::1]", "::1")
_names: tuple[str, ...] = OUR_NAMES

Answer = Callable[[Request, MediaItem], Response]


def allow_hosts(names: tuple[str, ...]) -> None:
    """The host names this process answers to; none: any."""
    global _names
    _names = names


def is_ours(request: Request) -> bool:
    """A server on one's own machine is within reach of every page its browser has open: none of them may ask.

    They come under names of their own (DNS rebinding), from their own origin, or as pictures and frames in them, which
    browsers mark.
    """
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        return False
    if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return False
    return not _names or (request.url.hostname or "") in _names


def routes() -> list[Route]:
    return [
        Route("/play/{media_id}", _for_medium(_play), methods=["GET", "HEAD"]),
        Route("/still/{media_id}", _for_medium(_still), methods=["GET"]),
        Route("/clip/{media_id}", _for_medium(_clip), methods=["GET", "HEAD"]),
    ]


def play_url(item: MediaItem) -> str:
    return f"/play/{item.media_id}"


def still_url(item: MediaItem, at_s: float | None, side: int = STILL_SIDES[0]) -> str:
    return f"/still/{item.media_id}?side={side}" + ("" if at_s is None else f"&t={at_s:.6f}")


def clip_url(item: MediaItem) -> str:
    """Without its `?t=SECONDS`."""
    return f"/clip/{item.media_id}"


def _for_medium(answer: Answer) -> Callable[[Request], object]:
    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(_checked, answer, request)

    return endpoint


def _checked(answer: Answer, request: Request) -> Response:
    if not is_ours(request):
        return _failed("Pages of other sites, and other host names, are not answered.", 403)
    try:
        item = held.media_item(request.path_params["media_id"])
        if item is None or not item.path.is_file():
            return _failed("The library holds no such medium, or its file is gone.", 404)
        return answer(request, item)
    except MediaError as error:
        return _failed(error, 415)
    except SecondSightError as error:
        return _failed(error, 503)
    except ValueError as error:
        return _failed(error, 400)


def _failed(error: object, status: int) -> Response:
    return JSONResponse({"error": plain(error, 2000)}, status, {"X-Content-Type-Options": "nosniff"})


def _play(request: Request, item: MediaItem) -> Response:
    names = item.info.container.split(",")
    if item.info.kind == "video" and "webm" in names and item.info.codec in ("vp8", "vp9", "av1"):
        names = ["webm"]
    media_type = next((_TYPES[name] for name in names if name in _TYPES), "application/octet-stream")
    if item.info.kind != "video":
        raise ValueError("Only videos are played; ask for a still or a clip.")
    return FileResponse(item.path, media_type=media_type, headers=_HEADERS, content_disposition_type="inline")


def _still(request: Request, item: MediaItem) -> Response:
    asked = request.query_params.get("side", str(STILL_SIDES[0]))
    if asked not in map(str, STILL_SIDES):
        raise ValueError(f"side={plain(asked, 20)} is not one of {STILL_SIDES}.")
    side = int(asked)
    picture = held.still_jpeg(item, _second(request, item), side)
    return Response(picture, media_type="image/jpeg", headers=_HEADERS)


def _clip(request: Request, item: MediaItem) -> Response:
    at_s = _second(request, item)
    if at_s is None:
        raise ValueError("A clip needs its second: t=12.5.")
    settings = held.settings()
    path: Path = clips.clip(item, at_s, settings.cache / "clips", max_pixels=settings.max_pixels)
    return FileResponse(path, media_type="video/mp4", headers=_HEADERS, content_disposition_type="inline")


def _second(request: Request, item: MediaItem) -> float | None:
    text = request.query_params.get("t")
    if text is None or item.info.duration_s is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        raise ValueError(f"t={text[:40]!r} is not a number of seconds.") from None
    if not (math.isfinite(seconds) and 0 <= seconds <= item.info.duration_s):
        raise ValueError(f"t={seconds} lies outside of 0 to {item.info.duration_s} s.")
    return seconds
