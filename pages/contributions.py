"""Contributions: which side carries the predictions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import streamlit as st

from emap_core.decomposition.contrasts import (
    Contrast,
    class_contrast,
    label_contrast,
    margin_contrast,
    prediction_contrast,
)
from emap_core.figures import Chart, contributions, inside, rows_of_traces
from emap_core.inference.predictions.scores import one_score
from emap_core.presentation.chosen_sides import looks_of_two
from emap_core.presentation.side_names_in_charts import worded_chart
from emap_core.runs import Run
from emap_core.runs.slices import ranked
from emap_core.themes import Theme
from emap_core.types import Index, Mask
from pages import shared
from pages.shared.example import (
    examples_of,
    seen_beside_read,
    show_answers,
    show_read,
    show_seen,
    show_waterfall,
)
from pages.shared.glossary import explain
from pages.shared.interaction_grid import choose_axes, choose_class, quantity, unit
from pages.shared.side_by_side import sides
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


def _page() -> None:
    run = shared.require_run(QUESTION)
    top = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        parts, what = _choose_contrast(run)
        axes = choose_axes(run)
        mouse = st.container(width="content")
    ask_filter(run)
    shown = filter_mask(run)
    example = shared.current_example(run)
    chart = shared.drawn(
        "contributions",
        run,
        lambda theme: _chart(run, parts(), axes, shown, what, theme),
        *(what, *axes, *current_filter().settings().items()),
    )
    with top:
        shared.header(QUESTION, _answer(worded_chart(run.sides, chart)), run)
    if not shown.any():
        shared.empty("No example passes this filter. “Show all” clears it.")
        return
    picture, words = sides("picture", [3, 2])
    with picture:
        shared.show(chart, CHART)
    with mouse:
        _point(run, parts, axes, shown, example)
    with words:
        _show_example(run, example)
    _show_selection(run)
    explain("contribution", "interaction", "EMAP", "margin")
    shared.next_step("pages/examples.py", "Go through these examples one by one")


def _answer(chart: Chart) -> str:
    """Return the figure's title without the part that its axes already say."""
    first, _, rest = chart.alt.partition(". ")
    return rest or first


def _choose_contrast(run: Run) -> tuple[Callable[[], Contrast], str]:
    """Draw the choice of what to take apart; return how to get its parts, and its name."""
    d = run.shares
    if run.task == "multilabel" or not run.decides:
        c = choose_class(run)
        return partial(class_contrast, d, c), quantity(run, c)
    several = d.logits.shape[1] > 1
    options = {"predicted": "predicted class"}
    truth = run.true_classes
    if truth is not None and (truth >= 0).all():
        options["true"] = "true class"
    if several:
        options["margin"] = "margin over the runner-up"
    options["class"] = "one class"
    words = "What text and image add to" if len(run.sides) == 2 else "What the sides add to"
    chosen = shared.choose(shared.in_own_words(words), options, "of")
    name = one_score(run.space, run.task)
    if chosen == "true" and truth is not None:
        return partial(label_contrast, d, truth), f"the {name} of the true class"
    if chosen == "margin":
        return partial(margin_contrast, d), "the predicted class’s lead over the runner-up"
    if chosen == "class":
        c = choose_class(run)
        return partial(class_contrast, d, c), quantity(run, c)
    return partial(prediction_contrast, d), f"the {name} of the predicted class"


def _chart(
    run: Run, contrast: Contrast, axes: tuple[int, int], shown: Mask, what: str, theme: Theme
) -> Chart:
    across, upwards = axes
    return contributions(
        contrast.effects[across][shown],
        contrast.effects[upwards][shown],
        contrast.interaction[shown],
        _flips(run, shown),
        np.asarray(run.ids, dtype=object)[shown].tolist(),
        looks=looks_of_two(run, axes),
        quantity=what,
        unit=unit(run),
        theme=theme,
    )


def _flips(run: Run, shown: Mask) -> np.ndarray | None:
    flips = examples_of(run)["flip"].to_numpy()[shown]
    return None if (flips == None).any() else flips.astype(str)  # noqa: E711


def _point(
    run: Run,
    parts: Callable[[], Contrast],
    axes: tuple[int, int],
    shown: Mask,
    example: int | None,
) -> None:
    """Let a click select an example, and a line around points select those inside."""

    # Callbacks hold only the run: Streamlit keeps them for the whole session.
    def take(trace: int, point: int) -> None:
        traces = _traces(run, filter_mask(run))
        if trace < len(traces) and point < len(traces[trace]):
            shared.select_example(run, int(traces[trace][point]))

    def take_within(outline: list[tuple[float, float]]) -> None:
        contrast = parts()
        across, upwards = (contrast.effects[place] for place in axes)
        within = filter_mask(run) & inside(outline, across, upwards)
        if within.any():
            choose_positions(run, np.flatnonzero(within))

    traces = _traces(run, shown)
    by_hand = chosen_positions(run)
    chosen = np.isin(np.arange(len(shown)), [] if by_hand is None else by_hand)
    rings = (
        (trace, int(np.flatnonzero(rows == example)[0]))
        for trace, rows in enumerate(traces)
        if example in rows
    )
    shared.pointing(
        CHART,
        {"move": "moves the picture", "box": "draws a box", "lasso": "draws a lasso"},
        take,
        take_within,
        shared.Marks(next(rings, None), [chosen[rows] for rows in traces]),
    )


def _traces(run: Run, shown: Mask) -> list[Index]:
    """Return which examples each trace of points draws."""
    rows = rows_of_traces(_flips(run, shown), int(shown.sum()))
    return [np.flatnonzero(shown)[of_trace] for of_trace in rows]


def _show_example(run: Run, example: int | None) -> None:
    if example is None:
        st.info(
            "Click a point to see its example here. Draw a box or a lasso around points to list "
            "them below; this works after zooming in, too.",
            icon=":material/touch_app:",
        )
        return
    image, words = seen_beside_read(run, [1, 2])
    with image:
        show_seen(run, example)
    with words:
        show_read(run, example)
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
        shared.empty("None of the selected examples passes the filter. “Show all” clears both.")
        return
    list_table(run, order, f"contributions-list-{hash((len(order), int(order[0])))}")
    slices(run)


_page()
