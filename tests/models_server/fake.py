"""A model server that speaks the protocol over real HTTP, with faults on demand. What it knows is colours."""

from __future__ import annotations

import base64
import io
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from PIL import Image

from tests.conftest import COLOURS, ColourModel

Body = dict[str, Any]
_MODEL = ColourModel()


@dataclass
class FakeServer:
    """Attributes:
    faults: taken one a request, from the front: see `_Handler`.
    answer: what chat says to a request's body; None: a caption of the colours that are seen.
    missing: paths that are not served. key: the API key that is wanted.
    """

    faults: list[str] = field(default_factory=list)
    answer: Callable[[Body], str] | None = None
    missing: tuple[str, ...] = ()
    refuses_schemas: bool = False
    bare_only: bool = False
    key: str = ""
    delay_s: float = 0.0
    requests: list[tuple[str, Body, dict[str, str]]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    most_at_once: int = 0
    _at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> FakeServer:
        fake = self

        class Handler(_Handler):
            server_state = fake

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def bodies(self, path: str) -> list[Body]:
        return [body for seen, body, _ in self.requests if seen == path]


class _Handler(BaseHTTPRequestHandler):
    server_state: FakeServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve({})

    def do_POST(self) -> None:
        self._serve(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def log_message(self, *_: object) -> None:
        pass

    def _serve(self, body: Body) -> None:
        state = self.server_state
        path = self.path.removeprefix("/v1")
        with state._lock:
            state.requests.append((path, body, dict(self.headers)))
            state.counts[path] += 1
            fault = state.faults.pop(0) if state.faults else ""
            state._at_once += 1
            state.most_at_once = max(state.most_at_once, state._at_once)
        try:
            time.sleep(state.delay_s)
            if state.key and self.headers.get("Authorization") != f"Bearer {state.key}":
                return self._send(401, {"error": {"message": f"bad key {self.headers.get('Authorization')}"}})
            if fault:
                return self._fail(fault)
            self._answer(path, body)
        finally:
            with state._lock:
                state._at_once -= 1

    def _fail(self, fault: str) -> None:
        name, _, value = fault.partition(":")
        match name:
            case "429":
                self._send(429, {"error": {"message": "busy"}}, {"Retry-After": value} if value else {})
            case "500" | "503" | "400" | "404":
                self._send(int(name), {"error": {"message": value or "broken"}})
            case "hang":
                time.sleep(float(value))
                self.close_connection = True
            case "half":  # promises more than it sends
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b'{"data": [{"embedd')
                self.close_connection = True
            case "drip":
                self.send_response(200)
                self.send_header("Content-Length", "100000")
                self.end_headers()
                with_time = time.monotonic() + float(value)
                while time.monotonic() < with_time:
                    self.wfile.write(b" ")
                    time.sleep(0.05)
                self.close_connection = True
            case "reset":
                self.close_connection = True
                self.connection.close()
            case "text":
                self._raw(200, b"<html>a gateway's page</html>")
            case "huge":
                self.send_response(200)
                self.send_header("Content-Length", str(1 << 30))
                self.end_headers()
                try:
                    for _ in range(40):
                        self.wfile.write(b" " * (1 << 20))
                except OSError:
                    pass
                self.close_connection = True
            case "redirect":
                self._send(307, {}, {"Location": value})
            case "json":
                self._raw(200, value.encode())

    def _answer(self, path: str, body: Body) -> None:
        state = self.server_state
        if path in state.missing:
            return self._send(404, {"detail": "Not Found"})
        match path:
            case "/models":
                self._send(200, {"data": [{"id": "fake-vl"}]})
            case "/embeddings":
                self._embeddings(body)
            case "/chat/completions":
                self._chat(body)
            case "/rerank" | "/score":
                self._rerank(path, body)
            case _:
                self._send(404, {"detail": "Not Found"})

    def _embeddings(self, body: Body) -> None:
        roles = [message["role"] for message in body["messages"]]
        if self.server_state.bare_only and roles != ["user"]:
            return self._send(400, {"error": {"message": "one message only"}})
        (part,) = next(m for m in body["messages"] if m["role"] == "user")["content"]
        pictures = pictures_of([part])
        vector = _MODEL.embed_images(pictures)[0] if pictures else _MODEL.embed_texts([part["text"]])[0]
        self._send(200, {"data": [{"index": 0, "embedding": (vector * 3).tolist()}]})  # not of unit length

    def _chat(self, body: Body) -> None:
        if self.server_state.refuses_schemas and "response_format" in body:
            return self._send(400, {"error": {"message": "response_format is not supported"}})
        choice: Body = {"finish_reason": "stop"}
        if body.get("logprobs"):
            p = probability(words_of(body), pictures_of(body["messages"][-1]["content"]))
            first = [{"token": "Yes", "logprob": float(np.log(p))}, {"token": "no", "logprob": float(np.log(1 - p))}]
            choice |= {"message": {"content": "Yes"}, "logprobs": {"content": [{"top_logprobs": first}]}}
        else:
            answer = self.server_state.answer or colour_caption
            choice["message"] = {"content": answer(body)}
        self._send(200, {"choices": [choice]})

    def _rerank(self, path: str, body: Body) -> None:
        query = body["query"] if path == "/rerank" else body["queries"]
        scores = [probability(query, pictures_of(document["content"])) for document in body["documents"]]
        name, key = ("results", "relevance_score") if path == "/rerank" else ("data", "score")
        self._send(200, {name: [{"index": place, key: score} for place, score in enumerate(scores)]})

    def _send(self, status: int, value: object, headers: dict[str, str] | None = None) -> None:
        self._raw(status, json.dumps(value).encode(), headers)

    def _raw(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def pictures_of(parts: list[Body]) -> list[np.ndarray]:
    """The pictures of a message's content, decoded as a server would."""
    urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    return [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/jpeg;base64,")))).convert("RGB"))
        for url in urls
    ]


def words_of(body: Body) -> str:
    """All text of a request, the user's last."""
    said = []
    for message in body["messages"]:
        content = message["content"]
        said += [content] if isinstance(content, str) else [part["text"] for part in content if part["type"] == "text"]
    return "\n".join(said)


def colour_of(rgb: np.ndarray) -> str:
    mean = rgb.reshape(-1, 3).mean(axis=0)
    return min(COLOURS, key=lambda name: np.abs(mean - COLOURS[name]).sum())


def probability(query: str, pictures: list[np.ndarray]) -> float:
    """High when a colour that is seen is named in the query."""
    named = [name for name in COLOURS if name in query.lower()]
    seen = {colour_of(rgb) for rgb in pictures}
    return 0.95 if seen & set(named) else 0.05


def colour_caption(body: Body) -> str:
    """Tells truly what is seen, in the JSON that captions are asked for."""
    content = body["messages"][-1]["content"]
    times = [float(t) for t in re.findall(r"<([\d.]+) seconds>", words_of({"messages": body["messages"][-1:]}))]
    colours = [colour_of(rgb) for rgb in pictures_of(content)]
    seen = list(dict.fromkeys(colours))
    events = [
        {"start": times[place], "end": times[place] + 0.5, "text": f"The screen is {colour}."}
        for place, colour in enumerate(colours)
        if times and (place == 0 or colours[place - 1] != colour)
    ]
    return json.dumps({"text": f"A plain {' then '.join(seen)} picture.", "events": events, "objects": seen})
