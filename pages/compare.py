"""Compare: which model really uses both sides."""

from __future__ import annotations

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from emap_core.errors import EmapError, RunError
from emap_core.figures import gap_dumbbell, gap_over_training, interaction_sizes
from emap_core.human_readable import counted
from emap_core.inference import metric
from emap_core.inference.number_format import bracket, change, measured, p_value
from emap_core.inference.predictions.scores import in_words, unit_of
from emap_core.inference.verdict import IN_WORDS
from emap_core.presentation.comparison_tables import (
    as_latex,
    as_markdown,
    comparison_table,
    differences_by_example,
    gap_differences,
    left_out_of,
    measures_of_runs,
    missing_intervals,
    paired_p_value,
    populations,
    readable_differences,
    readable_table,
    same_data,
    seeds_together,
    shared_metrics,
    why_not_matched,
)
from emap_core.presentation.run_details import annotated, changed
from emap_core.presentation.training_checkpoints import checkpoints
from emap_core.runs import Run
from emap_core.runs.slices import safe_csv
from emap_core.untrusted_text import visible_table
from pages import shared
from pages.shared.example import seen_beside_read, show_read, show_seen

QUESTION = "Which model uses both sides?"
QUESTION_OF_SEVERAL = "Which model uses its sides together?"
MOST_RUNS = 12
MOST_PAIRED = 4
ROWS = 200


def _page() -> None:
    current = shared.require_run(QUESTION)
    runs = _choose_runs(current)
    names = [shared.title_of(run) for run in runs]
    metrics = shared_metrics(runs) if all(run.labels is not None for run in runs) else []
    several = any(len(run.sides) > 2 for run in runs)
    question = QUESTION_OF_SEVERAL if several else QUESTION
    if len(runs) < 2:
        shared.header(question, "Select at least one more run to compare.", current)
        _run_widget(runs)
        shared.empty(
            "Choose another run above, or run a second model on the same data.",
            "pages/run.py",
            "Run another model",
        )
        return
    if not metrics:
        shared.header(question, "These runs have no metric in common.", current)
        _run_widget(runs)
    else:
        with st.spinner("Working out intervals …"):
            table = comparison_table(runs, metrics)
        chosen = shared.view("metric", metrics[0])
        chosen = chosen if chosen in metrics else metrics[0]
        shared.header(question, _answer(table, names, chosen, several=several), current)
        _run_widget(runs)
        if len(metrics) > 1:
            shared.choose("Metric", {name: metric(name).label for name in metrics}, "metric")
        place = _show_scores(runs, names, table, chosen)
    for said in annotated(runs, names):
        st.caption(shared.plain(said))
    if len(runs) == 2:
        _show_what_changed(runs[0], runs[1], names)
        _show_differences(runs[0], runs[1], (names[0], names[1]), metrics)
    elif metrics:
        st.caption("Choose just two runs to see the examples where they differ.")
    shared.next_step("pages/report.py", "Share this result")
    if metrics and _are_paired(runs):
        # With many examples this takes seconds, so everything else is shown first.
        _show_whose_gap_is_larger(place, runs, names, chosen)


def _choose_runs(current: Run) -> list[Run]:
    """Return the runs of the view, or all runs on the current run's data."""
    wanted = [name for name in shared.view("runs").split(",") if name]
    if not wanted:
        data = current.manifest["fingerprints"]["data"]
        wanted = [
            info.id
            for info in shared.finished_runs()
            if info.manifest["fingerprints"]["data"] == data
        ]
    runs = []
    for name in wanted[:MOST_RUNS]:
        try:
            run = shared.open_run(name)
            run.verify()
            # A damaged part of the grid only shows up here.
            with st.spinner("Working out intervals …"):
                run.verdict()
        except RunError as error:
            st.warning(f"Left out: {shared.plain(error)}", icon=":material/error:")
            continue
        runs.append(run)
    return runs or [current]


