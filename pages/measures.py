"""Measures: what other papers would say of the same run."""

from __future__ import annotations

import streamlit as st

from emap_core.presentation.charts import measures_chart
from emap_core.presentation.tables import measures_notes, measures_table
from pages import shared
from pages.shared.glossary import explain

QUESTION = "What would other measures say?"


def _page() -> None:
    run = shared.require_run(QUESTION)
    if run.why_no_measures is not None:
        shared.header(QUESTION, run.why_no_measures, run)
        shared.empty(
            "These measures do not apply to this run. Its overview does.",
            "pages/overview.py",
            "See whether interactions matter",
        )
        return
    with st.spinner("Computing the measures, once for this run …"):
        found = run.measures()
    shared.header(QUESTION, found.sentence, run)
    shared.show(shared.drawn("measures", run, lambda theme: measures_chart(run, theme)), "measures")
    for note in measures_notes(found):
        st.caption(shared.plain(note))
    with st.expander("All measures, what they count, and why they are not EMAP"):
        st.table(measures_table(found), border="horizontal", hide_index=True)
    explain(
        "perceptual score",
        "InterSHAP",
        "SHAPE cooperation",
        "MMoE types",
        "bits",
        label="What the measures are, and are not",
    )
    shared.next_step("pages/compare.py", "Compare models by these measures")


_page()
