"""What every page has: its question, a one-sentence answer, the run, a link, one next step."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from emap_core.modalities import TEXT_AND_IMAGE, sides_of, sizes_of
from emap_core.modalities.side_names import grid_of
from emap_core.runs import Run, RunInfo
from emap_core.untrusted_text import visible
from pages.shared.page_lifecycle import inside_app
from pages.shared.plain_text import escaped, plain
from pages.shared.run_and_example import (
    all_runs,
    damaged_runs,
    missing_example,
    run_titles,
    title_of,
)
from pages.shared.run_menu import run_menu, said_of
from pages.shared.side_names_on_pages import in_own_words, speak_of
from pages.shared.url_selection import select, selection

_COPY = st.components.v2.component(
    "copy_link",
    html='<button type="button">Copy link</button>',
    css="""
        button {
            font: inherit; font-size: 0.875rem; cursor: pointer; white-space: nowrap;
            color: var(--st-text-color); background: transparent;
            border: 1px solid var(--st-border-color); border-radius: var(--st-button-radius);
            padding: 0.35rem 0.75rem;
        }
        button:hover, button:focus-visible { border-color: var(--st-primary-color); }
    """,
    js="""
        async function copy(text) {
            try { await navigator.clipboard.writeText(text) }
            catch {  // Only pages from https or this computer may use the clipboard directly.
                const box = document.createElement("textarea")
                box.value = text
                document.body.append(box)
                box.select()
                document.execCommand("copy")
                box.remove()
            }
        }
        export default function ({ parentElement }) {
            const button = parentElement.querySelector("button")
            button.onclick = async () => {
                await copy(window.location.href)
                button.textContent = "Link copied"
                setTimeout(() => { button.textContent = "Copy link" }, 2000)
            }
        }
    """,
)

# Tables and figures wider than a phone scroll sideways: a keyboard has to reach them.
# Hover text gets the same minus sign as all other numbers.
_ATTEND = """<script>
window.attend ??= setInterval(() => {
    const wide = "[data-testid=stTable], [data-testid=stTable] div, .element-container"
    for (const one of document.querySelectorAll(wide)) {
        const moves = one.scrollWidth > one.clientWidth
            && ["auto", "scroll"].includes(getComputedStyle(one).overflowX)
        if (moves) one.tabIndex = 0
        else if (one.tabIndex === 0) one.removeAttribute("tabindex")
    }
    for (const told of document.querySelectorAll(".hoverlayer:not([data-minus])")) {
        told.dataset.minus = ""
        new MutationObserver(() => {
            for (const one of told.querySelectorAll("text, tspan")) {
                const said = one.textContent.replace(/(^|[\\s,:])-(?=[\\d.])/g, "$1\u2212")
                if (!one.childElementCount && one.textContent !== said) one.textContent = said
            }
        }).observe(told, { childList: true, subtree: true })
    }
}, 500)
</script>"""

_SECTIONS = "_sections"
_LONG_PAGE = 3
"""From this many parts on, a page has a table of contents."""


# Wide enough for whole titles, arguments and all; a phone uses its own width.
_WIDTH_OF_CHOICE = 640


def header(question: str, answer: str = "", run: Run | None = None) -> None:
    """Draw the top of a page: the question as its title, a one-sentence answer, the run.

    With a run come its menu, a choice of other runs, and a button that copies a link to exactly
    this view. The answer may contain names from data, so it is shown as plain text.
    """
    inside_app()
    speak_of(run)
    question = in_own_words(question)
    if run is None:
        st.title(question, anchor=False)
        if answer:
            say(answer)
        return
    info = next((one for one in all_runs() if one.id == run.id), None)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title(question, anchor=False, width="stretch")
        copy_link()
        if info is not None:
            run_menu(info)
    if answer:
        say(answer)
    _name_run(run, info)


def say_if_another_example(run: Run) -> None:
    """Say that the link names an example which the run does not have, so that another is shown."""
    if (name := missing_example(run)) is not None:
        short = visible(name)[:80]
        st.info(
            plain(f"This run has no example {short!r}; the first one is shown."),
            icon=":material/info:",
        )


def copy_link() -> None:
    """Draw a button that copies a link to exactly this view."""
    _COPY(key="copy-link", width="content")


def list_pages(sections: Mapping[str, Sequence[Any]]) -> None:
    """List the pages in the sidebar, by section, each as a link that keeps the selection.

    Streamlit's own list drops the URL's keys. Putting them back would add a step to the browser's
    history.
    """
    with st.sidebar.container(key="pages", gap="xxsmall"):
        for title, pages in sections.items():
            shown = [page for page in pages if page.visibility == "visible"]
            if title and shown:
                st.markdown(f"**{title}**")
            for page in shown:
                st.page_link(page, query_params=selection() if page.url_path else None)


def attend_to_figures() -> None:
    """Let a keyboard scroll wide tables and figures; give hover text the one minus sign."""
    st.sidebar.html(_ATTEND, unsafe_allow_javascript=True)


def section(title: str) -> None:
    """Draw the heading of a part of the page; `contents` links to it."""
    title = in_own_words(title)
    anchor = re.sub(r"\W+", "-", title.casefold()).strip("-")
    st.header(title, anchor=anchor)
    st.session_state.setdefault(_SECTIONS, {})[anchor] = title


def subsection(title: str) -> None:
    """Draw the heading of something within a part of the page."""
    st.subheader(in_own_words(title), anchor=False)


def contents() -> None:
    """List the parts of a long page in the sidebar, each with a link to it."""
    sections = st.session_state.pop(_SECTIONS, {})
    if len(sections) < _LONG_PAGE:
        return
    links = (f"- [{plain(title)}](#{anchor})" for anchor, title in sections.items())
    with st.sidebar.container(key="contents"):
        st.caption("On this page")
        st.markdown("\n".join(links))


def say(sentence: str) -> None:
    """Show a sentence that answers the page's question, larger than the rest, as plain text."""
    st.html(f'<p style="font-size:1.25rem;line-height:1.5;margin:0">{escaped(sentence)}</p>')


