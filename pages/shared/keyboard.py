"""Steps by arrow key: every press counts, however fast they come."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import streamlit as st

_KEYS = st.components.v2.component(
    "arrow_keys",
    html="<span></span>",
    js="""
        // These use the arrow keys themselves while they have the focus.
        const others = "input, textarea, select, canvas, [contenteditable], [role=slider], "
            + "[role=radio], [role=tab], [role=listbox], [role=menu], [role=grid]"
        const pause = 150
        // Kept across redraws: a count rather than single presses, so that no press is lost
        // that comes during a redraw.
        const kept = (window.arrowKeys ??= { listens: false, count: 0 })
        function tell() {
            if (kept.count === kept.sent) return
            kept.waiting ??= setTimeout(() => {
                kept.waiting = undefined
                kept.sent = kept.count
                kept.send("presses", { session: kept.session, count: kept.count })
            }, pause)
        }
        function pressed(event) {
            const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key]
            const held = event.ctrlKey || event.altKey || event.metaKey || event.shiftKey
            if (!kept.here || !step || held || event.target.closest?.(others)) return
            event.preventDefault()
            kept.count += step
            tell()
        }
        export default function ({ data, setStateValue }) {
            if (kept.session !== data.session) {
                Object.assign(kept, { session: data.session, count: 0, sent: 0 })
            }
            clearTimeout(kept.leaving)
            Object.assign(kept, { here: true, send: setStateValue })
            if (!kept.listens) document.addEventListener("keydown", pressed)
            kept.listens = true
            tell()
            // A redraw may remove this and bring it back at once.
            return () => { kept.leaving = setTimeout(() => { kept.here = false }, 2000) }
        }
    """,
)


def arrow_keys(key: str, on_steps: Callable[[int], None]) -> None:
    """Call `on_steps` with the number of right-arrow presses minus left-arrow presses.

    Parameters
    ----------
    key : str
        Key of the Streamlit element.
    on_steps : callable
        Takes the steps since it was last called, never 0.
    """
    # A restarted server counts from 0, whatever the browser still remembers.
    session = st.session_state.setdefault(f"{key}-session", secrets.token_hex(8))
    counted = f"{key}-counted"

    def pressed() -> None:
        told = st.session_state[key].get("presses") or {}
        if told.get("session") != session:
            return
        steps = int(told["count"]) - st.session_state.get(counted, 0)
        st.session_state[counted] = int(told["count"])
        if steps:
            on_steps(steps)

    _KEYS(
        key=key,
        data={"session": session},
        on_presses_change=pressed,
        width="content",
        height="content",
    )
