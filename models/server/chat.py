"""One turn of chat with pictures: what every server of the OpenAI API understands.

Frames go as pictures, each behind its time in words. A `video_url` would lose the times: servers assume a constant
frame rate there, and variable rates and GIFs have none.
"""

from __future__ import annotations

import base64
import io
import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data.errors import ServerFailed, UsageError
from data.types import Pixels
from models.base import Clip
from models.server.client import Client, Refused

# Qwen3-VL spends one token on 32 x 32 pixels. A clip gets about 2,048 tokens of pictures: 8 frames of 512 x 512.
TOKEN_PIXELS = 32 * 32
CLIP_TOKENS = 2048
LEAST_FRAME_TOKENS, MOST_FRAME_TOKENS = 128, 1024

Part = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    Attributes:
        cut: the answer ended at the limit of tokens.
        first: the likeliest first tokens with their log probabilities; empty when not asked for or not given.
    """

    text: str
    cut: bool = False
    first: tuple[tuple[str, float], ...] = ()


def text_part(text: str) -> Part:
    """Words of a turn. "<|" is parted, so that untrusted words cannot end a turn or open a picture."""
    return {"type": "text", "text": text.replace("<|", "< |")}


def picture_part(rgb: Pixels, most_tokens: int = MOST_FRAME_TOKENS) -> Part:
    """A picture of at most `most_tokens` x 1,024 pixels, as a JPEG fine enough not to change what models see."""
    from PIL import Image

    height, width = rgb.shape[:2]
    scale = min(1.0, math.sqrt(most_tokens * TOKEN_PIXELS / (width * height)))
    image = Image.fromarray(rgb)
    if scale < 1.0:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        image = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    image.save(buffer := io.BytesIO(), "JPEG", quality=95, subsampling=0)
    return {
        "type": "image_url",
        "image_url": {"url": f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"},
    }


def clip_parts(clip: Clip) -> list[Part]:
    """A clip's frames, each behind "<12.0 seconds>" (the form Qwen3-VL was trained on); a still without a time."""
    tokens = min(MOST_FRAME_TOKENS, max(LEAST_FRAME_TOKENS, CLIP_TOKENS // len(clip.frames)))
    parts = []
    for place, rgb in enumerate(clip.frames):
        if clip.times_s:
            parts.append({"type": "text", "text": f"<{clip.times_s[place]:.1f} seconds>"})
        parts.append(picture_part(rgb, tokens))
    return parts


class Chat:
    """A model that is talked to.

    Args:
        model: its id on the server; "": the one model that the server has.
    """

    def __init__(self, client: Client, model: str = "") -> None:
        self.client = client
        self._model = model
        self._lock = threading.Lock()
        self._schemas = True  # until the server refuses one

    @property
    def model(self) -> str:
        with self._lock:
            if not self._model:
                self._model = only_model(self.client, "SECONDSIGHT_SERVER_CHAT")
            return self._model

    @property
    def revision(self) -> str:
        """Servers do not tell which revision of a model they hold, so the id must say it."""
        return f"{self.model}@server"

    def ask(
        self,
        system: str,
        parts: Sequence[Part],
        *,
        most_tokens: int,
        temperature: float = 0.0,
        schema: Mapping[str, Any] | None = None,
        alternatives: int = 0,
        budget_s: float | None = None,
    ) -> Reply:
        """One answer to one turn.

        Args:
            schema: JSON schema that the answer is held to, where the server can.
            alternatives: how many of the likeliest first tokens to tell (0 to 20).

        Raises:
            Refused: the server will not answer this turn (too long, say). ServerFailed: it cannot.
        """
        messages = [{"role": "system", "content": system}] if system else []
        messages.append({"role": "user", "content": list(parts)})
        body: dict[str, Any] = {
            "model": self.model,
            "messages": messages,
            "max_tokens": most_tokens,
            "temperature": temperature,
        }
        if alternatives:
            body |= {"logprobs": True, "top_logprobs": alternatives}
        if schema is None or not self._schemas:
            return _reply(self.client.post("/chat/completions", body, budget_s=budget_s), self.client.url)
        wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
        try:
            answer = self.client.post("/chat/completions", {**body, "response_format": wanted}, budget_s=budget_s)
        except Refused as refused:
            if refused.status not in (400, 422):
                raise
            answer = self.client.post("/chat/completions", body, budget_s=budget_s)
            self._schemas = False  # it was the schema that was refused: the rest of the turn is the same
        return _reply(answer, self.client.url)


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
        return Reply(text, choice.get("finish_reason") == "length", first)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError):
        raise ServerFailed(
            f"The model server at {url} answered without a message.", remedy="Check that it serves chat completions."
        ) from None
