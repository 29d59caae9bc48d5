"""What the page asks the engine: words, a picture, or both; each question answered once, however often it is drawn."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, replace
from pathlib import Path

import streamlit as st

from data.media import picture
from data.types import Box, ImageQuery, Pixels, Place, SearchResponse
from search.limits import Without
from ui.app import held
from ui.commands.search import loosened
from ui.text import plain, timecode
from ui.uploads import picture_of

_SESSION_KEY = "answer"
_THUMBNAIL = "thumbnail"


@dataclass(frozen=True, slots=True)
class Reference:
    """A picture to search by: something in the library, or an upload.

    Attributes:
        media_id: "" for an upload.
        at_s: of a frame; None for a still, and of an upload until it is said.
        box: the part of it that counts; None: all of it.
        upload: bytes of an uploaded file.
    """

    label: str
    media_id: str = ""
    at_s: float | None = None
    box: Box | None = None
    upload: bytes = b""

    @property
    def key(self) -> tuple[object, ...]:
        return self.media_id, self.at_s, self.box, hashlib.blake2b(self.upload, digest_size=16).hexdigest()

    @property
    def title(self) -> str:
        second = "" if self.at_s is None else f" at {timecode(self.at_s)}"
        return f"{'part of ' if self.box else ''}{plain(self.label, 80)}{second}"

    def thumbnail_jpeg(self) -> bytes:
        """A small picture of exactly what is searched by; the last one is kept. Raises: as `pixels`."""
        from PIL import Image

        kept = st.session_state.get(_THUMBNAIL)
        if kept is not None and kept[0] == self.key:
            return kept[1]
        small = Image.fromarray(self.pixels())
        small.thumbnail((240, 240))
        small.save(buffer := io.BytesIO(), "JPEG", quality=85)
        st.session_state[_THUMBNAIL] = (self.key, buffer.getvalue())  # by its key: an upload's bytes are not held
        return buffer.getvalue()

    def pixels(self) -> Pixels:
        """Raises: as `ui.uploads.picture_of`."""
        max_pixels = held.settings().max_pixels
        if self.media_id:
            item = held.media_item(self.media_id)
            path = item.path if item is not None else Path(self.label)
            return picture(path, at_s=self.at_s, box=self.box, max_pixels=max_pixels)
        return picture_of(
            self.upload, self.label, at_s=self.at_s, max_pixels=max_pixels,
            remedy="Write its second below the file, behind Picture.",
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Judged:
    """What a person said of results of the question at hand."""

    liked: tuple[Place, ...] = ()
    disliked: tuple[Place, ...] = ()

    def with_verdict(self, place: Place, good: bool) -> Judged:
        """The same verdict again takes it back."""
        mine, other = (self.liked, self.disliked) if good else (self.disliked, self.liked)
        mine = tuple(one for one in mine if one != place) if place in mine else (*mine, place)
        other = tuple(one for one in other if one != place)
        return Judged(mine, other) if good else Judged(other, mine)


def ask(
    text: str,
    reference: Reference | None,
    kinds: list[str],
    k: int,
    *,
    group_by: str = "",
    judged: Judged | None = None,
) -> tuple[SearchResponse, list[Without]]:
    """The engine's answer and, where nothing matches, without which limits something does; the last one is kept.

    Raises:
        SecondSightError: the library, the models or the picture cannot be used.
    """
    judged = judged or Judged()
    question = (text, reference.key if reference else None, tuple(kinds), k, group_by, judged)
    kept = st.session_state.get(_SESSION_KEY)
    if kept is not None and kept[0] == question:
        return kept[1]
    images = [ImageQuery(reference.pixels(), label=reference.title)] if reference else []
    with held.engine() as engine:
        # What stands in the box of a page may not name files of the machine that serves it.
        query = engine.query(text, images=images, kinds=kinds, k=k, group_by=group_by, files=False)
        if reference and reference.media_id:
            query = replace(query, exclude_media_id=reference.media_id, exclude_at_s=reference.at_s)
        response = engine.search(replace(query, liked=judged.liked, disliked=judged.disliked))
        answer = response, loosened(engine, response, kinds, images, files=False)
    st.session_state[_SESSION_KEY] = (question, answer)
    return answer
