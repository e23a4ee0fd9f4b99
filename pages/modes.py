"""Modes: what interacts with what."""

from __future__ import annotations

import numpy as np
import streamlit as st

from emap_core.decomposition.modes import Modes
from emap_core.figures import mode_ends, mode_scree
from emap_core.human_readable import or_no_text, shortened
from emap_core.inference.number_format import number, percent, signed
from emap_core.inference.predictions.scores import in_words
from emap_core.modalities.side_names import item_of
from emap_core.presentation.chosen_sides import ChosenSides
from emap_core.runs import Run
from emap_core.runs.grid import Reading
from pages import shared
from pages.shared.gallery import gallery
from pages.shared.interaction_grid import (
    choose_class,
    choose_sides,
    grid_is_there,
    modes_of,
    names_of,
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
        two = choose_sides(run)
        reading = _choose_reading(run)
    what = quantity(run, c, reading)
    modes = modes_of(two, c, reading)
    scree = shared.drawn(
        "scree",
        run,
        lambda theme: mode_scree(modes, quantity=what, theme=theme),
        c,
        reading,
        two.places,
    )
    with top:
        shared.header(QUESTION, scree.alt, run)
        if two.note:
            shared.text(two.note)
        st.caption(
            f"Shares are of the interaction’s variance over all pairs, {shared.plain(two.grid)}. "
            "They describe these data and have no interval."
        )
    if not len(modes):
        shared.empty(
            two.worded(
                "For this class the model only adds what the text says to what the image says. "
                "Other classes may have interactions.",
            ),
            "pages/overview.py",
            "See the shares of all classes",
        )
        return
    k = _choose_mode(modes)
    _show_ends(two, modes, k, what, reading)

    with st.container(horizontal=True, gap="medium"):
        # Side by side if both fit, one below the other if not.
        with st.container(width=FIGURE_WIDTH):
            shared.section("How much each mode explains")
            shared.show(scree, "mode-scree")
        with st.container(width=FIGURE_WIDTH):
            shared.section(two.worded("The texts at both ends"))
            ends = shared.drawn(
                "ends",
                run,
                lambda theme: mode_ends(modes, k, two.words(0), theme=theme),
                c,
                reading,
                k,
                two.places,
            )
            shared.show(two.worded_chart(ends), "mode-ends")
    _show_examples(two, modes, k, what)
    shared.next_step(
        "pages/recombine.py",
        two.worded("See every text with every image, ordered by this mode"),
        **{"class": run.classes[c]},
        view=shared.view_key(order=f"mode{k + 1}", **names_of(two)),
    )


def _choose_reading(run: Run) -> Reading:
    if not run.softmax or len(run.sides) > 2:
        return own_reading(run)
    chosen = shared.choose(
        "Read from",
        {"own": in_words(run.space, run.task), "probabilities": "probabilities"},
        "read",
        help="Logits of implausible classes still move, so their interactions count here. "
        "Probabilities show only what can change an answer.",
    )
    return "probabilities" if chosen == "probabilities" else own_reading(run)


def _choose_mode(modes: Modes) -> int:
    options = {
        str(k + 1): f"Mode {k + 1} · {percent(share)}" for k, share in enumerate(modes.shares[:5])
    }
    return int(shared.choose("Mode", options, "mode")) - 1


def _show_ends(two: ChosenSides, modes: Modes, k: int, what: str, reading: Reading) -> None:
    shared.section("The two ends of this mode")
    text_ends, image_ends = modes.row_ends(k, TEXTS), modes.column_ends(k, IMAGES)
    st.markdown(
        f"{shared.plain(two.worded('Texts and images'))} at the **same end** raise "
        f"{shared.plain(what)} together. "
        "At **opposite ends** they lower it."
    )
    names = ("One end", "The other end")
    for column, name, texts, images in zip(
        st.columns(2, gap="medium"), names, text_ends, image_ends, strict=True
    ):
        with column, st.container(border=True, height="stretch"):
            shared.subsection(name)
            lines = "".join(
                f'<li dir="auto">{shared.escaped(_in_short(two, u))}</li>' for u in texts
            )
            st.html(
                '<ul style="margin:0;padding:0;line-height:1.6;list-style-position:inside">'
                f"{lines or '<li>no text at this end</li>'}</ul>"
            )
            gallery(two.run, [int(w) for w in images], place=two.places[1])
    shared.say(_example_sentence(two, modes, k, what, reading))


def _in_short(two: ChosenSides, text: int) -> str:
    return shortened(or_no_text(two.run.words(two.places[0], text)), 80)


def _example_sentence(two: ChosenSides, modes: Modes, k: int, what: str, reading: Reading) -> str:
    (texts, _), (same, other) = modes.row_ends(k, 1), modes.column_ends(k, 1)
    if not (len(texts) and len(same) and len(other)):
        return ""
    raised = modes.interaction(k, int(texts[0]), int(same[0]))
    lowered = modes.interaction(k, int(texts[0]), int(other[0]))
    partner = item_of(two.sides[1], two.run.sides)
    return (
        f"In this mode, “{_in_short(two, texts[0])}” raises {what} by {number(raised)} "
        f"with the first {partner} at the same end and lowers it by {number(-lowered)} "
        f"with the first at the opposite end ({unit(two.run, reading)})."
    )


def _show_examples(two: ChosenSides, modes: Modes, k: int, what: str) -> None:
    shared.section("Examples that this mode moves most")
    run, (texts, images) = two.run, two.index
    moved = modes.of_examples(k, texts, images)
    order = np.argsort(-np.abs(moved), kind="stable")
    # The same text again and again would say little, so show the first example of each.
    _, first = np.unique(texts[order], return_index=True)
    for column, i in zip(st.columns(EXAMPLES), order[np.sort(first)][:EXAMPLES], strict=False):
        with column:
            words, place = [signed(moved[i])], two.places[1]
            gallery(run, [int(images[i])], [what], words, height=120, place=place)
            shared.text(_in_short(two, int(texts[i])))
            shared.link("pages/examples.py", "Open it", example=run.ids[i])


_page()
