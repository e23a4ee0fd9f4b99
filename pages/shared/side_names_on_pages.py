"""Sentences and charts of a page in the words of its run, such as premises and hypotheses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from emap_core.modalities import TEXT_AND_IMAGE
from emap_core.modalities.side_names import worded
from emap_core.runs import Run

if TYPE_CHECKING:
    from emap_core.figures import Chart

_SIDES = "_sides"


def speak_of(run: Run | None) -> None:
    """Use this run's names of sides for the rest of the page; text and image if there is none."""
    st.session_state[_SIDES] = None if run is None else run.sides


def in_own_words(sentence: str) -> str:
    """Return one of our sentences with the sides named as in the page's run."""
    return worded(st.session_state.get(_SIDES) or TEXT_AND_IMAGE, sentence)


def with_own_words(chart: Chart) -> Chart:
    """Return a chart with the sides named as in the page's run."""
    from emap_core.presentation.side_names_in_charts import worded_chart

    return worded_chart(st.session_state.get(_SIDES) or TEXT_AND_IMAGE, chart)
