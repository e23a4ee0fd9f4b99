"""Measures: what other papers would say about the same run."""

from __future__ import annotations

from typing import get_args

import streamlit as st

from emap_core.errors import EmapError, RunError
from emap_core.inference.other_measures.partial_information import Target
from emap_core.presentation.charts import groups_chart, information_chart, measures_chart
from emap_core.presentation.tables import (
    information_notes,
    measures_notes,
    measures_table,
    whole_groups_notes,
    whole_groups_table,
)
from emap_core.probes.ask import finished
from emap_core.probes.averaged_attention import Attention
from emap_core.probes.base import Probe
from emap_core.probes.blind_rows import BlindRows
from emap_core.probes.gap_between_towers import TwoTowers
from emap_core.probes.probed_run import ProbedRun
from emap_core.runs import Run
from emap_core.runs.whole_groups import USUAL_NAMES
from emap_core.untrusted_text import visible
from pages import shared
from pages.shared.glossary import explain
from pages.shared.layout import section
from pages.shared.probe_button import offer

QUESTION = "What would other measures say?"
PROBES: tuple[tuple[Probe, str], ...] = (
    (BlindRows(), "Every text is scored with two empty pictures, and every image with no text"),
    (TwoTowers(), "Texts and images are encoded"),
    (Attention(), "Examples are scored with parts of the attention averaged, at most"),
)


def _page() -> None:
    run = shared.require_run(QUESTION)
    if run.why_no_measures is None:
        _show_measures(run)
    else:
        shared.header(QUESTION, run.why_no_measures, run)
    grouped = _show_groups(run)
    # Probes of a whole run are about two sides, like the measures in the sentence above.
    probes = PROBES if len(run.sides) == 2 else ()
    asked = [grouped, *(_show_probe(run, probe, how) for probe, how in probes)]
    if run.why_no_measures is not None and not any(asked):
        shared.empty(
            "These measures do not apply to this run. Its overview does.",
            "pages/overview.py",
            "See whether interactions matter",
        )
        return
    shared.next_step("pages/compare.py", "Compare models by these measures")


def _show_measures(run: Run) -> None:
    with st.spinner("Computing the measures, once per run …"):
        found = run.measures()
    shared.header(QUESTION, found.sentence, run)
    shared.show(shared.drawn("measures", run, lambda theme: measures_chart(run, theme)), "measures")
    for note in measures_notes(found):
        st.caption(shared.plain(note))
    with st.expander("All measures, what they count, and how they differ from EMAP"):
        st.table(measures_table(found), border="horizontal", hide_index=True)
    explain(
        "perceptual score",
        "InterSHAP",
        "SHAPE cooperation",
        "MMoE types",
        "bits",
        label="What the measures are and are not",
    )
    _show_information(run)


def _show_groups(run: Run) -> bool:
    """Show, if asked for, how many groups are right as a whole; return whether this applies."""
    if run.why_no_groups is not None or not run.groupings:
        return False
    section("Are whole groups right?")
    offered = {name: f"by {visible(name)}" for name in run.groupings}
    if run.groupings[0].lower() not in USUAL_NAMES:
        # Groups that share an image are counted only when somebody asks.
        offered = {"": "not grouped", **offered}
    by = shared.choose("Examples that belong together", offered, "together")
    if not by:
        st.caption(
            "A group is right as a whole if all its examples are right: an image with all its "
            "questions, for example."
        )
        return True
    try:
        with st.spinner("Counting whole groups, once per run …"):
            found = run.group_scores(by)
    except EmapError as error:
        st.caption(shared.plain(error))
        return True
    shared.text(found.sentence)
    chart = shared.drawn("groups", run, lambda theme: groups_chart(run, theme, by), by)
    shared.show(chart, "measures-groups")
    for note in whole_groups_notes(found):
        st.caption(shared.plain(note))
    with st.expander("All rows"):
        st.table(whole_groups_table(found), border="horizontal", hide_index=True)
    explain("whole groups", "text, image and group score", label="What these are and are not")
    return True


def _show_information(run: Run) -> None:
    """Show, if asked for, what text and image tell alike, alone and together."""
    section("What do text and image tell us, alone and together?")
    about = {"": "not asked", "label": "about the true label"}
    if run.labels is None or run.labels.ndim != 1:
        del about["label"]
    about["prediction"] = "about the model’s answer"
    chosen = shared.choose("What the one-sided predictions tell", about, "tell")
    target = next((one for one in get_args(Target) if one == chosen), None)
    if target is None:
        st.caption(
            "In bits: what both sides tell us, what only one of them does, and what only the two "
            "together do. This takes a few seconds, once per run."
        )
        return
    try:
        with st.spinner("Splitting the information, once per run …"):
            found = run.partial_information(target)
    except EmapError as error:
        st.caption(shared.plain(error))
        return
    shared.text(found.sentence)
    chart = shared.drawn(
        "information", run, lambda theme: information_chart(run, theme, target), target
    )
    shared.show(chart, "measures-information")
    for note in information_notes(found):
        st.caption(shared.plain(note))
    explain("partial information", label="What this is and is not")


def _show_probe(run: Run, probe: Probe, how: str) -> bool:
    """Show what a probe of the whole run found, or offer to ask it; return whether it applies."""
    try:
        found = finished(run, probe)
    except RunError as error:
        st.error(shared.plain(error), icon=":material/error:")
        return True
    # A question about another kind of model does not deserve a heading.
    if found is None and probe.needs(ProbedRun(run)) is not None:
        return False
    section(probe.question)
    if found is None:
        offer(run, probe, how)
        return True
    shared.text(found.sentence)
    shared.show(found.chart(shared.theme()), f"measures-{probe.name}")
    if hasattr(found, "table"):
        with st.expander("All numbers"):
            st.table(found.table, border="horizontal", hide_index=True)
    for note in getattr(found, "details", ()):
        st.caption(shared.plain(note))
    return True


_page()
