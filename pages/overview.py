"""Overview: do interactions matter here."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from emap_core.errors import RunError
from emap_core.figures import Chart, gap_dumbbell
from emap_core.human_readable import capitalised, counted
from emap_core.inference import Gap, metric
from emap_core.inference.number_format import bracket, percent
from emap_core.presentation.blind_rows_table import blind_table
from emap_core.presentation.charts import RunFigure, overview_figures
from emap_core.presentation.further_questions import further_questions
from emap_core.presentation.run_details import PROBABILITIES_NOTE, facts
from emap_core.presentation.tables import (
    KIND_WORDS,
    SPREAD_NOTE,
    Table,
    intervals_note,
    score_notes,
    score_table,
    share_sentence,
    spread_table,
)
from emap_core.probes.ask import finished
from emap_core.probes.blind_rows import Blinded, BlindRows
from emap_core.runs import Run
from emap_core.runs.gaps_by_column import COLUMNS, gaps_by, groupable
from emap_core.untrusted_text import visible, visible_table
from pages import shared
from pages.shared.example import examples_of
from pages.shared.glossary import explain
from pages.shared.side_by_side import sides

QUESTION = "Do interactions matter here?"
# With more groups the figure of their gaps is too tall to read.
MOST_ANSWERS = 40
CELL_WORDS = {
    "both_right": "right either way",
    "helped": "right only with interactions",
    "hurt": "right only without them",
    "both_wrong": "wrong either way",
}


def _page() -> None:
    run = shared.require_run(QUESTION)
    _go_to_chosen_cell()
    if not run.has_intervals:
        _compute_intervals(run)
    verdict = shared.verdict_of(run)
    shared.header(QUESTION, verdict.sentence, run)
    for sentence in (*verdict.details, *run.notes):
        shared.text(sentence)
    if run.warnings:
        st.warning("\n\n".join(map(shared.plain, run.warnings)), icon=":material/warning:")
    figures = {figure.name: figure for figure in overview_figures(run)}
    if run.metrics:
        if verdict.equivalence_margin is not None:
            _ask_margin(run, verdict.equivalence_margin)
        if len(run.sides) > 2 and "shares" in figures:
            # With many sides, the first question is what only all of them together carry.
            _show_shares(run, figures.pop("shares"))
        _show_answer(run, figures.pop("gap", None))
        _show_next_step(run)
        _show_further_questions(run, verdict.equivalence_margin)
    else:
        shared.empty(
            "The data has no labels. This page can show what the model’s outputs consist of, but "
            "not what interactions are worth."
        )
        _show_next_step(run)
    for figure in figures.values():
        _SHOWN.get(figure.name, _show_figure)(run, figure)
    if "decisions" not in figures and run.shared_by_all is None and run.kinds is not None:
        _show_kinds(run)
    _show_answers(run)
    _show_details(run)
    explain(label="What the words on this page mean")


def _show_next_step(run: Run) -> None:
    shared.next_step(
        "pages/examples.py",
        "See the examples where interactions change the answer"
        if run.decides
        else "See the examples with the largest interactions",
        view=shared.view_key(show="flips") if run.decides else None,
        slice=None,
        example=None,
    )


def _compute_intervals(run: Run) -> None:
    """Show the scores while their intervals are computed (once), then the page."""
    shared.header(QUESTION, "Computing the intervals, once per run …", run)
    if run.metrics:
        shared.section("The model and its baselines")
        _show_table(score_table(run, intervals=False))
    with st.skeleton(height=420):
        # The run keeps them in memory, so the page finds them even if no disk could.
        run.intervals()
    st.rerun()


def _ask_margin(run: Run, margin: float) -> None:
    which = metric(run.metrics[0])
    in_points = which.unit == "points"
    scale = 100.0 if in_points else 1.0
    default = run.verdict().equivalence_margin or margin
    lowest, highest = which.range
    st.session_state["equivalence-margin"] = margin * scale

    def changed() -> None:
        value = st.session_state["equivalence-margin"] / scale
        as_before = abs(value - default) < 1e-9 * default
        shared.set_view(smallest=None if as_before else f"{value:.6g}")

    with st.popover("What counts as small?", icon=":material/tune:", type="tertiary"):
        st.number_input(
            f"Equivalence margin, {'points of ' if in_points else ''}{which.label}",
            min_value=scale * default / 100,
            max_value=scale * min(1000 * default, 0.5 * (highest - lowest)),
            step=scale * default / 2,
            format="%.3g",
            key="equivalence-margin",
            on_change=changed,
            help="The smallest gap that matters to you. The sentence above says whether the gap is "
            "larger or smaller than this, or undecided.",
        )


def _show_answer(run: Run, figure: RunFigure | None) -> None:
    """Show what the verdict is based on, on one screen: a figure of the gaps, and the scores."""
    if figure is None:
        _show_scores(run)
        return
    picture, scores = sides("answer", [1, 1])
    with picture:
        shared.section(figure.title)
        shared.show(_chart(run, figure), "overview-gap")
    with scores:
        _show_scores(run)


def _show_scores(run: Run) -> None:
    shared.section("The model and its baselines")
    _show_table(score_table(run))
    for note in score_notes(run):
        st.caption(shared.plain(note))
    _show_blind_rows(run)


def _show_blind_rows(run: Run) -> None:
    """Show what the model answers without one side, if somebody asked on the page Measures."""
    try:
        found = finished(run, BlindRows())
    except RunError:
        # The page Measures says what is damaged.
        return
    if isinstance(found, Blinded):
        st.caption(
            "Outside the data: one side is taken away, which the model never meets in an example."
        )
        _show_table(blind_table(found))


def _show_further_questions(run: Run, equivalence_margin: float | None) -> None:
    spread = spread_table(run)
    if spread is not None:
        with st.expander("How much sub-samples differ"):
            _show_table(spread)
            st.caption(shared.plain(SPREAD_NOTE))
    for one in further_questions(run, equivalence_margin):
        with st.expander(one.question):
            shared.text(one.answer)
            _show_table(one.columns)
            st.caption(shared.plain(one.note))


def _show_table(table: Table) -> None:
    st.table(table, border="horizontal", hide_index=True)


def _chart(run: Run, figure: RunFigure) -> Chart:
    return shared.drawn(figure.name, run, lambda theme: figure.draw(run, theme))


def _show_figure(run: Run, figure: RunFigure) -> None:
    shared.section(figure.title)
    shared.show(_chart(run, figure), f"overview-{figure.name}")


def _show_shares(run: Run, figure: RunFigure) -> None:
    shared.section(figure.title)
    if sentence := share_sentence(run):
        shared.say(sentence)
    shared.show(_chart(run, figure), "overview-shares")


def _show_decisions(run: Run, figure: RunFigure) -> None:
    if run.kinds is None:
        shared.section(figure.title)
        _show_cells(run, _chart(run, figure))
        return
    left, right = sides("decisions", [1, 1])
    with left:
        shared.section(figure.title)
        _show_cells(run, _chart(run, figure))
    with right:
        _show_kinds(run)


# These figures have other things beside them; every other figure only has a heading.
_SHOWN = {"shares": _show_shares, "decisions": _show_decisions}


def _show_cells(run: Run, chart: Chart) -> None:
    key = "overview-cells"

    def chosen() -> None:
        cells = shared.selected_ids(st.session_state[key])
        st.session_state["overview-cell"] = cells[0] if cells else None

    shared.show(chart, key, on_select=chosen)
    counts = dict(zip(CELL_WORDS.values(), chart.table["examples"], strict=True))
    for cell, words in CELL_WORDS.items():
        if counts[words]:
            _link(f"{counts[words]:,} {words}", show=cell)


def _go_to_chosen_cell() -> None:
    cell = st.session_state.pop("overview-cell", None)
    if cell in CELL_WORDS:
        shared.go_to("examples", view=shared.view_key(show=cell), example=None, slice=None)


def _show_kinds(run: Run) -> None:
    shared.section("What kinds of examples there are")
    kinds = examples_of(run)["kind"]
    st.caption(shared.plain(intervals_note(run)))
    for kind, share in run.proportions("kind").items():
        with st.container(border=True, gap=None):
            _link(
                f"{shared.in_own_words(capitalised(kind))}: {percent(share.value)} "
                f"{bracket(share.low, share.high, 'points')}, "
                f"{counted(int((kinds == kind).sum()), 'example')}",
                kind=kind,
            )
            st.caption(shared.in_own_words(KIND_WORDS[kind]))


def _link(words: str, **settings: str) -> None:
    shared.link(
        "pages/examples.py",
        words,
        icon=":material/arrow_forward:",
        view=shared.view_key(**settings),
        example=None,
        slice=None,
    )


def _show_answers(run: Run) -> None:
    """Show, if asked for, for which answers or values of a column interactions matter."""
    if not run.metrics or not run.method.scores_all_pairs:
        return
    offered = {"": "of all examples"}
    if run.task != "regression" and 1 < len(set(examples_of(run)["label"])) <= MOST_ANSWERS:
        offered["label"] = "by true answer"
    offered |= {name: f"by {name}" for name in groupable(run) if name not in COLUMNS}
    if len(offered) == 1:
        return
    shared.section("For which examples do they matter?")
    name = run.metrics[0]
    by = shared.choose("Gap", offered, "by")
    if not by:
        return
    gaps = {
        f"{visible(group)} (N = {gap.n_examples:,})": gap
        for group, gap in _gaps_by(shared.run_key(run), by, name, run).items()
    }
    title = f"{metric(name).label}, %" if metric(name).unit == "points" else metric(name).label
    chart = shared.drawn(
        f"gaps by {by}", run, lambda theme: gap_dumbbell(gaps, title=title, theme=theme), name
    )
    shared.show(chart, "overview-answers")
    st.caption(
        f"95% limits that hold for all {len(gaps)} gaps at once, "
        f"{shared.in_own_words(run.intervals().population)}, from the scores alone."
    )


@st.cache_data(max_entries=32, show_spinner="Working out the gap of each group …")
def _gaps_by(key: tuple[str, str], by: str, name: str, _run: Run) -> dict[str, Gap]:
    return gaps_by(_run, by, name)


def _show_details(run: Run) -> None:
    with st.expander("How this was computed"):
        told = facts(run)
        st.table(
            {"what": list(told), "value": [shared.plain(v) for v in told.values()]},
            border="horizontal",
            hide_index=True,
            hide_header=True,
        )
        if run.skipped:
            st.caption(f"{run.skipped_note}:")
            st.dataframe(
                visible_table(pd.DataFrame({"left out": run.skipped})),
                hide_index=True,
            )
        if run.space != "logits":
            st.caption(PROBABILITIES_NOTE)
        st.download_button(
            "Table as CSV",
            run.table(intervals=True).to_csv() if run.metrics else "",
            file_name=shared.file_of(run, "table.csv"),
            mime="text/csv",
            disabled=not run.metrics,
            icon=":material/download:",
        )


_page()
