"""Modes: what interacts with what."""

from __future__ import annotations

import numpy as np
import streamlit as st

from emap_core.decomposition.modes import Modes
from emap_core.figures import mode_ends, mode_scree
from emap_core.inference.digits import number, percent, signed
from emap_core.inference.predictions.scores import in_words
from emap_core.runs import Run
from emap_core.runs.grid import Reading
from emap_core.text import or_no_text, shortened
from pages import shared
from pages.shared.gallery import gallery
from pages.shared.interactions import (
    choose_class,
    grid_is_there,
    modes_of,
    own_reading,
    quantity,
    unit,
)

QUESTION = "What interacts with what?"
TEXTS, IMAGES, EXAMPLES = 5, 6, 4
FIGURE_WIDTH = 450


def _page() -> None:
    run = shared.require_run(QUESTION)
    if not grid_is_there(run, QUESTION, "Modes need"):
        return
    top = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        c = choose_class(run, kept=True)
        reading = _choose_reading(run)
    what = quantity(run, c, reading)
    modes = modes_of(run, c, reading)
    scree = shared.drawn(
        "scree", run, lambda theme: mode_scree(modes, quantity=what, theme=theme), c, reading
    )
    with top:
        shared.header(QUESTION, scree.alt, run)
    if not len(modes):
        shared.empty(
            shared.in_own_words(
                "For this class the model adds what the text says to what the image says. Another "
                "class may have interactions."
            ),
            "pages/overview.py",
            "See the shares of all classes",
        )
        return
    k = _choose_mode(modes)
    _show_ends(run, modes, k, what, reading)

    with st.container(horizontal=True, gap="medium"):
        # Side by side where there is room for both, else one below the other.
        with st.container(width=FIGURE_WIDTH):
            shared.section("How much each mode explains")
            shared.show(scree, "mode-scree")
        with st.container(width=FIGURE_WIDTH):
            shared.section("The texts at both ends")
            ends = shared.drawn(
                "ends",
                run,
                lambda theme: mode_ends(modes, k, run.texts, theme=theme),
                c,
                reading,
                k,
            )
            shared.show(ends, "mode-ends")
    _show_examples(run, modes, k, what)
    shared.next_step(
        "pages/recombine.py",
        "See every text with every image, ordered by this mode",
        **{"class": run.classes[c]},
        view=shared.view_key(order=f"mode{k + 1}"),
    )


def _choose_reading(run: Run) -> Reading:
    if not run.softmax:
        return own_reading(run)
    chosen = shared.choose(
        "Read from",
        {"own": in_words(run.space, run.task), "probabilities": "probabilities"},
        "read",
        help="Logits of implausible classes still move, and their interactions count here. "
        "Probabilities show only what can change an answer.",
    )
    return "probabilities" if chosen == "probabilities" else own_reading(run)


def _choose_mode(modes: Modes) -> int:
    options = {
        str(k + 1): f"Mode {k + 1} · {percent(share)}" for k, share in enumerate(modes.shares[:5])
    }
    return int(shared.choose("Mode", options, "mode")) - 1


def _show_ends(run: Run, modes: Modes, k: int, what: str, reading: Reading) -> None:
    shared.section("The two sides of this mode")
    text_ends, image_ends = modes.ends(k, TEXTS), modes.image_ends(k, IMAGES)
    st.markdown(
        f"{shared.in_own_words('Texts and images')} of the **same side** raise "
        f"{shared.plain(what)} together. "
        "From **opposite sides** they lower it."
    )
    names = ("One side", "The other side")
    for column, name, texts, images in zip(
        st.columns(2, gap="medium"), names, text_ends, image_ends, strict=True
    ):
        with column, st.container(border=True, height="stretch"):
            shared.subsection(name)
            lines = "".join(
                f'<li dir="auto">{shared.escaped(_in_short(run, u))}</li>' for u in texts
            )
            st.html(
                '<ul style="margin:0;padding:0;line-height:1.6;list-style-position:inside">'
                f"{lines or '<li>no text on this side</li>'}</ul>"
            )
            gallery(run, [int(w) for w in images])
    shared.say(_example_sentence(run, modes, k, what, reading))


def _in_short(run: Run, text: int) -> str:
    return shortened(or_no_text(run.texts[text]), 80)


def _example_sentence(run: Run, modes: Modes, k: int, what: str, reading: Reading) -> str:
    (texts, _), (same, other) = modes.ends(k, 1), modes.image_ends(k, 1)
    if not (len(texts) and len(same) and len(other)):
        return ""
    raised = modes.interaction(k, int(texts[0]), int(same[0]))
    lowered = modes.interaction(k, int(texts[0]), int(other[0]))
    return (
        f"In this mode “{_in_short(run, texts[0])}” raises {what} by {number(raised)} "
        f"with the first {run.sides[1].name} of its side, and lowers it by {number(-lowered)} "
        f"with the first of the other ({unit(run, reading)})."
    )


def _show_examples(run: Run, modes: Modes, k: int, what: str) -> None:
    shared.section("Examples that this mode moves most")
    d = run.decomposition
    moved = modes.of_examples(k, d.text_index, d.image_index)
    order = np.argsort(-np.abs(moved), kind="stable")
    # The same text again and again would say little: the first example of each.
    _, first = np.unique(d.text_index[order], return_index=True)
    for column, i in zip(st.columns(EXAMPLES), order[np.sort(first)][:EXAMPLES], strict=False):
        with column:
            gallery(run, [int(d.image_index[i])], [what], [signed(moved[i])], height=120)
            shared.text(_in_short(run, d.text_index[i]))
            shared.link("pages/examples.py", "Open it", example=run.ids[i])


_page()
