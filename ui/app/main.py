"""The page's entry: Streamlit runs this file anew at every click."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent
# Our own files: Streamlit would fetch its named icons from elsewhere.
st.set_page_config(page_title="Second Sight", page_icon=HERE / "icon.svg", layout="wide", menu_items={})
st.logo(str(HERE / "logo.svg"), size="medium")
# Our own fixed text: room to breathe on wide screens, none wasted on narrow ones.
st.html(
    """<style>
    [data-testid="stMainBlockContainer"] { max-width: 1320px; padding-top: 4.5rem; padding-bottom: 4rem; }
    @media (max-width: 640px) { [data-testid="stMainBlockContainer"] { padding-left: 1rem; padding-right: 1rem; } }
    @media (max-width: 640px) { .st-key-question > :first-child { flex: 1 1 100% !important; } }
    [class*="st-key-narrow_"] { display: none; gap: .75rem; overflow-wrap: anywhere; }
    @media (max-width: 640px) { [class*="st-key-narrow_"] { display: flex; } }
    @media (max-width: 640px) { [class*="st-key-wide_"] { display: none; } }
    [data-testid="stHeaderActionElements"] { display: none; }
    </style>"""
)
# Not in a folder "pages": Streamlit would run a file there by itself when its address is the first one visited.
st.navigation(
    [
        st.Page("views/search.py", title="Search", icon=":material/search:", default=True),
        st.Page("views/ask.py", title="Ask", icon=":material/forum:", url_path="ask"),
        st.Page("views/library.py", title="Library", icon=":material/video_library:", url_path="library"),
    ],
    position="top",
).run()
