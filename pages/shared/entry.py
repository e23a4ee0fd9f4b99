"""How a page begins and ends: inside app.py, and leaving little to collect."""

from __future__ import annotations

import gc

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

from pages.shared.access import require_visitor


def inside_app() -> None:
    """Start over through app.py if Streamlit ran a page by itself.

    Until app.py has called ``st.navigation`` once, a server takes the folder ``pages`` for the
    older kind of app and runs the page of a link's address alone, without settings or navigation.
    Of two who come at once, the second may still be in such a page: it asks who they are, too.
    """
    if PagesManager.uses_pages_directory:
        PagesManager.uses_pages_directory = False
        st.rerun()
    require_visitor()


@st.cache_resource(show_spinner=False)
def settle(page: str) -> None:
    """Keep all that a page has imported out of garbage collections from now on.

    Streamlit collects after every click, which takes longer than most clicks when every object of
    every library is looked at.
    """
    gc.collect()
    gc.freeze()
