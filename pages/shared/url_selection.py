"""One selection for every page, kept in the URL: run, example, class, slice and view."""

from __future__ import annotations

import json
from typing import Any, NoReturn
from urllib.parse import quote, unquote, urlencode

import streamlit as st

from emap_core.untrusted_text import visible
from pages.shared.plain_text import plain

KEYS = ("run", "example", "class", "slice", "view")
"""The keys of the URL: ids and names of things, never paths, modules or code."""

_LONGEST = 20_000
"""Most characters of a key: somebody may have typed it, and every page reads it."""

_LONGEST_WORDS = 200
"""Most characters of a search."""

_MOST_DIGITS = 15
"""Most digits of a typed number: Python refuses to read thousands of them."""

_REMEMBERED = "_selection"

# Each of Streamlit's own ways to change an address adds an entry to the browser's history.
_COMPLETE = """<script>
if (!location.search) {{
    const address = location.pathname + "?" + {query} + location.hash
    history.replaceState(history.state, "", address)
}}
</script>"""
# In a block, because a name can be declared only once per page.
_GO = """<script>
{{
    const address = location.pathname.replace(/[^/]*$/, "") + {page} + "?" + {query}
    if (location.pathname + location.search !== address) {{
        history.pushState({{}}, "", address)
        dispatchEvent(new PopStateEvent("popstate"))
    }}
}}
</script>"""

# A restarted server does not know a page until it has drawn it and would lose the first click.
_DRAW_AGAIN = """<script>
if (!window.drawsAgain) {
    window.drawsAgain = true
    const app = document.querySelector("[data-test-connection-state]")
    let before = app.dataset.testConnectionState
    new MutationObserver(() => {
        const now = app.dataset.testConnectionState
        if (now === "CONNECTED" && before !== now) dispatchEvent(new PopStateEvent("popstate"))
        before = now
    }).observe(app, { attributeFilter: ["data-test-connection-state"] })
}
</script>"""


def selection(**changes: str | None) -> dict[str, str]:
    """Return the keys of the URL, with `changes` on top (None leaves a key out), for links."""
    wanted = {**_current(), **changes}
    return {key: wanted[key] for key in KEYS if wanted.get(key)}  # type: ignore[misc]


def select(**changes: str | None) -> None:
    """Put keys into the URL or take them out (None); the keys of a run go with that run.

    The browser's Back undoes all of them at once.
    """
    kept = _with(changes)
    if kept != _given():
        others = {k: st.query_params.get_all(k) for k in st.query_params if k not in KEYS}
        st.query_params.from_dict({**others, **kept})
    st.session_state[_REMEMBERED] = kept


def assume(**changes: str | None) -> None:
    """Select what nobody has chosen, such as the newest run; the browser's Back skips this."""
    st.session_state[_REMEMBERED] = _with(changes)


def complete_address() -> None:
    """Put into an address without keys what its page is about."""
    if not _given() and (kept := _current()):
        st.sidebar.html(
            _COMPLETE.format(query=_quoted(urlencode(kept))), unsafe_allow_javascript=True
        )


def draw_again_when_connected() -> None:
    """Let the browser ask for the page again whenever it reconnects to the server."""
    st.sidebar.html(_DRAW_AGAIN, unsafe_allow_javascript=True)


def go_to(page: str, **changes: str | None) -> NoReturn:
    """Go to a page by name, as a link with these changes does; Back returns from it."""
    query = urlencode(selection(**changes))
    st.html(_GO.format(page=_quoted(page), query=_quoted(query)), unsafe_allow_javascript=True)
    st.stop()


def selected(key: str) -> str | None:
    """Return one key of the URL, or None if it is not there."""
    return _current().get(key)


def view(name: str, default: str = "") -> str:
    """Return one setting of the current view: a filter, a colour, a side."""
    return _read_view(selected("view")).get(name, default)


def whole_number(typed: str) -> int | None:
    """Return a number from the URL, or None if it is not the number of an item or a class."""
    short = typed.isascii() and typed.isdecimal() and len(typed) <= _MOST_DIGITS
    return int(typed) if short else None


def set_view(**changes: str | None) -> None:
    """Change settings of the current view; None or an empty string removes one."""
    kept = {k: v for k, v in {**_read_view(selected("view")), **changes}.items() if v}
    select(view=view_key(**kept))


def view_key(**settings: str) -> str | None:
    """Return a view as written in the URL, for links: ``show.flips~colour.interaction``."""
    parts = [f"{name}.{_escape(value)}" for name, value in sorted(settings.items()) if value]
    return "~".join(parts) or None


def choose(
    label: str, options: dict[str, str], name: str, *, default: str | None = None, **settings: Any
) -> str:
    """Draw a choice that is a setting of the view, and return the value chosen.

    Parameters
    ----------
    label : str
    options : dict of str to str
        Maps a value in the URL to words on the page; the first is the default.
    name : str
        Name of the setting in the view.
    default : str, optional
        Value to use instead of the first as the default.
    **settings
        Passed to ``st.selectbox``, or to ``st.segmented_control`` for five options or fewer.
    """
    first = default or next(iter(options))
    current = view(name, first)
    key = f"view-{name}"
    # The URL is the truth: a link or the browser's Back changes the widget, too.
    st.session_state[key] = current if current in options else first

    def changed() -> None:
        value = st.session_state[key] or first
        set_view(**{name: None if value == first else value})

    few = len(options) <= 5
    draw: Any = st.segmented_control if few else st.selectbox

    def words(value: str) -> str:
        # Only the buttons read Markdown; only the box accepts a value that is not an option.
        return plain(options[value]) if few else visible(options.get(value, value))

    draw(
        label,
        list(options),
        # Only the buttons read Markdown.
        format_func=lambda value: (
            plain(options[value]) if few else visible(options.get(value, value))
        ),
        key=key,
        on_change=changed,
        **settings,
    )
    return st.session_state[key] or first


def type_in(label: str, name: str, **settings: Any) -> str:
    """Draw a text field that is a setting of the view, and return its text.

    Parameters
    ----------
    label : str
    name : str
        Name of the setting in the view.
    **settings
        Passed to ``st.text_input``.
    """
    key = f"view-{name}"
    st.session_state[key] = view(name)
    st.text_input(
        label,
        key=key,
        max_chars=_LONGEST_WORDS,
        on_change=lambda: set_view(**{name: st.session_state[key].strip()}),
        **settings,
    )
    return view(name)


def _with(changes: dict[str, str | None]) -> dict[str, str]:
    current = _current()
    run = changes.get("run", current.get("run"))
    if run != current.get("run"):
        current = {}
    return {k: v for k, v in {**current, **changes}.items() if v}


def _given() -> dict[str, str]:
    return {
        key: st.query_params[key]
        for key in KEYS
        if 0 < len(st.query_params.get(key) or "") <= _LONGEST
    }


def _current() -> dict[str, str]:
    # A visitor who returns by an address without keys gets back what they had.
    if given := _given():
        st.session_state[_REMEMBERED] = given
    return dict(st.session_state.get(_REMEMBERED, {}))


def _quoted(text: str) -> str:
    # This does not stop the script early.
    return json.dumps(text).replace("<", "\\u003c")


def _read_view(text: str | None) -> dict[str, str]:
    found = (part.partition(".") for part in (text or "").split("~"))
    return {name: unquote(value) for name, dot, value in found if dot and name}


def _escape(value: str) -> str:
    return quote(value, safe=" ,:+-").replace("~", "%7E")
