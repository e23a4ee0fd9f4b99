"""Make sure that a page runs inside app.py."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager


def inside_app() -> None:
    """Start over through app.py if Streamlit ran a page by itself.

    Until app.py has called ``st.navigation`` once, a server takes the folder ``pages`` for the
    older kind of app and runs the page of a link's address alone, without settings or navigation.
    """
    if PagesManager.uses_pages_directory:
        PagesManager.uses_pages_directory = False
        st.rerun()
