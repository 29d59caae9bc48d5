"""From moments to what the page draws: plain values only, ready for JSON, every text made safe."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data.types import Box, MediaItem, Moment
from ui.app import clips, routes
from ui.commands.search import beyond_looks
from ui.commands.search import why as reasons
from ui.text import plain, stretch, timecode

_MARKDOWN = re.compile(r"([!-/:-@\[-`{-~])")


def markdown(text: object, limit: int = 300) -> str:
    """Untrusted text inside a Markdown string: shown as it is, never read as markup.

    >>> markdown("a_b [x](y)")
    'a\\\\_b \\\\[x\\\\]\\\\(y\\\\)'
    """
    return _MARKDOWN.sub(r"\\\1", plain(text, limit))


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a medium that can be opened: a moment found, or a medium browsed (score None).

    Attributes:
        part: of a still, what the picture asked with looks like.
    """

    item: MediaItem
    start_s: float | None
    peak_s: float | None
    end_s: float | None
    score: float | None = None
    why: tuple[str, ...] = ()
    beyond_looks: str = ""
    part: Box | None = None

    @classmethod
    def of_moment(cls, moment: Moment) -> Spot:
        told, beyond = tuple(reasons(moment)), beyond_looks(moment)
        part = next((evidence.box for evidence in moment.evidence if evidence.box is not None), None)
        return cls(moment.media, moment.start_s, moment.peak_s, moment.end_s, moment.score, told, beyond, part)

    @classmethod
    def of_medium(cls, item: MediaItem) -> Spot:
        length_s = item.info.duration_s
        return cls(item, None, None, None) if length_s is None else cls(item, 0.0, 0.0, length_s)

    @property
    def key(self) -> str:
        """Tells it from any other result: what is clicked may be gone from the list by the time that we hear of it."""
        return f"{self.item.media_id}@{self.peak_s}{'' if self.score is None else '!'}"

    @property
    def thumbnail_s(self) -> float | None:
        """The middle of a medium that is only browsed: films begin in black, and with titles."""
        if self.peak_s is None or self.score is not None:
            return self.peak_s
        return 0.5 * (self.item.info.duration_s or 0.0)


def card(spot: Spot, *, is_open: bool) -> dict[str, Any]:
    """One card of `components.cards`."""
    item, name = spot.item, plain(spot.item.path.name, 200)
    browsed, duration_s = spot.score is None, item.info.duration_s
    second, share = "", None
    if spot.peak_s is not None and spot.start_s is not None and spot.end_s is not None and duration_s:
        second = timecode(duration_s if browsed else spot.peak_s)
        if not browsed:
            share = [min(1.0, spot.start_s / duration_s), min(1.0, (spot.end_s - spot.start_s) / duration_s)]
    size = f"{item.info.width} × {item.info.height}"
    return {
        "key": spot.key,
        "label": f"Open {name}" + (f" at {second}" if second and not browsed else ""),
        "name": name,
        "path": plain(item.path, 1000),
        "kind": item.info.kind,
        "thumb": routes.still_url(item, spot.thumbnail_s),
        "src": routes.play_url(item),
        "start_s": spot.start_s,
        "end_s": None if browsed else spot.end_s,
        "second": second,
        "stretch": size if browsed or spot.start_s is None else stretch(spot.start_s, spot.end_s),
        "share": share,
        "score": spot.score,
        "why": spot.beyond_looks,
        "open": is_open,
    }


def clicked(action: Mapping[str, Any] | None, spots: Iterable[Spot]) -> tuple[str, Spot | None]:
    """What `components.cards` tell of a click: "open", "similar" or "close", and the spot where it is still shown."""
    if not action:
        return "", None
    return action["name"], next((spot for spot in spots if spot.key == action.get("key")), None)


def player(spot: Spot, others: Sequence[Spot], nonce: int) -> dict[str, Any]:
    """The data of `components.player` for a spot in a video or GIF.

    Args:
        others: all results; those in the same medium are marked on the timeline.
    """
    item = spot.item
    marks = [
        {"rank": rank, "start_s": other.start_s, "peak_s": other.peak_s, "end_s": other.end_s}
        for rank, other in enumerate(others, start=1)
        if other.item.media_id == item.media_id and other != spot and other.score is not None
    ]
    is_gif = item.info.kind == "gif"
    return {
        "media": item.media_id,
        "title": plain(item.path.name, 200),
        "codec": plain(item.info.codec or item.info.container, 40),
        "src": routes.play_url(item),
        "clip_url": routes.clip_url(item),
        "clip_s": clips.CLIP_S,
        "clip_only": is_gif,  # no browser can seek in an animated picture
        "loops": is_gif,
        "poster": routes.still_url(item, spot.peak_s, routes.STILL_SIDES[1]),
        "start_s": spot.start_s,
        "peak_s": spot.peak_s,
        "end_s": spot.end_s,
        "duration_s": item.info.duration_s,
        "marks": marks,
        "nonce": nonce,
    }
