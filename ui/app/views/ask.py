"""The ask page: a question, its answer, and the seconds it rests on; each opens in the player."""

from __future__ import annotations

from typing import Any

import streamlit as st

from data.errors import ModelError, SecondSightError
from search.ask import Reply, Source
from search.scope import stretch_of
from ui.app import components, held, shown
from ui.app.asking import Reference
from ui.app.shown import Spot, clicked, markdown
from ui.talking import paragraphs, remedies
from ui.text import stretch, timecode

state = st.session_state
_CHANNELS = {"speech": "Said", "screen": "Written", "caption": "Described"}


def _start() -> None:
    first: dict[str, Any] = {"asked": None, "asked_open": None, "asked_nonce": 0, "asked_spots": []}
    for name, value in first.items():
        state.setdefault(name, value)


# What clicks do; Streamlit runs these before the page is drawn again.


def _open(spot: Spot) -> None:
    state.asked_open = spot
    state.asked_nonce += 1


def _close() -> None:
    state.asked_open = None


def _on_card() -> None:
    name, spot = clicked(state.sources.action, state.asked_spots)
    if name == "close":
        _close()
    elif spot is not None and name == "open":
        _open(spot)
    elif spot is not None:
        _to_search(spot, spot.peak_s)


def _on_player() -> None:
    action = state.asked_player.action
    if action and state.asked_open is not None:
        at_s = min(max(0.0, float(action["at_s"])), state.asked_open.item.info.duration_s or 0.0)
        _to_search(state.asked_open, at_s)


def _to_search(spot: Spot, at_s: float | None) -> None:
    """What looks like this frame is the other page's to find."""
    state.reference = Reference(spot.item.path.name, spot.item.media_id, at_s)
    state.asked_leaves = True


# What is drawn, from top to bottom.


def _question() -> str:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="question"):
        text = st.text_input(
            "Ask",
            key="asked_question",
            max_chars=2000,
            placeholder="What did he say about the price?",
            icon=":material/forum:",
            label_visibility="collapsed",
            on_change=_close,
            bind="query-params",
        )
        st.button("Ask", type="primary")
    return text.strip()


def _reply(question: str, only: Spot | None) -> tuple[Reply, str]:
    """The answer, and what kept the model from giving it; the last one of this session is kept."""
    key = question, only.item.media_id if only is not None else ""
    if state.asked is None or state.asked[0] != key:
        scope = None if only is None else stretch_of(only.item)
        with st.spinner("Looking …", show_time=True):
            lacking = held.lacks_model()
            try:
                reply = held.ask(question, scope, by_model=not lacking)
            except ModelError as error:
                lacking, reply = str(error), held.ask(question, scope, by_model=False)
        state.asked = key, reply, lacking
    return state.asked[1:]


def _without_model(lacking: str) -> None:
    """What is missing for an answer in a model's words, and how to add it."""
    quotable = held.reader().stats().texts > 0
    quoted = "Until then the library's own sentences are quoted: what is said, written or described."
    if not quotable:
        quoted = "Nor does this library hold sentences to quote. What looks like the question is found all the same."
    st.warning(markdown(f"{lacking} {quoted}", 2000), icon=":material/info:")
    with st.expander("How to add it", expanded=not quotable):
        for what, commands in remedies(held.settings(), quotable):
            st.caption(f"{what}:")
            st.code(commands, language="bash", wrap_lines=True)


def _answer(reply: Reply) -> None:
    if reply.answered:
        for line in paragraphs(reply.text):
            st.markdown(markdown(line, 4000))
    else:
        st.info(markdown(reply.text, 4000), icon=":material/search_off:")
    state.asked_spots = [_spot(source) for source in reply.sources]
    for place, (source, spot) in enumerate(zip(reply.sources, state.asked_spots, strict=True)):
        if source.quote:
            with st.container(horizontal=True, vertical_alignment="center"):
                at = "Open" if source.at_s is None else timecode(source.at_s)
                st.button(at, key=f"quote {place}", on_click=_open, args=(spot,))
                st.markdown(f"{_CHANNELS[source.channel]}: “{markdown(source.quote, 600)}”", width="stretch")
    if reply.by_model and reply.answered:
        st.caption("Written by a model from the moments below: look at them before you rely on it.")
    cards = [{**shown.card(spot, is_open=spot == state.asked_open), "score": None} for spot in state.asked_spots]
    components.cards("sources", cards, _on_card)


def _spot(source: Source) -> Spot:
    """score 0: not browsed but found; no number is shown for it."""
    why = (f"{_CHANNELS[source.channel].lower()}: {source.quote}",) if source.quote else ()
    return Spot(source.item, source.start_s, source.at_s, source.end_s, 0.0, why, why[0] if why else "")


def _panel(spot: Spot) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{markdown(spot.item.path.name)}**", width="stretch")
            st.button("Close", icon=":material/close:", on_click=_close, type="tertiary", key="asked_close")
        if spot.item.info.kind == "image":
            st.image(held.still_jpeg(spot.item, None, 1600), width="stretch")
        else:
            components.player("asked_player", shown.player(spot, state.asked_spots, state.asked_nonce), _on_player)
            if spot.peak_s is not None:
                st.markdown(f"**{timecode(spot.peak_s)}** in {stretch(spot.start_s, spot.end_s)}")


def page() -> None:
    _start()
    if state.pop("asked_leaves", False):
        st.switch_page("views/search.py")
    question = _question()
    on_search: Spot | None = state.get("open")
    only = None
    if on_search is not None and st.checkbox(f"Only in {markdown(on_search.item.path.name, 80)}", key="asked_only"):
        only = on_search
    above = st.container()
    try:
        if state.asked_open is not None:
            with above:
                _panel(state.asked_open)
        if question:
            reply, lacking = _reply(question, only)
            _answer(reply)
        else:
            st.caption("The answer names the seconds it rests on.")
            reply, lacking = None, held.lacks_model()
        if lacking and reply is not None and reply.answered:
            st.caption(f"Quoted, not put in words by a model. {markdown(lacking, 2000)}")
        elif lacking:
            _without_model(lacking)
    except SecondSightError as error:
        st.error(markdown(error, 2000), icon=":material/error:")


page()
