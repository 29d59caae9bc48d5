"""Our own pieces of the page. Data reaches them as JSON and is shown with textContent only, never as HTML."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any


@cache
def _component(name: str) -> Callable[..., Any]:
    """The component of a name, from its files beside this module; registered once a process."""
    import streamlit as st

    here = resources.files(__package__)
    html, css, js = ((here / f"{name}.{suffix}").read_text("utf-8") for suffix in ("html", "css", "js"))
    return st.components.v2.component(f"secondsight_{name}", html=html, css=css, js=js)


def player(key: str, data: dict[str, Any], on_action: Callable[[], None]) -> None:
    """A video that stands on its second, with the moment drawn on its timeline.

    Args:
        data: media, title, codec, src, clip_url, clip_s, clip_only, loops, poster, start_s, peak_s, end_s, duration_s,
            marks [{rank, start_s, peak_s, end_s}], and `nonce`: a new one seeks again, even to the same second.
        on_action: called when session_state[key].action holds {"name": "similar" | "part", "at_s": s}.
    """
    _component("player")(key=key, data=data, on_action_change=on_action)


def cards(key: str, items: list[dict[str, Any]], on_action: Callable[[], None], split: int | None = None) -> None:
    """Results as a grid of thumbnails, and the keys of the page: / to the question, arrows, Enter, Escape.

    Args:
        on_action: called when session_state[key].action holds {"name": "open" | "similar", "key": of the item}, or
            {"name": "close"}.
        split: from which item on they are only the nearest; None: no line is drawn.
    """
    _component("cards")(key=key, data={"items": items, "split": split}, on_action_change=on_action)


def picker(key: str, src: str, on_action: Callable[[], None]) -> None:
    """A picture on which a box is drawn.

    Args:
        on_action: called when session_state[key].action holds {"name": "box", "box": [x, y, w, h]} in fractions of
            the picture, or {"name": "cancel"}.
    """
    _component("picker")(key=key, data={"src": src}, on_action_change=on_action)
