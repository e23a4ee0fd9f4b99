"""EMAP Lens: the dashboard's pages."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from emap_core.errors import EmapError
from emap_core.options import speak
from pages import shared

HOUSE = Path(__file__).parent

speak("browser")
st.set_page_config(
    page_title="EMAP Lens",
    page_icon=str(HOUSE / "assets" / "logo.svg"),
    layout="wide",
    initial_sidebar_state=220,
)
st.logo(str(HOUSE / "assets" / "logo.svg"), size="large")

PAGES = {
    "": [("start", "Start", "home"), ("run", "Run", "play_circle")],
    "One model": [
        ("overview", "Overview", "insights"),
        ("contributions", "Contributions", "scatter_plot"),
        ("examples", "Examples", "image_search"),
        ("recombine", "Recombine", "grid_on"),
        ("modes", "Modes", "linear_scale"),
    ],
    "Share": [("compare", "Compare", "stacked_bar_chart"), ("report", "Report", "description")],
}

page = st.navigation(
    {
        section: [
            st.Page(
                f"pages/{name}.py",
                title=title,
                icon=f":material/{icon}:",
                url_path=name,
                default=name == "start",
            )
            for name, title, icon in pages
        ]
        for section, pages in PAGES.items()
    },
    expanded=True,
    position="hidden" if shared.is_stranger() else "sidebar",
)
shared.require_visitor()
shared.limit_uploads()
shared.offer_sign_out()
shared.go_on(page.url_path, {name for pages in PAGES.values() for name, *_ in pages})
shared.return_large_blocks()
try:
    page.run()
    shared.settle(page.url_path)
except EmapError as error:
    # A run that was damaged or deleted since it was opened; the other pages work on.
    st.error(shared.plain(error), icon=":material/error:")
except MemoryError:
    st.error(
        "This page needs more memory than the server has. Choose a smaller run, or open it on a "
        "larger machine.",
        icon=":material/error:",
    )
