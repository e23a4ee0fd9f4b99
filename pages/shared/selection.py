"""One selection for every page, kept in the URL: run, example, class, slice and view."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote

import streamlit as st

from emap_core.visible import visible
from pages.shared.escape import plain

KEYS = ("run", "example", "class", "slice", "view")
"""The keys of the URL; ids and names of things, never paths, modules or code."""

_LONGEST = 20_000
"""Characters of a key that somebody may have typed, and every page reads."""

_REMEMBERED = "_selection"


def selection(**changes: str | None) -> dict[str, str]:
    """Return the keys of the URL, with `changes` on top (None leaves a key out), for links."""
    wanted = {**_current(), **changes}
    return {key: wanted[key] for key in KEYS if wanted.get(key)}  # type: ignore[misc]


def select(**changes: str | None) -> None:
    """Put keys into the URL, or take them out of it (None); another run takes its own along."""
    current = _current()
    run = changes.get("run", current.get("run"))
    if run != current.get("run"):
        current = {}
    kept = {k: v for k, v in {**current, **changes}.items() if v}
    st.session_state[_REMEMBERED] = kept
    for key in KEYS:
        if key not in kept:
            st.query_params.pop(key, None)
        elif st.query_params.get(key) != kept[key]:
            st.query_params[key] = kept[key]


def selected(key: str) -> str | None:
    """Return one key of the URL, None where it is not there."""
    return _current().get(key)


def view(name: str, default: str = "") -> str:
    """Return one setting of the current view: a filter, a colour, a side."""
    return _read_view(selected("view")).get(name, default)


def set_view(**changes: str | None) -> None:
    """Change settings of the current view; None or an empty string takes one out."""
    kept = {k: v for k, v in {**_read_view(selected("view")), **changes}.items() if v}
    select(view=view_key(**kept))


def view_key(**settings: str) -> str | None:
    """Return a view as it stands in the URL, for links: ``show.flips~colour.interaction``."""
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
        Value in the URL to words on the page; the first is the default.
    name : str
        Setting of the view.
    default : str, optional
        Another default.
    **settings
        Of ``st.selectbox``, or of ``st.segmented_control`` for five options or fewer.
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
    draw(
        label,
        list(options),
        # Only the buttons read Markdown.
        format_func=lambda value: plain(options[value]) if few else visible(options[value]),
        key=key,
        on_change=changed,
        **settings,
    )
    return st.session_state[key] or first


def _current() -> dict[str, str]:
    # The sidebar's links drop the URL's keys; whoever comes by one gets back what they had.
    remembered: dict[str, str] = st.session_state.get(_REMEMBERED, {})
    given = {
        key: st.query_params[key]
        for key in KEYS
        if 0 < len(st.query_params.get(key) or "") <= _LONGEST
    }
    if given:
        st.session_state[_REMEMBERED] = given
        return given
    for key, value in remembered.items():
        st.query_params[key] = value
    return dict(remembered)


def _read_view(text: str | None) -> dict[str, str]:
    found = (part.partition(".") for part in (text or "").split("~"))
    return {name: unquote(value) for name, dot, value in found if dot and name}


def _escape(value: str) -> str:
    return quote(value, safe=" ,:+-").replace("~", "%7E")