def about(manifest: Mapping[str, Any], title: str) -> str:
    """Return in one line what a run is about: its title and numbers of examples, texts, images."""
    skipped = len(manifest.get("skipped") or [])
    return (
        f"{title} · "
        f"{manifest.get('n_examples', 0):,} examples"
        + (f" ({skipped:,} left out)" if skipped else "")
        + " · "
        + grid_of(sides_of(manifest), sizes_of(manifest))
    )


def made_as(manifest: Mapping[str, Any], run_id: str) -> str:
    """Return when a run was made, and its id in commands and links."""
    created = str(manifest.get("created", ""))[:16].replace("T", " ")
    return f"{created} UTC · {visible(run_id)}"


def next_step(page: str, label: str, **changes: str | None) -> None:
    """Link to the page that comes next, with the URL's keys and `changes` on top."""
    st.space("small")
    link(page, in_own_words(label), icon=":material/arrow_forward:", **changes)


def link(page: str, label: str, *, icon: str | None = "", **changes: str | None) -> None:
    """Link to a page, with the URL's keys and `changes` (run, example, view, …) on top."""
    st.page_link(page, label=plain(label), icon=icon, query_params=selection(**changes))


def empty(message: str, page: str | None = None, label: str = "") -> None:
    """Say in place of a figure why there is nothing to see, and where to go instead."""
    st.info(plain(message), icon=":material/info:")
    if page is not None:
        link(page, label, icon=":material/arrow_forward:")


def _name_run(run: Run, info: RunInfo | None) -> None:
    """Say which run this is, and offer other runs if there are any."""
    words = f"{about(run.manifest, title_of(run))} · {made_as(run.manifest, run.id)}"
    names = run_titles() | {info.id: visible(f"{info.id}, damaged") for info in damaged_runs()}
    if run.sides != TEXT_AND_IMAGE:
        of_sides = (f"{side.name} ({side.modality})" for side in run.sides)
        words += f" · sides: {', '.join(of_sides)}"
    if info is not None and info.is_archived:
        # A visitor who followed a link learns why no list shows the run.
        names, words = {run.id: title_of(run)} | names, f"{words} · archived"
    if run.id not in names or len(names) < 2:
        st.caption(plain(words))
    else:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(plain(words), width="content")
            with st.popover("Change run", icon=":material/swap_horiz:", type="tertiary"):
                _run_choice(run, names)
    if info is not None:
        said_of(info)


def _run_choice(run: Run, names: dict[str, str]) -> None:
    key = "run-choice"
    st.session_state[key] = run.id
    st.selectbox(
        f"One of {len(names):,} runs",
        list(names),
        format_func=names.__getitem__,
        key=key,
        on_change=lambda: select(run=st.session_state[key]),
        width=_WIDTH_OF_CHOICE,
        help="Type part of a title to find a run.",
    )
