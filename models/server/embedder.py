"""Vectors of pictures and words from a server's /embeddings."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from data.errors import ServerFailed
from data.types import Pixels, Vectors
from models.background import PictureBackground
from models.base import Modality, ModelIdentity
from models.qwen3vl.pixels import EMBED_BUDGET
from models.qwen3vl.prompts import load
from models.server.chat import Part, picture_part, text_part
from models.server.client import Client, Refused

MOST_DIM = 65_536

T = TypeVar("T")


class ServerEmbedder:
    """A `JointEmbedder` over HTTP.

    Two ways of asking are known. "chat": the published turn of Qwen3-VL-Embedding, the instruction as system message
    and an assistant turn left open. "bare": a lone user message, for CLIP, SigLIP and their like, which refuse the
    other. The first request tells which one the server takes; it is part of the identity, as the vectors depend on it.

    Args:
        model: its id on the server. Servers do not tell a model's revision: serve changed weights under another id.
    """

    def __init__(self, client: Client, model: str) -> None:
        self._client = client
        self._model = model
        self._lock = threading.Lock()
        self._background = PictureBackground(self.embed_images)

    @property
    def identity(self) -> ModelIdentity:
        form, dim = self._form
        return ModelIdentity(
            name=f"server/{self._model}",
            revision="as-served",
            dim=dim,
            preprocessing=f"{form}-jpeg95-{EMBED_BUDGET.max_pixels}",
        )

    def embed_images(self, images: Sequence[Pixels]) -> Vectors:
        return self._embed(images, lambda image: picture_part(image, EMBED_BUDGET.max_pixels))

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        return self._embed(texts, text_part)

    def match_probability(
        self, query_vectors: Vectors, similarities: npt.NDArray[np.float32], modality: Modality
    ) -> npt.NDArray[np.float32]:
        return self._background.match_probability(query_vectors, similarities, modality)

    @property
    def _form(self) -> tuple[str, int]:
        with self._lock:
            return self._found_form

    @cached_property
    def _found_form(self) -> tuple[str, int]:
        """The way of asking that the server takes, and the length of its vectors."""
        try:
            return "chat", len(self._vector(text_part("a cat"), "chat"))
        except Refused as refused:
            if refused.status not in (400, 422):
                raise
            return "bare", len(self._vector(text_part("a cat"), "bare"))

    def _embed(self, items: Sequence[T], part_of: Callable[[T], Part]) -> Vectors:
        form, dim = self._form
        rows = self._client.map(lambda item: self._vector(part_of(item), form), items)
        if any(len(row) != dim for row in rows):
            raise self._wrong("vectors of different lengths")
        return np.stack(rows) if rows else np.empty((0, dim), np.float32)

    def _vector(self, part: Part, form: str) -> npt.NDArray[np.float32]:
        messages: list[dict[str, Any]] = [{"role": "user", "content": [part]}]
        body: dict[str, Any] = {"model": self._model, "messages": messages, "encoding_format": "float"}
        if form == "chat":
            messages.insert(0, {"role": "system", "content": [text_part(load("embed").system)]})
            messages.append({"role": "assistant", "content": [{"type": "text", "text": ""}]})
            body |= {"continue_final_message": True, "add_special_tokens": True}
        answer = self._client.post("/embeddings", body)
        try:
            vector = np.asarray(answer["data"][0]["embedding"], dtype=np.float32)
        except (KeyError, IndexError, TypeError, ValueError):
            raise self._wrong("no vector") from None
        length = float(np.linalg.norm(vector)) if vector.ndim == 1 and 1 <= len(vector) <= MOST_DIM else 0.0
        if not (np.isfinite(length) and length > 0):
            raise self._wrong("a vector that is none")
        return vector / length

    def _wrong(self, what: str) -> ServerFailed:
        return ServerFailed(
            f"The model server at {self._client.url} answered with {what}.",
            remedy=f"Check that {self._model!r} makes vectors there.",
        )
