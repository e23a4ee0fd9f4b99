"""Two parts of a page side by side, or one below the other on a narrow screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

_NARROW = """<style>@media (max-width: 1000px) {
    [class*="st-key-sides-"] > [data-testid="stLayoutWrapper"]
    > [data-testid="stHorizontalBlock"] { flex-wrap: wrap }
    [class*="st-key-sides-"] > [data-testid="stLayoutWrapper"]
    > [data-testid="stHorizontalBlock"] > [data-testid="stColumn"] { min-width: 100% }
    [class*="st-key-sides-last"] > [data-testid="stLayoutWrapper"]
    > [data-testid="stHorizontalBlock"] > [data-testid="stColumn"]:last-child { order: -1 }
}</style>"""
"""Streamlit's columns stack only on phones, but a tablet with the sidebar is narrow, too."""


def sides(key: str, widths: Sequence[float], *, last_first: bool = False) -> Sequence[Any]:
    """Return two columns; on a narrow screen each takes the full width.

    Parameters
    ----------
    key : str
        Different from every other key on the page.
    widths : sequence of float
        How the columns share the width.
    last_first : bool
        On a narrow screen, put the last one on top.
    """
    st.html(_NARROW)
    with st.container(key=f"sides-{'last-' if last_first else ''}{key}"):
        return st.columns(widths, gap="medium")
