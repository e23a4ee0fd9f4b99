"""Lead visitors to the page they asked for before signing in; Streamlit leads all to the first.

The page waits in a cookie, which holds no more than the link they followed.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import parse_qsl, unquote

import streamlit as st

_COOKIE = "emap-lens-page"
_KEEP = f"""<script>
document.cookie = "{_COOKIE}="
    + encodeURIComponent(location.pathname.split("/").pop() + location.search)
    + "; path=/; max-age=600; samesite=lax"
</script>"""
_FORGET = f'<script>document.cookie = "{_COOKIE}=; path=/; max-age=0; samesite=lax"</script>'
_FOUND = "way-back"


def keep_wanted_page() -> None:
    """Keep the page asked for in the visitor's own browser, for ten minutes."""
    st.html(_KEEP, unsafe_allow_javascript=True)


def go_to_wanted_page(here: str, names: Collection[str]) -> None:
    """Go from the first page to the one asked for before signing in, once, if in `names`."""
    wanted = st.context.cookies.get(_COOKIE)
    if wanted and _FOUND in st.session_state:
        st.sidebar.html(_FORGET, unsafe_allow_javascript=True)
        return
    if not wanted or here:
        return
    st.session_state[_FOUND] = True
    name, _, query = unquote(wanted).partition("?")
    if name in names:
        st.switch_page(f"pages/{name}.py", query_params=parse_qsl(query))
