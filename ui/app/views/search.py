"""The search page: a question on top, the player when something is open, the results below."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice

import streamlit as st

from data.errors import LibraryNotFound, SecondSightError
from data.types import KINDS, Box, Place
from search.feedback import Judgement, record
from ui.app import components, held, routes, shown
from ui.app.asking import Judged, Reference, ask
from ui.app.shown import Spot, markdown
from ui.text import count, path_text, plain, stretch, timecode

_PAGE = 12
_HELP = """Words as they come, in English or Chinese. More precisely:

`beach -people` without · `"the very words"` said or written · `a dog jumps then it swims within 20s` in this order ·
`said:hello` heard · `text:exit` on screen · `color:red` · `kind:video duration<60` · `in:holidays` ·
`after:2024-01-31` · `price<500` your own fields · `sofa^2` counts double"""
_UPLOADS = ["jpg", "jpeg", "png", "webp", "avif", "heic", "bmp", "tif", "tiff", "gif"]
state = st.session_state


def _start() -> None:
    for name, value in {
        "open": None,
        "nonce": 0,
        "reference": None,
        "picking_s": None,
        "pointing": False,
        "k": _PAGE,
        "spots": [],
        "judged": Judged(),
    }.items():
        state.setdefault(name, value)


# What clicks do; Streamlit runs these before the page is drawn again.


def _open(spot: Spot) -> None:
    state.open, state.picking_s, state.pointing = spot, None, False
    state.nonce += 1


def _close() -> None:
    state.open, state.picking_s = None, None


def _like(spot: Spot, at_s: float | None, box: Box | None = None) -> None:
    state.reference = Reference(spot.item.path.name, spot.item.media_id, at_s, box)
    state.k, state.judged = _PAGE, Judged()
    _close()


def _judge(spot: Spot, good: bool) -> None:
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


def _on_card() -> None:
    action = state.cards.action
    spot = next((spot for spot in state.spots if action and spot.key == action["key"]), None)
    if spot is None:
        return
    if action["name"] == "open":
        _open(spot)
    else:
        _like(spot, spot.thumbnail_s)


def _on_player() -> None:
    action = state.player.action
    if not action or state.open is None:
        return
    at_s = min(max(0.0, float(action["at_s"])), state.open.item.info.duration_s or 0.0)
    if action["name"] == "similar":
        _like(state.open, at_s)
    else:
        state.picking_s = at_s


def _on_picker() -> None:
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
        _like(state.open, at_s, box)
    state.picking_s = None


def _on_question() -> None:
    state.k, state.judged = _PAGE, Judged()
    _close()


def _on_upload() -> None:
    uploaded = state.upload
    state.reference = Reference(uploaded.name, upload=uploaded.getvalue()) if uploaded is not None else None
    _on_question()


def _drop_reference() -> None:
    state.reference = None
    _on_question()


# What is drawn, from top to bottom.


def _question() -> tuple[str, list[str], str]:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="question"):
        text = st.text_input(
            "Search",
            key="q",
            max_chars=500,
            placeholder="What are you looking for?  A dog catches a frisbee …",
            help=_HELP,
            icon=":material/search:",
            label_visibility="collapsed",
            on_change=_on_question,
            bind="query-params",
        )
        with st.popover("Picture", icon=":material/image_search:"):
            st.file_uploader(
                "Search by a picture",
                type=_UPLOADS,
                key="upload",
                on_change=_on_upload,
                max_upload_size=50,
            )
        st.button("Search", type="primary")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        kinds = st.pills(
            "Kinds",
            list(KINDS),
            selection_mode="multi",
            format_func={"image": "Images", "gif": "GIFs", "video": "Videos"}.get,
            key="kinds",
            label_visibility="collapsed",
            on_change=_on_question,
        )
        group_by = ""
        if fields := held.fields():
            group_by = st.selectbox(
                "Group by",
                ["", *fields],
                format_func=lambda name: f"One result a {plain(name, 40)}" if name else "All results",
                key="group_by",
                label_visibility="collapsed",
                width=220,
                on_change=_on_question,
            )
    return (text or "").strip(), list(kinds or []), group_by or ""


def _reference_chip(reference: Reference) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        with suppress(SecondSightError):  # the search itself says what is wrong with the picture
            st.image(reference.thumbnail_jpeg(), width=96)
        st.markdown(f"Looks like **{markdown(reference.title)}**")
        st.button("Remove", icon=":material/close:", on_click=_drop_reference, type="tertiary")


def _panel(spot: Spot) -> None:
    """The open result: its picture or player, and what is known of it."""
    item = spot.item
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{markdown(item.path.name)}**", width="stretch")
            st.button("Close", icon=":material/close:", on_click=_close, type="tertiary", key="close")
        picture, facts = st.columns([7, 3], gap="medium")
        with picture:
            if state.picking_s is not None:
                at_s = None if item.info.duration_s is None else state.picking_s
                components.picker("picker", routes.still_url(item, at_s, routes.STILL_SIDES[1]), _on_picker)
            elif item.info.kind == "image":
                _still(spot)
            else:
                components.player("player", shown.player(spot, state.spots, state.nonce), _on_player)
            if state.pointing:
                _pointed(spot)
        with facts:
            _facts(spot)


def _still(spot: Spot) -> None:
    try:
        st.image(held.still_jpeg(spot.item, None, routes.STILL_SIDES[1]), width="stretch")
    except SecondSightError as error:
        st.error(markdown(error))
        return
    with st.container(horizontal=True):
        st.button("Similar to this", on_click=_like, args=(spot, None))
        st.button("Part of it …", on_click=lambda: state.update(picking_s=0.0))


def _pointed(spot: Spot) -> None:
    """The moment's picture with what was asked for framed in it."""
    words = (state.q or "").strip()
    try:
        with st.spinner("Looking for it …", show_time=False):
            jpeg, boxes = held.pointed_jpeg(spot.item.media_id, spot.thumbnail_s, words)
    except SecondSightError as error:
        st.error(markdown(error))
        return
    st.image(jpeg, width="stretch")
    st.caption(
        f"{count(boxes, 'place')} of “{markdown(words)}”" if boxes else f"No “{markdown(words)}” in this picture"
    )