def _run_widget(runs: list[Run]) -> None:
    names = shared.run_titles()
    st.session_state["compare-runs"] = [run.id for run in runs if run.id in names]
    st.multiselect(
        "Runs",
        list(names),
        format_func=names.__getitem__,
        key="compare-runs",
        max_selections=MOST_RUNS,
        on_change=lambda: shared.set_view(runs=",".join(st.session_state["compare-runs"])),
        help="By default, all runs on the same data.",
    )


def _answer(table: pd.DataFrame, names: list[str], name: str, *, several: bool) -> str:
    which = metric(name)
    table = table.assign(name=names).sort_values(f"{name}_gap", ascending=False)
    table = table[table[f"{name}_verdict"] != "not_measurable"]
    if table.empty:
        shared_side = "an item of a side" if several else "one text or one image"
        return f"Not measurable: in each run, all examples share {shared_side}."
    sure = table[table[f"{name}_measurable"]]
    if sure.empty:
        used = "its sides together" if several else "both sides"
        return f"No run uses {used} measurably, by {which.label}."
    gains = [
        f"{row['name']} by {change(row[f'{name}_gap'], which.unit)}"
        for row in sure.head(3).to_dict("records")
    ]
    more = ", and others" if len(sure) > 3 else ""
    use, whose = ("uses", "its") if len(sure) == 1 else ("use", "their")
    used = f"{whose} sides together" if several else "both sides"
    return (
        f"{len(sure)} of {counted(len(table), 'run')} {use} {used} measurably, by "
        f"{which.label}: {', '.join(gains)}{more}."
    )


def _show_scores(
    runs: list[Run], names: list[str], table: pd.DataFrame, name: str
) -> DeltaGenerator:
    """Show what each model's interactions are worth; return the place to compare gaps in."""
    which = metric(name)
    title = f"{which.label}, %" if which.unit == "points" else which.label
    gaps = {label: run.gap(name) for label, run in zip(names, runs, strict=True)}
    gaps = dict(sorted(gaps.items(), key=lambda item: -item[1].difference))
    chart = shared.drawn(
        "comparison",
        runs[0],
        lambda theme: gap_dumbbell(gaps, title=title, theme=theme),
        *(name, *names, *map(shared.run_key, runs)),
    )
    shared.show(chart, "compare-dumbbell", table=False)
    _show_training(runs, name)
    if (why := why_not_matched(runs)) is not None:
        st.caption(
            shared.plain(
                f"{why}: compare each model with its own EMAP, not models with each other."
            )
        )
    shown = readable_table(table, names)
    st.dataframe(visible_table(shown), hide_index=True)
    st.caption(
        f"{left_out_of(runs)} Brackets hold each run’s own 95% interval, "
        f"{shared.plain(populations(runs))}. The next column has limits that hold for all runs at "
        "once (Bonferroni). p is adjusted for the number of runs (Holm). Measurably means that "
        "this p is below 0.05."
    )
    verdicts = (
        f"{label}: {IN_WORDS[kind]}"
        for label, kind in zip(names, table[f"{name}_verdict"], strict=True)
    )
    st.caption(
        shared.plain(f"Verdict of each run alone, by {which.label}: " + "; ".join(verdicts) + ".")
    )
    if same_data(runs):
        _show_seeds(runs, name)
    if all(len(run.sides) == 2 for run in runs):
        _show_measures(runs, names)
    place = _place_of_gaps(runs, name) if _are_paired(runs) else st.container()
    with st.container(horizontal=True):
        for label, text, file, mime in (
            ("Markdown", as_markdown(shown), "comparison.md", "text/markdown"),
            ("LaTeX", as_latex(shown), "comparison.tex", "text/x-tex"),
            ("CSV", safe_csv(table), "comparison.csv", "text/csv"),
        ):
            st.download_button(
                label, text, file, mime, on_click="ignore", icon=":material/download:"
            )
    return place


