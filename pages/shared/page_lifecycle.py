"""How a page begins and ends: it runs inside app.py and leaves little garbage to collect."""

from __future__ import annotations

import ctypes
import functools
import gc
import sys

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

from pages.shared.visitor import require_visitor

_STYLE = """<style>
.stMainBlockContainer { padding: 3.5rem 2.5rem 4rem }
.stApp [data-testid="stCaptionContainer"] { color: inherit; opacity: 0.78 }
.stApp .stButtonGroup button[role][data-variant][data-selected] { color: inherit }
.stMain .stPageLink :is(span, div, p) { white-space: normal; text-overflow: clip }
.stSidebar :is(a, button):focus-visible { outline: 2px solid currentColor; outline-offset: -2px }
.stMain :is(h1, h2, h3, p, li, dd, figcaption) { overflow-wrap: anywhere }
.stImage img { max-height: 24rem; object-fit: contain; object-position: left top }
[class*="st-key-card-picture-"] img { max-height: 4.5rem }
[class*="st-key-picture-"] .stElementToolbar { display: none }
.st-key-contents ul { list-style: none; margin: 0; padding: 0 }
.st-key-contents li { margin: 0 0 0.25rem; padding: 0; line-height: 1.35 }
.st-key-contents li a { color: inherit; font-size: 0.875rem }
.st-key-contents li a:not(:hover) { text-decoration: none }
@media (max-width: 640px) {
    .modebar-container { display: none }
    .stMain .stButtonGroup [role="radiogroup"] { flex-wrap: wrap; mask-image: none }
}
@media print {
    .stSidebar, .stAppHeader, .plotly-notifier, .st-key-copy-link { display: none }
    .stMainBlockContainer { padding: 0 }
    .stPlotlyChart { break-inside: avoid }
    h2, h3, h5 { break-after: avoid }
}
</style>"""
"""Less empty margin on a small screen; small and selected words have a contrast of 4.5 : 1.

Printed, only the page itself remains.
"""


def inside_app() -> None:
    """Start a page in the app's style; go through app.py if Streamlit ran the page by itself.

    Until app.py has called ``st.navigation`` once, a server takes the folder ``pages`` for an older
    kind of app and runs the page in a link's address alone, without settings or navigation. If two
    visitors come at once, the second may still be in such a page, so it also asks who they are.
    """
    if PagesManager.uses_pages_directory:
        PagesManager.uses_pages_directory = False
        st.rerun()
    st.html(_STYLE)
    require_visitor()


@functools.cache
def return_large_blocks() -> None:
    """Let the C library return a large block of memory to the system as soon as it is free.

    A chart is megabytes of JSON for a moment. Left in the heaps of many threads, with small blocks
    in between, such memory adds up to a hundred megabytes with fifty visitors.
    """
    if sys.platform == "linux":
        # GNU's M_MMAP_THRESHOLD; unset, it rises to the largest block ever freed.
        getattr(ctypes.CDLL(None), "mallopt", lambda *_: 0)(-3, 256 * 1024)


@st.cache_resource(show_spinner=False)
def settle(page: str) -> None:
    """Keep everything that a page has imported out of garbage collection from now on.

    A collection is quick if it does not have to look at every object of every library.
    """
    gc.collect()
    gc.freeze()