def _facts(spot: Spot) -> None:
    info = spot.item.info
    if spot.score is not None:
        st.metric("Match", f"{spot.score:.0%}")
        if spot.start_s is not None:
            st.markdown(f"**{timecode(spot.peak_s or 0)}** in {stretch(spot.start_s, spot.end_s)}")
        for reason in spot.why:
            st.caption(markdown(reason))
        if (state.q or "").strip() and held.can_point():
            st.button("Show where", icon=":material/center_focus_strong:", on_click=lambda: state.update(pointing=True))
        _verdict(spot)
    size = f"{info.width} × {info.height}"
    length = "" if info.duration_s is None else f", {timecode(info.duration_s)}"
    st.caption(f"{info.kind}, {size}{length}, {markdown(info.codec or info.container, 40)}")
    st.caption(markdown(path_text(spot.item.path), 500))


def _verdict(spot: Spot) -> None:
    """Is this what was asked?"""
    if not ((state.q or "").strip() or state.reference):
        return
    place = Place(spot.item.media_id, spot.peak_s)
    with st.container(horizontal=True, gap="small"):
        for good, icon, told in ((True, "thumb_up", "More like this"), (False, "thumb_down", "Not this")):
            given = place in (state.judged.liked if good else state.judged.disliked)
            st.button(
                told,
                icon=f":material/{icon}:",
                type="primary" if given else "secondary",
                key=f"verdict_{good}",
                on_click=_judge,
                args=(spot, good),
            )


def _results(text: str, reference: Reference | None, kinds: list[str], group_by: str) -> None:
    with st.spinner("Searching …", show_time=False):
        response = ask(text, reference, kinds, state.k, group_by=group_by, judged=state.judged)
    spots = [Spot.of_moment(moment) for moment in response.moments]
    asked = " and ".join(
        filter(None, (f"“{text}”" if text else "", f"what looks like {reference.title}" if reference else ""))
    )
    if response.no_match or not spots:
        nearest = " The nearest are below, as such." if spots else ""
        limits = " Kinds are limited above." if kinds else ""
        st.info(
            f"Nothing in this library seems to match {markdown(asked)}.{nearest}{limits} Other words may help: "
            "name what is to be seen, in English or Chinese.",
            icon=":material/search_off:",
        )
    total_ms = response.timing_ms.get("total", sum(response.timing_ms.values()))
    likely = f", {response.matches} likely what was asked" if response.matches < len(spots) else ""
    changed = ", drawn by what you liked and did not" if state.judged != Judged() else ""
    st.caption(f"{count(len(spots), 'result')} in {total_ms:.0f} ms{likely}{changed}")
    _grid(spots)
    if len(spots) >= state.k:
        st.button("More results", on_click=lambda: state.update(k=state.k + _PAGE), width="stretch")


def _browse(kinds: list[str]) -> None:
    media = (item for item in held.reader().media() if not kinds or item.info.kind in kinds)
    spots = [Spot.of_medium(item) for item in islice(media, 2 * _PAGE)]
    st.caption("In this library" if spots else "Nothing of this kind is in the library.")
    _grid(spots)


def _grid(spots: list[Spot]) -> None:
    state.spots = spots
    components.cards("cards", [shown.card(spot, is_open=spot == state.open) for spot in spots], _on_card)


def _empty(error: LibraryNotFound) -> None:
    st.subheader("This library is empty")
    st.markdown("Add images, GIFs and videos, then search them here:")
    st.code(f"secondsight index PATH --library '{held.settings().library}'", language="bash")
    st.caption(markdown(error))
    st.button("Look again", icon=":material/refresh:")


def _warm_up() -> None:
    """The first visitor of the server waits for the models, and sees why."""
    waiting = st.empty()
    if not state.get("warm"):
        with waiting.status("Getting the models ready, a few seconds …"), held.engine():
            state.warm = True
    waiting.empty()


def page() -> None:
    _start()
    text, kinds, group_by = _question()
    above = st.container()
    try:
        if state.reference is not None:
            with above:
                _reference_chip(state.reference)
        if state.open is not None:
            with above:
                _panel(state.open)
        _warm_up()
        if text or state.reference is not None:
            _results(text, state.reference, kinds, group_by)
        else:
            _browse(kinds)
    except LibraryNotFound as error:
        _empty(error)
    except SecondSightError as error:
        st.error(markdown(error, 2000), icon=":material/error:")


page()