def _show_training(runs: list[Run], name: str) -> None:
    """Show the gaps of runs that name a training step over their steps, if there are several."""
    steps = checkpoints(runs, name)
    if not steps:
        return
    chart = shared.drawn(
        "gap over training",
        runs[0],
        lambda theme: gap_over_training(steps, theme=theme),
        *(name, *map(shared.run_key, runs)),
    )
    shared.section("Interactions over training")
    st.text(chart.alt)
    shared.show(chart, "compare-training", table=False)


def _show_measures(runs: list[Run], names: list[str]) -> None:
    if not st.toggle(
        "By other papers’ measures, too",
        key="compare-measures",
        help="Perceptual score, InterSHAP, SHAPE, MMoE types and bits, one column each.",
    ):
        return
    with st.spinner("Computing the measures, once per run …"):
        shown = measures_of_runs(runs, names)
    st.dataframe(visible_table(shown), hide_index=True)
    st.caption(
        f"95% intervals in brackets, {shared.plain(populations(runs))}. N is in the table above."
    )


def _show_seeds(runs: list[Run], name: str) -> None:
    if not st.toggle(
        "These runs are seeds of one model",
        key="compare-seeds",
        help="The same training with different random seeds. Their gaps are averaged, with an "
        "interval for new seeds and new examples.",
    ):
        return
    try:
        found = seeds_together(runs, name)
    except EmapError as error:
        st.info(shared.plain(error), icon=":material/info:")
        return
    which = metric(name)
    st.markdown(
        f"Mean of {found.n_seeds} seeds, by {which.label}: **{change(found.mean, which.unit)}** "
        f"{bracket(found.low, found.high, which.unit)} {found.population}; standard deviation "
        f"between seeds {measured(found.spread, which.unit)}; {p_value(found.p_value)}; "
        f"N = {runs[0].manifest['n_examples']:,}."
    )


def _are_paired(runs: list[Run]) -> bool:
    return same_data(runs) and len(runs) <= MOST_PAIRED


def _place_of_gaps(runs: list[Run], name: str) -> DeltaGenerator:
    """Return the place where gaps are compared; it keeps its room only while a visitor waits."""
    compared = st.session_state.setdefault("compare-gaps", set())
    wanted = (name, *map(shared.run_key, runs))
    if wanted in compared:
        return st.container()
    compared.add(wanted)
    n_pairs = len(runs) * (len(runs) - 1) // 2
    return st.skeleton(height=90 + 42 * n_pairs)


def _show_whose_gap_is_larger(
    place: DeltaGenerator, runs: list[Run], names: list[str], name: str
) -> None:
    try:
        table = _gap_differences(tuple(map(shared.run_key, runs)), name, runs)
    except RunError:
        place.container()
        return
    by_id = {run.id: label for run, label in zip(runs, names, strict=True)}
    shown = readable_differences(table, by_id, name).to_dict("list")
    with place.container():
        st.table(
            {column: [shared.plain(cell) for cell in cells] for column, cells in shown.items()},
            border="horizontal",
            hide_index=True,
        )
        st.caption(
            f"Whose gap is larger: each pair of runs on the same "
            f"{counted(runs[0].manifest['n_examples'], 'example')}, with 95% intervals "
            f"{shared.plain(populations(runs))}. p tests equal gaps and is adjusted for the number "
            f"of pairs of runs (Holm). {missing_intervals(runs)}"
        )


@st.cache_data(max_entries=64, show_spinner=False)
def _gap_differences(
    keys: tuple[tuple[str, str], ...], name: str, _runs: list[Run]
) -> pd.DataFrame:
    return gap_differences(_runs, name)


