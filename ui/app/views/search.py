"""The search page: a question on top, the player when something is open, the results below."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice

import streamlit as st

from data.errors import LibraryNotFound, SecondSightError
from data.media import MEDIA_EXTENSIONS
from data.types import KINDS, SearchResponse
from search.limits import Without
from ui.app import clicks, components, held, shown
from ui.app.asking import Judged, Reference, ask
from ui.app.facets import narrowed
from ui.app.panel import panel
from ui.app.shown import Spot, markdown
from ui.commands.search import matches_without
from ui.text import count, plain
from ui.uploads import kind_of

_HELP = """Words as they come, in English or Chinese. More precisely:

`beach -people` without · `"the very words"` said or written · `a dog jumps then it swims within 20s` in this order ·
`said:hello` heard · `text:exit` on screen · `color:red` · `kind:video duration<60` · `in:holidays` ·
`after:2024-01-31` · `price<500` your own fields · `sofa^2` counts double"""
state = st.session_state


def _question(is_new: bool) -> tuple[str, list[str], str]:
    facets = held.facets()
    choices = {"kinds": KINDS, "folder": facets.folders, "year": facets.years, "group_by": facets.fields}
    if is_new:
        clicks.chosen_by_address(choices)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="question"):
        text = st.text_input(
            "Search",
            key="q",
            max_chars=500,
            placeholder="What are you looking for?  A dog catches a frisbee …",
            help=_HELP,
            icon=":material/search:",
            label_visibility="collapsed",
            on_change=clicks.on_question,
            bind="query-params",
        )
        with st.popover("Picture", icon=":material/image_search:"):
            uploaded = st.file_uploader(
                "Search by a picture, or by a second of a film",
                type=[ending.removeprefix(".") for ending in MEDIA_EXTENSIONS],
                key="upload",
                on_change=clicks.on_upload,
                max_upload_size=50,
            )
            if uploaded is not None and kind_of(uploaded.getbuffer(), uploaded.name) in ("gif", "video"):
                st.number_input(
                    "Its second", 0.0, value=None, step=1.0, format="%.1f", key=clicks.second_key(uploaded),
                    placeholder="12.5", on_change=clicks.on_upload,
                )  # fmt: skip
        st.button("Search", type="primary")
    names = {"image": "Images", "gif": "GIFs", "video": "Videos"}
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        kinds = st.pills(
            "Kinds",
            list(KINDS),
            selection_mode="multi",
            format_func=lambda kind: f"{names[kind]} {facets.kinds.get(kind, 0):,}",
            key="kinds",
            label_visibility="collapsed",
            on_change=clicks.on_question,
        )
        folder = _choice("folder", "All folders", {path: facets.shown(path) for path in facets.folders}, facets.folders)
        year = _choice("year", "All years", {year: year for year in facets.years}, facets.years)
        group_by = _choice("group_by", "All results", {name: f"One result a {name}" for name in facets.fields})
    clicks.to_address(choices)
    return narrowed((text or "").strip(), folder, year), list(kinds or []), group_by


def _choice(key: str, everything: str, names: dict[str, str], counts: dict[str, int] | None = None) -> str:
    """One of several, or "" for all; not there where there is nothing to choose."""
    if len(names) < (2 if counts else 1):
        return ""

    def shown_as(value: str) -> str:
        if not value:
            return everything
        return plain(names.get(value, value), 60) + (f" ({counts[value]:,})" if counts and value in counts else "")

    chosen = st.selectbox(
        everything,
        ["", *names],
        format_func=shown_as,
        key=key,
        label_visibility="collapsed",
        width=170,  # two beside each other on a phone
        on_change=clicks.on_question,
    )
    return chosen or ""


def _reference_chip(reference: Reference) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        with suppress(SecondSightError):  # the search itself says what is wrong with the picture
            st.image(reference.thumbnail_jpeg(), width=96)
        st.markdown(f"Looks like **{markdown(reference.title)}**")
        st.button("Remove", icon=":material/close:", on_click=clicks.drop_reference, type="tertiary")


def _results(text: str, reference: Reference | None, kinds: list[str], group_by: str) -> None:
    unsaid = reference is not None and reference.upload and reference.at_s is None
    if reference and unsaid and kind_of(reference.upload, reference.label) == "video":
        st.info(
            f"Which second of {markdown(reference.title)}? Write it below the file, behind *Picture*.",
            icon=":material/movie:",
        )
        return _grid([])
    with st.spinner("Searching …", show_time=False):
        response, loose = ask(text, reference, kinds, state.k, group_by=group_by, judged=state.judged)
    spots = [Spot.of_moment(moment) for moment in response.moments]
    clicks.settle(spots)
    if response.no_match:
        asked = (f"“{text}”" if text else "", f"what looks like {reference.title}" if reference else "")
        _no_match(" and ".join(filter(None, asked)), loose)
        if spots and not state.near:  # what does not match is not in the way of who looks for something else
            near, told = (lambda: state.update(near=True)), f"Show the nearest {len(spots)}, none of them a match"
            st.button(told, key="show_near", icon=":material/expand_more:", type="tertiary", on_click=near)
            spots = []
        if not spots:
            return _grid([])
        st.subheader("The nearest: none of them a match")
    else:
        st.caption(_told(response))
    scores = [moment.score for moment in response.moments]
    likely = response.matches
    # The line under what is likely can only be drawn where the order is that of the scores.
    split = likely if 0 < likely < len(scores) and min(scores[:likely]) >= max(scores[likely:]) else None
    _grid(spots, split)
    if len(spots) >= state.k:
        st.button("More results", on_click=lambda: state.update(k=state.k + clicks.PAGE), width="stretch")


def _no_match(asked: str, loose: list[Without]) -> None:
    other = "" if loose else " Other words may help: name what is to be seen, in English or Chinese."
    st.info(f"**Nothing here matches** {markdown(asked)}.{other}", icon=":material/search_off:")
    with st.container(horizontal=True, gap="small"):
        for place, one in enumerate(loose):
            label = f"{matches_without(one)} {markdown(one.limit, 80)}"
            st.button(
                label, key=f"loose {place}", on_click=clicks.loosen, args=(one,), icon=":material/filter_alt_off:"
            )


def _told(response: SearchResponse) -> str:
    shown, seconds = len(response.moments), response.timing_ms.get("total", 0.0) / 1000
    likely = f", {response.matches} likely what was asked" if response.matches < shown else ""
    changed = ", drawn by what you liked and did not" if state.judged != Judged() else ""
    return f"{count(shown, 'result')} in {seconds:.1f} s{likely}{changed}"


def _browse(kinds: list[str]) -> None:
    media = (item for item in held.reader().media() if not kinds or item.info.kind in kinds)
    spots = [Spot.of_medium(item) for item in islice(media, 2 * clicks.PAGE)]
    st.caption("In this library" if spots else "Nothing of this kind is in the library.")
    _grid(spots)


def _grid(spots: list[Spot], split: int | None = None) -> None:
    state.spots = spots
    items = [shown.card(spot, is_open=spot == state.open) for spot in spots]
    components.cards("cards", items, clicks.on_card, split)


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
    is_new = clicks.start()
    text, kinds, group_by = _question(is_new)
    above = st.container()
    try:
        if is_new:
            clicks.open_by_address()
        if state.reference is not None:
            with above:
                _reference_chip(state.reference)
        if state.open is not None:
            with above:
                panel(state.open)
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
