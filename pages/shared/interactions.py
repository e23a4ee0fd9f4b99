"""One class of a run's kept grid, and its modes; worked out once for all visitors."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from emap_core import methods
from emap_core.decomposition.blocks import Blocks, Window, interaction_blocks
from emap_core.decomposition.modes import Modes, interaction_modes
from emap_core.figures import column_names
from emap_core.inference.predictions.scores import unit_of
from emap_core.presentation.charts import quantity as quantity_of
from emap_core.runs import Run
from emap_core.runs.grid import Reading
from emap_core.types import Space
from emap_core.visible import visible
from pages import shared
from pages.shared.runs import current_class, run_key, select_class


def choose_class(run: Run, *, kept: bool = False) -> int:
    """Draw the choice of a class, kept in the URL, and return its column.

    Without one in the URL it is the class with the most interaction. With `kept`, only classes
    whose grid was kept are offered.
    """
    names = column_names(run.classes, len(run.shares.mean))
    if len(names) == 1:
        return 0
    offered = run.kept_classes if kept else list(range(len(names)))
    current = current_class(run)
    if current not in offered:
        current = max(offered, key=run.shares.sums_of_squares[2].__getitem__)
    st.session_state["class-choice"] = current
    st.selectbox(
        "Class",
        offered,
        format_func=lambda c: visible(names[c]),
        key="class-choice",
        on_change=lambda: select_class(run, st.session_state["class-choice"]),
        help="Each class has its own logit, and its own interactions."
        + (
            ""
            if len(offered) == len(names)
            else f" The grid was kept of {len(offered):,} of {len(names):,} classes."
        ),
    )
    return int(current)


def quantity(run: Run, c: int, reading: Reading = "logits") -> str:
    """Return what is taken apart, in words: “the logit of circle”."""
    return quantity_of(run, c, _space(run, reading))


def unit(run: Run, reading: Reading = "logits") -> str:
    """Return what the numbers are."""
    return unit_of(_space(run, reading), run.task)


def _space(run: Run, reading: Reading) -> Space:
    return "probabilities" if reading == "probabilities" else run.space


def modes_of(run: Run, c: int, reading: Reading) -> Modes:
    """Return the leading modes of the interaction of one class."""
    return _modes(run_key(run), c, reading, run)


def blocks_of(
    run: Run,
    c: int,
    order: str,
    text_order: NDArray[np.intp],
    image_order: NDArray[np.intp],
    window: Window | None,
) -> Blocks:
    """Return the interaction of one class in blocks; `order` names the two orders for the cache."""
    return _blocks(run_key(run), c, order, window, text_order, image_order, run)


def own_reading(run: Run) -> Reading:
    """Return how the run's own shares are read: centred over classes under a softmax."""
    return "centred" if run.softmax else "logits"


@st.cache_resource(max_entries=3, show_spinner="Reading the grid …")
def _cells(key: tuple[str, str], c: int, reading: Reading, _run: Run) -> NDArray[Any]:
    return _run.class_grid(c, reading)


@st.cache_resource(max_entries=64, show_spinner="Drawing the grid …")
def _blocks(
    key: tuple[str, str],
    c: int,
    order: str,
    window: Window | None,
    _text_order: NDArray[np.intp],
    _image_order: NDArray[np.intp],
    _run: Run,
) -> Blocks:
    cells = _cells(key, c, own_reading(_run), _run)
    return interaction_blocks(cells, _run.shares, c, _text_order, _image_order, window=window)


@st.cache_resource(max_entries=64, show_spinner="Looking for modes …")
def _modes(key: tuple[str, str], c: int, reading: Reading, _run: Run) -> Modes:
    shares = _run.shares
    cells = _cells(key, c, reading, _run)
    # Rounding is known of the logits as they are projected; probabilities have their own.
    noise = float(shares.noise[c]) if reading == own_reading(_run) else None
    return interaction_modes(cells, shares.text_share, shares.image_share, noise=noise)


def grid_is_there(run: Run, question: str, what: str) -> bool:
    """Return whether the run kept its grid; say beneath the question what to do if it did not."""
    if run.kept_classes:
        return True
    shared.header(question, run.method.why_no_grid, run)
    shared.empty(
        f"{what} {shared.in_own_words('the model’s output for every text with every image')}. "
        f"Run it again with the {methods.DEFAULT} method and keep the grid.",
        "pages/run.py",
        "Run it again with its grid",
    )
    return False
