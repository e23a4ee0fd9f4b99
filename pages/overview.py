"""Overview: do interactions matter here."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from emap_core import inference
from emap_core.figures import confusion_pair, gap_dumbbell, variance_shares
from emap_core.figures.style import bracket, measured, percent
from emap_core.figures.visible import visible, visible_table
from emap_core.inference import Gap, Intervals, metric
from emap_core.inference.digits import p_value
from emap_core.presentation.labels import made_from
from emap_core.presentation.questions import asides
from emap_core.runs import Run
from emap_core.runs.groups import gaps_by
from pages import shared
from pages.shared.example import examples_of
from pages.shared.glossary import explain
from pages.shared.sides import sides

QUESTION = "Do interactions matter here?"
ROWS = {
    "full": "The model as it is",
    "emap": "EMAP, as published",
    "emap_leave_one_out": "EMAP, leave-one-out",
    "text_only": "Text only",
    "image_only": "Image only",
    "constant": "Constant",
    "linear_text": "Linear, on encoded texts",
    "linear_image": "Linear, on encoded images",
    "linear_both": "Linear, on both",
}
KIND_WORDS = {
    "redundant": "text alone and image alone already give the model’s answer",
    "text-led": "the model’s answer is that of the text alone",
    "image-led": "the model’s answer is that of the image alone",
    "synergistic": "neither side alone gives the model’s answer",
}
# Beyond this a picture of all their gaps is too tall to read.
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
    found = run.intervals()
    verdict = shared.verdict_of(run)
    shared.header(QUESTION, verdict.sentence, run)
    for sentence in (*verdict.details, *run.notes):
        shared.text(sentence)
    if run.warnings:
        st.warning("\n\n".join(map(shared.plain, run.warnings)), icon=":material/warning:")
    if run.metrics:
        if verdict.smallest_gap is not None:
            _ask_smallest_gap(run, verdict.smallest_gap)
        if run.shared_by_all is None:
            _show_gaps(run)
        _show_table(run, found)
        _show_asides(run, verdict.smallest_gap)
    else:
        shared.empty(
            "The data has no labels: what the model’s outputs are made of can be seen here, but "
            "not what interactions are worth."
        )
    if run.shared_by_all is None:
        _show_shares(run, found)
    _show_decisions(run, found)
    _show_answers(run)
    _show_details(run, found)
    explain(label="What the words on this page mean")
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
    """Show the page's shape while the intervals are computed, once, then the page."""
    shared.header(QUESTION, "How sure is it? Computing the intervals, once for this run …", run)
    with st.skeleton(height=420):
        # The run keeps them, so the page finds them though no disk could.
        run.intervals()
    st.rerun()


def _ask_smallest_gap(run: Run, smallest: float) -> None:
    which = metric(run.metrics[0])
    in_points = which.unit == "points"
    scale = 100.0 if in_points else 1.0
    default = run.verdict().smallest_gap or smallest
    lowest, highest = which.range
    st.session_state["smallest-gap"] = smallest * scale

    def changed() -> None:
        value = st.session_state["smallest-gap"] / scale
        as_before = abs(value - default) < 1e-9 * default
        shared.set_view(smallest=None if as_before else f"{value:.6g}")

    with st.popover("What counts as small?", icon=":material/tune:", type="tertiary"):
        st.number_input(
            f"The smallest gap that matters to you, {'points of ' if in_points else ''}"
            f"{which.label}",
            min_value=scale * default / 100,
            max_value=scale * min(1000 * default, 0.5 * (highest - lowest)),
            step=scale * default / 2,
            format="%.3g",
            key="smallest-gap",
            on_change=changed,
            help="The sentence above says whether the gap is larger than this, smaller, or "
            "undecided.",
        )


def _show_gaps(run: Run) -> None:
    gaps = {_capital(metric(name).label): run.gap(name) for name in run.metrics}
    if all(gap.full != gap.full for gap in gaps.values()):
        return
    chart = shared.drawn("gaps", run, lambda theme: gap_dumbbell(gaps, theme=theme))
    shared.show(chart, "overview-gaps")