def _show_what_changed(first: Run, second: Run, names: list[str]) -> None:
    sides = changed(first, second)
    with st.expander("What changed between these two runs"):
        if not sides:
            st.write("Nothing in what the runs record about how they were computed and from what.")
            return
        table = {
            "": list(sides),
            **{n: [s[i] for s in sides.values()] for i, n in enumerate(names)},
        }
        st.table(
            {shared.plain(name): list(map(shared.plain, cells)) for name, cells in table.items()},
            border="horizontal",
            hide_index=True,
        )


def _show_differences(first: Run, second: Run, names: tuple[str, str], metrics: list[str]) -> None:
    shared.section("Where the two differ")
    if (why := why_not_matched([first, second])) is not None:
        shared.empty(f"{why}, so nothing can be matched.")
        return
    if first.space != second.space:
        st.caption(
            f"The units differ: {in_words(first.space, first.task)} in one run, "
            f"{in_words(second.space, second.task)} in the other."
        )
    keys = shared.run_key(first), shared.run_key(second)
    table = _differences(keys, first, second)
    chart = shared.drawn(
        "two runs' interactions",
        first,
        lambda theme: interaction_sizes(
            table.interaction_size_first.to_numpy(),
            table.interaction_size_second.to_numpy(),
            table.id.tolist(),
            names,
            unit=unit_of(first.space, first.task),
            theme=theme,
        ),
        keys[1],
        names,
    )
    st.text(chart.alt)
    if metrics:
        try:
            p = _p_value(keys, metrics[0], first, second)
            st.caption(
                f"Difference between the two models in {metric(metrics[0]).label}, paired by "
                f"example: {p_value(p)}."
            )
        except RunError:
            st.caption(
                "Their classes or spaces differ, so the two models cannot be tested in pairs."
            )
    shared.show(chart, "compare-examples", on_select=_open_example, selection_mode="points")
    listed = table.head(ROWS)
    # Streamlit keeps what a callback refers to for as long as the session lasts.
    ids = listed.id.astype(str).tolist()
    columns = ["id", "text", "label", "prediction_first", "prediction_second", "difference"]
    st.caption("Most different first. Choose a row, or a point above, to open the example.")
    st.dataframe(
        visible_table(listed[columns]),
        hide_index=True,
        column_config={
            "text": first.sides[0].name,
            "prediction_first": names[0],
            "prediction_second": names[1],
            "difference": st.column_config.NumberColumn(
                "size of interaction, second minus first", format="%.3g"
            ),
        },
        key="compare-rows",
        on_select=lambda: _take_row(ids),
        selection_mode="single-row",
    )
    example = shared.current_example(first)
    if example is not None:
        _show_example(first, second, names, example)


def _open_example() -> None:
    chosen = shared.selected_ids(st.session_state["compare-examples"])
    if chosen:
        shared.select(example=chosen[0])


def _take_row(ids: list[str]) -> None:
    rows = st.session_state["compare-rows"]["selection"]["rows"]
    if rows:
        shared.select(example=ids[rows[0]])


def _show_example(first: Run, second: Run, names: tuple[str, str], example: int) -> None:
    with st.container(border=True):
        picture, words = seen_beside_read(first, [1, 4])
        with picture:
            show_seen(first, example)
        with words:
            show_read(first, example)
            st.caption(shared.plain(f"example {first.ids[example]}"))
            with st.container(horizontal=True):
                for run, name in zip((first, second), names, strict=True):
                    shared.link("pages/examples.py", f"What happened in {name}", run=run.id)


# Visitors share the table, and nobody changes it: a copy each would be 1 MB per 10,000 examples.
@st.cache_resource(max_entries=16, show_spinner="Matching examples …")
def _differences(
    keys: tuple[tuple[str, str], tuple[str, str]], _first: Run, _second: Run
) -> pd.DataFrame:
    return differences_by_example(_first, _second)


@st.cache_data(max_entries=64, show_spinner="Testing …")
def _p_value(
    keys: tuple[tuple[str, str], tuple[str, str]], name: str, _first: Run, _second: Run
) -> float:
    return paired_p_value(_first, _second, name)


_page()
