"""The library page: what is in, with which models, and what could not be used and why."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from data.errors import LibraryNotFound, SecondSightError
from ui.app import held
from ui.app.shown import markdown
from ui.text import failure_text, plain, size_text, timecode


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
        st.dataframe(
            [{"File": plain(Path(row.path).name, 200), "Reason": failure_text(row.path, row.reason)} for row in failed],
            hide_index=True,
            width="stretch",
        )
    st.subheader(f"Files ({len(rows) - len(failed):,})")
    table = []
    for row in rows:
        item = media.get(row.media_id)
        if row.reason or item is None:
            continue
        table.append(
            {
                "File": plain(Path(row.path).name, 200),  # first: a phone shows two columns
                "Kind": item.info.kind,
                "Length": "" if item.info.duration_s is None else timecode(item.info.duration_s),
                "Size": f"{item.info.width} × {item.info.height}",
                "Bytes": size_text(row.size_bytes),
                "Folder": plain(Path(row.path).parent, 1000),
            }
        )
    st.dataframe(table, hide_index=True, width="stretch")
    models = ", ".join(f"{identity['name']} ({identity['revision']})" for identity in manifest.models.values())
    st.caption(
        markdown(
            f"{held.settings().library} · profile {manifest.profile} · {models} · made {manifest.created_at}", 1000
        )
    )


page()