def _show_table(run: Run, found: Intervals) -> None:
    st.subheader("The model and its baselines", anchor=False)
    table = run.table(intervals=True)
    words: dict[str, list[str]] = {" ": [ROWS[row] for row in table.index]}
    for name in run.metrics:
        which = metric(name)
        heading = f"{_capital(which.label)} {'↑' if which.higher_is_better else '↓'}"
        words[heading] = [
            _value(*(table.loc[row, f"{name}{end}"] for end in ("", "_low", "_high")), which.unit)
            for row in table.index
        ]
    st.table(words, border="horizontal", hide_index=True)
    st.caption(
        shared.plain(
            f"95% intervals in brackets, {found.population}, N = {run.manifest['n_examples']:,}. "
            "↑ more is better, ↓ less is better. "
            + (inference.self_term_note(run.decomposition) if run.shared_by_all is None else "")
        )
    )
    for note in found.notes:
        st.caption(shared.plain(note))
    _show_spread(run)


def _show_asides(run: Run, smallest_gap: float | None) -> None:
    for aside in asides(run, smallest_gap):
        with st.expander(aside.question):
            shared.text(aside.answer)
            st.table(aside.columns, border="horizontal", hide_index=True)
            st.caption(shared.plain(aside.note))


def _show_spread(run: Run) -> None:
    spread = run.spread
    if spread is None:
        return
    deviations = spread.deviations
    names = ROWS | {"gap": "Gap, EMAP as published", "gap_leave_one_out": "Gap, leave-one-out"}
    with st.expander(f"How much {spread.of} differ"):
        st.table(
            {
                "Standard deviation": [
                    words for row, words in names.items() if row in deviations[run.metrics[0]]
                ]
            }
            | {
                _capital(metric(name).label): [
                    measured(of_rows[row], metric(name).unit) for row in names if row in of_rows
                ]
                for name, of_rows in deviations.items()
            },
            border="horizontal",
            hide_index=True,
        )
        st.caption(
            shared.plain(
                "Over random sub-samples of the same examples, as papers print it behind ±. It "
                "is not the error of the average."
            )
        )


def _value(value: float, low: float, high: float, unit: Any) -> str:
    if value != value:
        return "not defined"
    limits = f" {bracket(low, high, unit)}" if low == low and high == high else ""
    return measured(value, unit) + limits


def _show_shares(run: Run, found: Intervals) -> None:
    st.subheader("What the outputs are made of", anchor=False)
    pooled = found.pooled_shares["interaction"]
    has_limits = pooled.low == pooled.low
    interval = bracket(pooled.low, pooled.high, "points") if has_limits else ""
    speaks = f" (95% interval, {found.population})" if has_limits else ""
    what = {"logits": "logits", "log_probabilities": "log-probabilities"}.get(
        run.space, "probabilities"
    )
    if pooled.value == pooled.value:
        shared.say(
            f"Interactions carry {percent(pooled.value)} {interval} of the variance of the {what} "
            f"over all recombinations{speaks}."
        )
    chart = shared.drawn(
        "shares", run, lambda theme: variance_shares(run.shares, run.classes, theme=theme)
    )
    shared.show(chart, "overview-shares")


def _show_decisions(run: Run, found: Intervals) -> None:
    examples = examples_of(run)
    if examples["flip"].isna().all() or run.shared_by_all is not None:
        return
    if not run.metrics or examples["correct"].isna().all():
        st.subheader("What kinds of examples there are", anchor=False)
        _show_kinds(run)
        return
    left, right = sides("decisions", [1, 1])
    with left:
        st.subheader("Right and wrong, with and without interactions", anchor=False)
        _show_cells(run)
    with right:
        st.subheader("What kinds of examples there are", anchor=False)
        _show_kinds(run)


def _show_cells(run: Run) -> None:
    examples = examples_of(run)
    chart = shared.drawn(
        "cells",
        run,
        lambda theme: confusion_pair(
            examples["correct"].to_numpy(dtype=bool),
            examples["correct_without"].to_numpy(dtype=bool),
            theme=theme,
        ),
    )
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
        st.switch_page(
            "pages/examples.py",
            query_params=shared.selection(
                view=shared.view_key(show=cell), example=None, slice=None
            ),
        )


