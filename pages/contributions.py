"""Contributions: which side carries the predictions."""

from __future__ import annotations

import numpy as np
import streamlit as st

from emap_core.decomposition.contrasts import (
    Contrast,
    class_contrast,
    label_contrast,
    margin_contrast,
    prediction_contrast,
)
from emap_core.figures import Chart, Theme, contributions, marked, rows_of_points
from emap_core.inference.predictions.scores import one_score
from emap_core.runs import Run
from emap_core.runs.slices import ranked
from pages import shared
from pages.shared.example import (
    examples_of,
    show_answers,
    show_image,
    show_text,
    show_waterfall,
)
from pages.shared.glossary import explain
from pages.shared.interactions import choose_class, quantity, unit
from pages.shared.sides import sides
from pages.shared.slices import (
    ask_filter,
    choose_positions,
    chosen_positions,
    current_filter,
    current_mask,
    filter_mask,
    list_table,
    slices,
)

QUESTION = "Which side carries the predictions?"
CHART = "contributions-chart"
# Up to so many points the current example is ringed, which sends the picture anew.
RINGED = 20_000


def _page() -> None:
    run = shared.require_run(QUESTION)
    top = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        contrast, what = _choose_contrast(run)
        # A click chooses nothing while the mouse draws: Streamlit allows one or the other.
        mouse = shared.choose(
            "The mouse",
            {"pan": "picks one", "select": "draws a box", "lasso": "draws a lasso"},
            "mouse",
        )
    ask_filter(run)
    shown = filter_mask(run)
    example = shared.current_example(run)
    chart = shared.drawn(
        "contributions",
        run,
        lambda theme: _chart(run, contrast, shown, what, mouse, theme),
        *(what, mouse, *current_filter().settings().items()),
    )
    if len(shown) <= RINGED:
        ring = None if example is None else run.ids[example]
        by_hand = chosen_positions(run)
        ringed = np.isin(np.flatnonzero(shown), [] if by_hand is None else by_hand)
        chart = marked(chart, ring, np.flatnonzero(ringed), shared.theme())
    with top:
        shared.header(QUESTION, _answer(chart), run)
    if not shown.any():
        shared.empty("No example passes this filter. “Show all” clears it.")
        return
    picture, words = sides("picture", [3, 2])
    with picture:
        shared.show(
            chart, CHART, on_select=lambda: _select(run), selection_mode=["points", "box", "lasso"]
        )
    with words:
        _show_example(run, example)
    _show_selection(run)
    explain("contribution", "interaction", "EMAP", "margin")
    shared.next_step("pages/examples.py", "Go through these examples one by one")


def _answer(chart: Chart) -> str:
    """Return what the picture shows without what it is, which its axes say."""
    first, _, rest = chart.alt.partition(". ")
    return rest or first


def _choose_contrast(run: Run) -> tuple[Contrast, str]:
    d = run.shares
    if run.task == "multilabel" or not run.decides:
        c = choose_class(run)
        return class_contrast(d, c), quantity(run, c)
    several = d.logits.shape[1] > 1
    options = {"predicted": "predicted class"}
    truth = run.true_classes
    if truth is not None and (truth >= 0).all():
        options["true"] = "true class"
    if several:
        options["margin"] = "margin over the runner-up"
    options["class"] = "one class"
    chosen = shared.choose("What text and image add to", options, "of")
    name = one_score(run.space, run.task)
    if chosen == "true" and truth is not None:
        return label_contrast(d, truth), f"the {name} of the true class"
    if chosen == "margin":
        return margin_contrast(d), "the predicted class’s lead over the runner-up"
    if chosen == "class":
        c = choose_class(run)
        return class_contrast(d, c), quantity(run, c)
    return prediction_contrast(d), f"the {name} of the predicted class"


def _chart(
    run: Run, contrast: Contrast, shown: np.ndarray, what: str, mouse: str, theme: Theme
) -> Chart:
    chart = contributions(
        contrast.text[shown],
        contrast.image[shown],
        contrast.interaction[shown],
        _flips(run, shown),
        np.asarray(run.ids, dtype=object)[shown].tolist(),
        quantity=what,
        unit=unit(run),
        theme=theme,
    )
    # Zoom and position stay while the ring moves; another quantity starts over.
    chart.figure.update_layout(dragmode=mouse, uirevision=what)
    return chart


def _flips(run: Run, shown: np.ndarray) -> np.ndarray | None:
    flips = examples_of(run)["flip"].to_numpy()[shown]
    return None if (flips == None).any() else flips.astype(str)  # noqa: E711


def _select(run: Run) -> None:
    """Take one point as the current example, several as the selection."""
    shown = filter_mask(run)
    points = shared.selected_points(st.session_state[CHART])
    rows = rows_of_points(points, _flips(run, shown), int(shown.sum()))
    positions = np.flatnonzero(shown)[rows]
    if len(positions) == 1:
        shared.select_example(run, int(positions[0]))
    elif len(positions):
        choose_positions(run, positions)


def _show_example(run: Run, example: int | None) -> None:
    if example is None:
        st.info(
            "Click a point to see its example here. Let the mouse draw a box or a lasso around "
            "points to list them below.",
            icon=":material/touch_app:",
        )
        return
    image, words = st.columns([1, 2])
    with image:
        show_image(run, example)
    with words:
        show_text(run, example)
        show_answers(run, example)
    show_waterfall(run, example, "contributions-waterfall", most=1)
    shared.link(
        "pages/examples.py",
        "Open this example",
        icon=":material/arrow_forward:",
        example=run.ids[example],
    )


def _show_selection(run: Run) -> None:
    order = ranked(examples_of(run), current_mask(run))
    first = "flips first" if run.decides else "the largest interaction first"
    shared.section(f"These {len(order):,} examples, {first}")
    if not len(order):
        shared.empty("None of the chosen examples passes the filter. “Show all” clears both.")
        return
    list_table(run, order, f"contributions-list-{hash((len(order), int(order[0])))}")
    slices(run)


_page()
