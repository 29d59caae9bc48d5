"""The library page: what is in, with which models, and what could not be used and why."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from data.errors import LibraryNotFound, SecondSightError
from ui.app import held
from ui.app.shown import markdown
from ui.text import plain, reason_text, size_text, timecode

LISTED = 50  # files a phone is shown at once


def _table(name: str, rows: list[dict[str, str]]) -> None:
    """A table, and on a phone, where its columns would be cut, a list; the style sheet shows one of the two."""
    with st.container(key=f"wide_{name}"):
        st.dataframe(rows, hide_index=True, width="stretch")
    with st.container(key=f"narrow_{name}"):
        shown = st.session_state.setdefault(f"shown_{name}", LISTED)
        for row in rows[:shown]:
            title, *facts, last = (markdown(value, 1000) for value in row.values())
            first = " · ".join(fact for fact in facts if fact)
            st.markdown("  \n".join(filter(None, (f"**{title}**", first, f":small[{last}]"))))
        if shown < len(rows):
            more = f"More ({len(rows) - shown:,} left)"
            st.button(more, key=f"more_{name}", width="stretch", on_click=_show_more, args=(name,))


def _show_more(name: str) -> None:
    st.session_state[f"shown_{name}"] += LISTED


def page() -> None:
    try:
        store = held.reader()
        stats, rows = store.stats(), sorted(store.files().values(), key=lambda row: row.path)
        media = {item.media_id: item for item in store.media()}
        manifest = store.manifest
    except LibraryNotFound:
        st.subheader("This library is empty")
        st.code(f"secondsight index PATH --library '{held.settings().library}'", language="bash")
        return
    except SecondSightError as error:
        st.error(markdown(error, 2000), icon=":material/error:")
        return

    facts = {
        "Videos": f"{stats.media.get('video', 0):,}",
        "GIFs": f"{stats.media.get('gif', 0):,}",
        "Images": f"{stats.media.get('image', 0):,}",
        "Length": timecode(stats.duration_s).rpartition(".")[0],
        "Frames": f"{stats.frames:,}",
        "On disk": size_text(stats.size_on_disk_bytes),
    }
    with st.container(horizontal=True, gap="small"):
        for name, value in facts.items():
            st.metric(name, value, border=True, width=165)

    failed = [row for row in rows if row.reason]
    if failed:
        st.subheader(f"Could not be used ({len(failed)})")
        told = [
            {
                "File": plain(Path(row.path).name, 200),
                "Reason": reason_text(row.path, row.reason),
                "Folder": plain(Path(row.path).parent, 1000),
            }
            for row in failed
        ]
        _table("failed", told)
    st.subheader(f"Files ({len(rows) - len(failed):,})")
    table = []
    for row in rows:
        item = media.get(row.media_id)
        if row.reason or item is None:
            continue
        table.append(
            {
                "File": plain(Path(row.path).name, 200),
                "Kind": item.info.kind,
                "Length": "" if item.info.duration_s is None else timecode(item.info.duration_s),
                "Size": f"{item.info.width} × {item.info.height}",
                "Bytes": size_text(row.size_bytes),
                "Folder": plain(Path(row.path).parent, 1000),
            }
        )
    _table("files", table)
    models = ", ".join(f"{identity['name']} ({identity['revision']})" for identity in manifest.models.values())
    st.caption(
        markdown(
            f"{held.settings().library} · profile {manifest.profile} · {models} · made {manifest.created_at}", 1000
        )
    )


page()