def _show_kinds(run: Run) -> None:
    kinds = examples_of(run)["kind"]
    st.caption(shared.plain(f"95% intervals in brackets, {run.intervals().population}."))
    for kind, share in run.proportions("kind").items():
        with st.container(border=True, gap=None):
            _link(
                f"{_capital(kind)}: {percent(share.value)} "
                f"{bracket(share.low, share.high, 'points')}, {_count(int((kinds == kind).sum()))}",
                kind=kind,
            )
            st.caption(KIND_WORDS[kind])


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
    """Show for which true answers interactions matter, when it is asked for."""
    can = run.metrics and run.method.scores_all_pairs and run.task != "regression"
    if not can or not 1 < len(set(examples_of(run)["label"])) <= MOST_ANSWERS:
        return
    st.subheader("For which answers do they matter?", anchor=False)
    name = run.metrics[0]
    if shared.choose("Gap", {"": "of all examples", "label": "by true answer"}, "by") != "label":
        return
    gaps = {
        f"{visible(label)} (N = {gap.n_examples:,})": gap
        for label, gap in _gaps_by_answer(shared.run_key(run), name, run).items()
    }
    title = f"{metric(name).label}, %" if metric(name).unit == "points" else metric(name).label
    chart = shared.drawn(
        "gaps by answer", run, lambda theme: gap_dumbbell(gaps, title=title, theme=theme), name
    )
    shared.show(chart, "overview-answers")
    st.caption(
        f"95% limits that hold all {len(gaps)} gaps at once, "
        f"{run.intervals().population}, from the scores alone."
    )


@st.cache_data(max_entries=32, show_spinner="Working out the gap of each answer …")
def _gaps_by_answer(key: tuple[str, str], name: str, _run: Run) -> dict[str, Gap]:
    return gaps_by(_run, "label", name)


def _show_details(run: Run, found: Intervals) -> None:
    manifest = run.manifest
    with st.expander("How this was computed"):
        facts = {
            "Method": manifest["method"],
            "Projected": run.space.replace("_", "-"),
            "Task": run.task,
            "Examples": f"{manifest['n_examples']:,}"
            + (f"; {run.skipped_note}, see below" if run.skipped else ""),
            "Different texts": f"{manifest['n_texts']:,}",
            "Different images": f"{manifest['n_images']:,}",
            "Pairs evaluated": f"{manifest['n_pairs_evaluated']:,}",
            "Kept": _kept(run),
            "Resamples": run.statistics.resamples(found),
            "Seed": str(found.seed),
            "Device": str(manifest.get("device", "not known")),
            "Weights": str(manifest.get("dtype") or "not known"),
            "Time": shared.duration(manifest["seconds"])
            if manifest.get("seconds")
            else "not known",
            "Computed": str(manifest.get("created", ""))[:16].replace("T", " ") + " UTC",
            "Run": run.id,
        } | made_from(manifest)
        for name in run.metrics:
            gap = run.gap(name)
            tested = f"; {p_value(gap.p_value)}" if gap.p_value == gap.p_value else ""
            adjusted = run.adjusted_p_values[name]
            if tested and len(run.metrics) > 1 and adjusted == adjusted:
                tested += f", {p_value(adjusted)} for {len(run.metrics)} metrics (Holm)"
            facts[f"Gap in {metric(name).label}"] = gap.method + tested
        st.table(
            {"what": list(facts), "value": [shared.plain(v) for v in facts.values()]},
            border="horizontal",
            hide_index=True,
            hide_header=True,
        )
        if run.skipped:
            st.caption(f"{run.skipped_note.capitalize()}, with something wrong:")
            st.dataframe(
                visible_table(pd.DataFrame({"left out": run.skipped})),
                hide_index=True,
            )
        if run.space != "logits":
            st.caption(
                "Projected probabilities can leave the range from 0 to 1; metrics that need "
                "probabilities clip them to 1e-7 and more, and renormalise."
            )
        st.download_button(
            "Table as CSV",
            run.table(intervals=True).to_csv() if run.metrics else "",
            file_name=f"{run.id}.csv",
            mime="text/csv",
            disabled=not run.metrics,
            icon=":material/download:",
        )


def _kept(run: Run) -> str:
    if run.grid is not None:
        return "the whole grid"
    n = len(run.kept_classes)
    return f"the grid of {n:,} of {len(run.classes):,} classes" if n else "sums only"


def _count(examples: int) -> str:
    return "1 example" if examples == 1 else f"{examples:,} examples"


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


_page()
