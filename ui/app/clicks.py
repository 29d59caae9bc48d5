"""What clicks do on the search page, and what it remembers; Streamlit runs these before the page is drawn again.

What is open stands in the page's address too, as `open=MEDIUM@SECONDS`, so that a copied link opens on that second.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import streamlit as st

from data.errors import SecondSightError
from data.types import Box, MediaItem, Place
from search.feedback import Judgement, record
from search.limits import Without
from ui.app import held
from ui.app.asking import Judged, Reference
from ui.app.shown import Spot, clicked, markdown
from ui.uploads import kind_of

PAGE = 12  # results shown at once
state = st.session_state


def start() -> bool:
    """Whether the page is new to this person."""
    is_new = "spots" not in state
    first: dict[str, Any] = {
        "open": None,
        "nonce": 0,
        "reference": None,
        "picking_s": None,
        "pointing": False,
        "k": PAGE,
        "near": False,
        "spots": [],
        "judged": Judged(),
    }
    for name, value in first.items():
        state.setdefault(name, value)
    return is_new


def open_spot(spot: Spot) -> None:
    state.open, state.picking_s, state.pointing = spot, None, False
    state.nonce += 1
    second = "" if spot.peak_s is None else f"@{spot.peak_s:.3f}"
    st.query_params["open"] = f"{spot.item.media_id}{second}"


def close() -> None:
    state.open, state.picking_s = None, None
    st.query_params.pop("open", None)


def chosen_by_address(choices: Mapping[str, Collection[str]]) -> None:
    """What the address says is chosen, when the page is new; `choices` are there to choose from."""
    for name, there in choices.items():
        said = [value for value in st.query_params.get_all(name) if value in there]
        if said:
            state[name] = said if name == "kinds" else said[0]


def to_address(choices: Iterable[str]) -> None:
    """What is chosen stands in the address: not by Streamlit's own binding, which writes labels, counts and all."""
    for name in choices:
        if state.get(name):
            st.query_params[name] = state[name]
        else:
            st.query_params.pop(name, None)


def open_by_address() -> None:
    """What the address says is open, when the page is new; an address that says nothing known is let be."""
    media_id, _, second = st.query_params.get("open", "").partition("@")
    item = held.media_item(media_id) if media_id else None
    if item is not None:
        state.open = _spot_at(item, second)


def settle(spots: Sequence[Spot]) -> None:
    """What the address opened is one of the results, where it is: the player then knows the others."""
    asked = state.open
    if asked is None or asked.score is not None:
        return
    for spot in spots:
        if spot.item.media_id == asked.item.media_id and abs((spot.peak_s or 0.0) - (asked.peak_s or 0.0)) < 0.01:
            state.open = spot
            state.nonce += 1
            st.rerun()


def _spot_at(item: MediaItem, second: str) -> Spot:
    length_s = item.info.duration_s
    try:
        at_s = float(second)
    except ValueError:
        at_s = 0.0
    if length_s is None or not 0 <= at_s <= length_s:
        return Spot.of_medium(item)
    return Spot(item, at_s, at_s, min(length_s, at_s + 1.0))


def like(spot: Spot, at_s: float | None, box: Box | None = None) -> None:
    state.reference = Reference(spot.item.path.name, spot.item.media_id, at_s, box)
    on_question()


def judge(spot: Spot, good: bool) -> None:
    """The verdict changes the question at once, and is kept for `secondsight feedback export`."""
    before, place = state.judged, Place(spot.item.media_id, spot.peak_s)
    state.judged = before.with_verdict(place, good)
    if place in (state.judged.liked if good else state.judged.disliked):
        text, reference = (state.q or "").strip(), state.reference
        verdict = Judgement(
            text, str(spot.item.path), good, reference.title if reference else "", spot.start_s, spot.end_s
        )
        try:
            record(held.settings().library, verdict)
        except (SecondSightError, OSError) as error:
            st.toast(f"The verdict counts now but was not kept: {markdown(error)}")


def on_card() -> None:
    name, spot = clicked(state.cards.action, state.spots)
    if name == "close":
        close()
    elif spot is not None and name == "open":
        open_spot(spot)
    elif spot is not None:
        like(spot, spot.thumbnail_s)


def on_player() -> None:
    action = state.player.action
    if not action or state.open is None:
        return
    at_s = min(max(0.0, float(action["at_s"])), state.open.item.info.duration_s or 0.0)
    if action["name"] == "similar":
        like(state.open, at_s)
    else:
        state.picking_s = at_s


def on_picker() -> None:
    action = state.picker.action
    if not action or state.open is None:
        return
    if action["name"] == "box":
        info = state.open.item.info
        x, y, width, height = (min(1.0, max(0.0, float(part))) for part in action["box"])
        left, top = min(int(x * info.width), info.width - 1), min(int(y * info.height), info.height - 1)
        box = Box(left, top, max(1, round(width * info.width)), max(1, round(height * info.height)))
        box = Box(left, top, min(box.width, info.width - left), min(box.height, info.height - top))
        at_s = None if info.duration_s is None else state.picking_s
        like(state.open, at_s, box)
    state.picking_s = None


def on_question() -> None:
    """What belongs to the question before is forgotten."""
    state.k, state.near, state.judged = PAGE, False, Judged()
    close()


def on_upload() -> None:
    uploaded, state.reference = state.upload, None
    if uploaded is not None:
        has_seconds = kind_of(uploaded.getbuffer(), uploaded.name) in ("gif", "video")
        at_s = state.get(second_key(uploaded)) if has_seconds else None
        state.reference = Reference(uploaded.name, at_s=at_s, upload=uploaded.getvalue())
    on_question()


def second_key(uploaded: Any) -> str:
    """Where the second of an upload is written: each has its own, so that none is asked by another's."""
    return f"upload_s {uploaded.file_id}"


def drop_reference() -> None:
    state.reference = None
    on_question()


def loosen(one: Without) -> None:
    """Ask again without the limit that left nothing; what was chosen beside the words stands in them now."""
    state.q, state.kinds = one.text, list(one.kinds)
    state.folder, state.year = "", ""
    on_question()
