"""The open result on the search page: its picture or player, and what is known of it."""

from __future__ import annotations

import streamlit as st

from data.errors import SecondSightError
from data.types import Place
from ui.app import clicks, components, held, routes, shown
from ui.app.shown import Spot, markdown
from ui.text import count, path_text, stretch, timecode

state = st.session_state


def panel(spot: Spot) -> None:
    item = spot.item
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{markdown(item.path.name)}**", width="stretch")
            st.button("Close", icon=":material/close:", on_click=clicks.close, type="tertiary", key="close")
        picture, facts = st.columns([7, 3], gap="medium")
        with picture:
            if state.picking_s is not None:
                at_s = None if item.info.duration_s is None else state.picking_s
                components.picker("picker", routes.still_url(item, at_s, routes.STILL_SIDES[1]), clicks.on_picker)
            elif item.info.kind == "image":
                _still(spot)
            else:
                components.player("player", shown.player(spot, state.spots, state.nonce), clicks.on_player)
            if state.pointing:
                _pointed(spot)
        with facts:
            _facts(spot)


def _still(spot: Spot) -> None:
    try:
        if spot.part is None:
            st.image(held.still_jpeg(spot.item, None, routes.STILL_SIDES[1]), width="stretch")
        else:
            st.image(held.part_jpeg(spot.item, spot.part), width="stretch")
    except SecondSightError as error:
        st.error(markdown(error))
        return
    with st.container(horizontal=True):
        st.button("Similar to this", on_click=clicks.like, args=(spot, None))
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
                on_click=clicks.judge,
                args=(spot, good),
            )
