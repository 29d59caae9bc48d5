"""Turns asked of a chat model over HTTP, in the form that every server of the OpenAI API understands.

Frames go as pictures of the size that a model here would see, each behind its own time in words. A `video_url` would
lose the times: servers assume a constant frame rate there, and variable rates and GIFs have none.
"""

from __future__ import annotations

import base64
import io
import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data.errors import ServerFailed, UsageError
from data.types import Pixels
from models.qwen3vl.pixels import FACTOR
from models.qwen3vl.prompting import Footage, Picture, Turn, plain, stamp
from models.qwen3vl.prompting import Part as Shown
from models.qwen3vl.sampling import Sampling
from models.server.client import Client, Refused

Part = dict[str, Any]

_UNUSABLE = {400, 413, 422}  # this turn is too long, or not understood; another one may be


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. first: the likeliest first tokens with their log probabilities; empty when there are none."""

    text: str
    first: tuple[tuple[str, float], ...] = ()


class ServerChat:
    """A chat model behind a server: `models.qwen3vl.chat.Chat`, and a `Writer` of plain text.

    Args:
        model: its id on the server; "": the one model that the server has.
    """

    def __init__(self, client: Client, model: str = "") -> None:
        self.client = client
        self._model = model
        self._lock = threading.Lock()
        self._schemas = True  # until the server refuses one
        self._worked = False

    @property
    def model(self) -> str:
        with self._lock:
            if not self._model:
                self._model = only_model(self.client, "SECONDSIGHT_SERVER_CHAT")
            return self._model

    @property
    def revision(self) -> str:
        """Servers do not tell which revision of a model they hold: changed weights want another id."""
        return f"{self.model}@server"

    def write(
        self, turns: Sequence[Turn], sampling: Sampling, schemas: Sequence[Mapping[str, Any]] | None = None
    ) -> list[str]:
        """One text a turn, many asked at once. A turn that the server refuses gives "".

        Raises:
            Refused: nothing was ever accepted, so it is not the turn. ServerFailed: the server cannot answer; what is
                wrong with the server is never noted as a fault of what it was shown.
        """

        def one(place: int) -> str:
            try:
                return self.ask(turns[place], sampling, schema=schemas[place] if schemas else None).text
            except Refused as refused:
                if not self._worked or refused.status not in _UNUSABLE:
                    raise
                return ""

        return self.client.map(one, range(len(turns)))

    def ask(
        self,
        turn: Turn,
        sampling: Sampling,
        *,
        schema: Mapping[str, Any] | None = None,
        alternatives: int = 0,
        budget_s: float | None = None,
    ) -> Reply:
        """One answer to one turn.

        Args:
            schema: JSON schema that the answer is held to, where the server can.
            alternatives: how many of the likeliest first tokens to tell (0 to 20).

        Raises:
            Refused: the server will not answer this turn. ServerFailed: it cannot.
        """
        messages: list[Part] = [{"role": "system", "content": plain(turn.system)}] if turn.system else []
        messages.append({"role": "user", "content": [part for shown in turn.user for part in parts_of(shown)]})
        body: Part = {
            "model": self.model,
            "messages": messages,
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "seed": sampling.seed,
        }
        if alternatives:
            body |= {"logprobs": True, "top_logprobs": alternatives}
        answer = self._held_to(schema, body, budget_s) if schema is not None and self._schemas else None
        if answer is None:
            answer = self.client.post("/chat/completions", body, budget_s=budget_s)
        reply = _reply(answer, self.client.url)
        self._worked = True
        return reply

    def _held_to(self, schema: Mapping[str, Any], body: Part, budget_s: float | None) -> Any:
        """None when the server refuses, which may be for the schema; it is the schema when the turn alone is taken."""
        wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
        try:
            return self.client.post("/chat/completions", {**body, "response_format": wanted}, budget_s=budget_s)
        except Refused as refused:
            if refused.status not in _UNUSABLE:
                raise
        answer = self.client.post("/chat/completions", body, budget_s=budget_s)
        self._schemas = False
        return answer


class ServerWriter:
    """A `Writer`."""

    def __init__(self, chat: ServerChat) -> None:
        self._chat = chat

    @property
    def revision(self) -> str:
        return self._chat.revision

    def write(self, system: str, text: str, *, most_tokens: int, schema: Mapping[str, Any] | None = None) -> str:
        return self._chat.ask(Turn(system, (text,)), Sampling(max_new_tokens=most_tokens), schema=schema).text


def parts_of(shown: Shown) -> Iterator[Part]:
    """What one part of a turn is in a message: words, a picture, or frames each behind its time."""
    if isinstance(shown, str):
        yield text_part(shown)
    elif isinstance(shown, Picture):
        yield picture_part(shown.rgb, shown.budget.max_pixels)
    elif isinstance(shown, Footage):
        for rgb, time_s in zip(shown.frames, shown.times_s, strict=True):
            yield {"type": "text", "text": stamp(time_s)}
            yield picture_part(rgb, shown.tokens_per_pair * FACTOR**2)


def text_part(text: str) -> Part:
    return {"type": "text", "text": plain(text)}


def picture_part(rgb: Pixels, max_pixels: int) -> Part:
    """A picture of at most so many pixels, as a JPEG fine enough not to change what models see."""
    from PIL import Image

    height, width = rgb.shape[:2]
    image = Image.fromarray(rgb)
    scale = math.sqrt(max_pixels / (width * height))
    if scale < 1.0:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        image = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    image.save(buffer := io.BytesIO(), "JPEG", quality=95, subsampling=0)
    coded = base64.b64encode(buffer.getvalue()).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{coded}"}}


def only_model(client: Client, setting: str) -> str:
    """The id of the one model that a server has.

    Raises:
        UsageError: it has several, or tells none; names the setting.
    """
    answer = client.get("/models")
    rows = answer.get("data") if isinstance(answer, dict) else None
    ids = [str(row["id"]) for row in rows if isinstance(row, dict) and "id" in row] if isinstance(rows, list) else []
    if len(ids) != 1:
        there = f"has {len(ids)} models ({', '.join(ids[:8])})" if ids else "does not say which models it has"
        raise UsageError(f"The model server at {client.url} {there}.", remedy=f"Name one in {setting}.")
    return ids[0]


def _reply(answer: Any, url: str) -> Reply:
    try:
        choice = answer["choices"][0]
        text = choice["message"]["content"]
        if isinstance(text, list):  # some servers answer in parts
            text = "".join(part.get("text", "") for part in text)
        if not isinstance(text, str):
            raise TypeError
        first: tuple[tuple[str, float], ...] = ()
        if choice.get("logprobs") and choice["logprobs"].get("content"):
            first = tuple(
                (str(one["token"]), float(one["logprob"])) for one in choice["logprobs"]["content"][0]["top_logprobs"]
            )
        return Reply(text, first)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError):
        raise ServerFailed(
            f"The model server at {url} answered without a message.", remedy="Check that it serves chat completions."
        ) from None
