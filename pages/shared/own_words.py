"""Sentences and charts of a page in the words of its run: premises and hypotheses, say."""

from __future__ import annotations

import streamlit as st

from emap_core.figures import Chart
from emap_core.modalities import TEXT_AND_IMAGE
from emap_core.modalities.words_of_sides import worded
from emap_core.presentation.worded_charts import worded_chart
from emap_core.runs import Run

_SIDES = "_sides"


def speak_of(run: Run | None) -> None:
    """Call the sides as in this run for the rest of the page; as text and image without one."""
    st.session_state[_SIDES] = None if run is None else run.sides


def in_own_words(sentence: str) -> str:
    """Return a sentence of ours with the sides called as in the run that the page is about."""
    return worded(st.session_state.get(_SIDES) or TEXT_AND_IMAGE, sentence)


def with_own_words(chart: Chart) -> Chart:
    """Return a chart with the sides called as in the run that the page is about."""
    return worded_chart(st.session_state.get(_SIDES) or TEXT_AND_IMAGE, chart)
