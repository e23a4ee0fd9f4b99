"""One class of a run's kept grid, and its modes; computed once for all visitors."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from emap_core import methods
from emap_core.decomposition.block_means import Blocks, Window, interaction_blocks
from emap_core.decomposition.modes import Modes, interaction_modes
from emap_core.errors import SettingError
from emap_core.figures import column_names
from emap_core.inference.predictions.scores import unit_of
from emap_core.presentation.charts import quantity as quantity_of
from emap_core.presentation.charts import sums_of_interactions
from emap_core.presentation.chosen_sides import ChosenSides, chosen_sides, has_pairs, two_largest
from emap_core.runs import Run
from emap_core.runs.grid import Reading
from emap_core.types import Space
from emap_core.untrusted_text import visible
from pages import shared
from pages.shared.run_and_example import current_class, run_key, select_class
from pages.shared.url_selection import set_view, view


def choose_class(run: Run, *, kept: bool = False) -> int:
    """Draw the choice of a class, kept in the URL, and return its column.

    If the URL has none, it is the class with the most interaction. With `kept`, only classes whose
    grid was kept are offered.
    """
    names = column_names(run.classes, len(run.shares.mean))
    if len(names) == 1:
        return 0
    offered = chosen_sides(run).classes if kept else list(range(len(names)))
    current = current_class(run)
    if current not in offered:
        current = max(offered, key=sums_of_interactions(run).__getitem__)
    st.session_state["class-choice"] = current
    st.selectbox(
        "Class",
        offered,
        format_func=lambda c: visible(names[c]),
        key="class-choice",
        on_change=lambda: select_class(run, st.session_state["class-choice"]),
        help="Each class has its own logit and its own interactions."
        + (
            ""
            if len(offered) == len(names)
            else f" The grid was kept of {len(offered):,} of {len(names):,} classes."
        ),
    )
    return int(current)


def quantity(run: Run, c: int, reading: Reading = "logits") -> str:
    """Return in words what is taken apart: “the logit of circle”."""
    return quantity_of(run, c, _space(run, reading))


def unit(run: Run, reading: Reading = "logits") -> str:
    """Return the unit of the numbers."""
    return unit_of(_space(run, reading), run.task)


def _space(run: Run, reading: Reading) -> Space:
    return "probabilities" if reading == "probabilities" else run.space


def choose_sides(run: Run) -> ChosenSides:
    """Draw the choice of two sides if a run has more, kept in the URL; return them."""
    names = [side.name for side in run.sides]
    two = chosen_sides(run)
    if len(names) == 2:
        return two
    # A link may name sides that the run does not have.
    with contextlib.suppress(SettingError):
        two = chosen_sides(run, view("first"), view("second"))
    own = [side.name for side in two.sides]
    for words, key, now, other in (
        ("Rows", "first", own[0], own[1]),
        ("Columns", "second", own[1], own[0]),
    ):
        _choose_side(words, key, names, now, other)
    return two


def names_of(two: ChosenSides) -> dict[str, str]:
    """Return the part of a link that names two sides chosen from more."""
    first, second = (side.name for side in two.sides)
    return {"first": first, "second": second} if two.others else {}


def choose_axes(run: Run) -> tuple[int, int]:
    """Draw the choice of the sides across and up, kept in the URL; return their places."""
    names = [side.name for side in run.sides]
    if len(names) == 2:
        return 0, 1
    across, upwards = two_largest(run)
    given = view("first"), view("second")
    if set(given) <= set(names) and given[0] != given[1]:
        across, upwards = given
    _choose_side("Across", "first", names, across, upwards)
    _choose_side("Upwards", "second", names, upwards, across)
    return names.index(across), names.index(upwards)


def _choose_side(words: str, key: str, names: list[str], now: str, other: str) -> None:
    """Draw the choice of one of two sides; choosing the other one swaps them."""
    box = f"side-{key}"
    st.session_state[box] = now

    def changed() -> None:
        new = st.session_state[box]
        rest = now if new == other else other
        first, second = (new, rest) if key == "first" else (rest, new)
        # An item's number or an order means nothing once its side is gone.
        set_view(first=first, second=second, pair=None, window=None, mode=None, order=None)

    st.selectbox(words, names, format_func=visible, key=box, on_change=changed)


def modes_of(two: ChosenSides, c: int, reading: Reading) -> Modes:
    """Return the leading modes of the interaction of one class and two sides."""
    return _modes(run_key(two.run), two.places, c, reading, two)


def blocks_of(
    two: ChosenSides,
    c: int,
    order: str,
    text_order: NDArray[np.intp],
    image_order: NDArray[np.intp],
    window: Window | None,
) -> Blocks:
    """Return the interaction of one class in blocks; `order` names both orders for the cache."""
    key = run_key(two.run)
    return _blocks(key, two.places, c, order, window, text_order, image_order, two)


def own_reading(run: Run) -> Reading:
    """Return how the run's own shares are read: centred over classes under a softmax."""
    return "centred" if run.softmax else "logits"


@st.cache_resource(max_entries=3, show_spinner="Reading the grid …")
def _cells(
    key: tuple[str, str], places: tuple[int, int], c: int, reading: Reading, _two: ChosenSides
) -> NDArray[Any]:
    return _two.cells(c, reading)


@st.cache_resource(max_entries=64, show_spinner="Drawing the grid …")
def _blocks(
    key: tuple[str, str],
    places: tuple[int, int],
    c: int,
    order: str,
    window: Window | None,
    _text_order: NDArray[np.intp],
    _image_order: NDArray[np.intp],
    _two: ChosenSides,
) -> Blocks:
    cells = _cells(key, places, c, own_reading(_two.run), _two)
    return interaction_blocks(cells, _two.shares, c, _text_order, _image_order, window=window)


@st.cache_resource(max_entries=64, show_spinner="Looking for modes …")
def _modes(
    key: tuple[str, str], places: tuple[int, int], c: int, reading: Reading, _two: ChosenSides
) -> Modes:
    shares = _two.shares
    cells = _cells(key, places, c, reading, _two)
    # The rounding is that of the projected logits; probabilities have their own.
    noise = float(shares.noise[c]) if reading == own_reading(_two.run) else None
    return interaction_modes(cells, shares.row_share, shares.column_share, noise=noise)


def grid_is_there(run: Run, question: str, what: str) -> bool:
    """Return whether the run kept its grid; if not, say below the question what to do."""
    if has_pairs(run):
        return True
    if len(run.sides) > 2 and not run.method.scores_all_pairs:
        shared.header(question, run.method.why_no_grid, run)
        shared.empty(
            f"{what} the model’s mean output for every two items of two sides. Run it again with "
            f"the {methods.DEFAULT} method.",
            "pages/run.py",
            f"Run it again with the {methods.DEFAULT} method",
        )
        return False
    if len(run.sides) > 2:
        shared.header(question, "The means over pairs of sides were too large to keep.", run)
        shared.empty(
            f"{what} the model’s mean output for every pair of items from two sides, which takes "
            "too much room here. Run it again on fewer items.",
            "pages/run.py",
            "Run it again on fewer items",
        )
        return False
    shared.header(question, run.method.why_no_grid, run)
    shared.empty(
        f"{what} {shared.in_own_words('the model’s output for every text with every image')}. "
        f"Run it again with the {methods.DEFAULT} method and keep the grid.",
        "pages/run.py",
        "Run it again and keep the grid",
    )
    return False
