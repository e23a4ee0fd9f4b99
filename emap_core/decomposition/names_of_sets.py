"""What sets of sides are called."""

from __future__ import annotations

from emap_core.decomposition.sets_of_sides import Sides

ALL_INTERACTIONS = "all interactions"
"""What is told where single sets of several sides are not known."""

COUNTS = {3: "three", 4: "four", 5: "five", 6: "six"}
"""Numbers of sides in words."""

_ORDERS = {1: "single sides", 2: "pairs of sides"}


def set_name(some: Sides) -> str:
    """Return the name of a set of sides: question × written."""
    return " × ".join(some)


def order_name(order: int, n_sides: int) -> str:
    """Return a name for sets of this many sides, in the plural if there are several."""
    if order == n_sides:
        return f"all {COUNTS.get(n_sides, n_sides)} together"
    return _ORDERS.get(order) or f"{COUNTS.get(order, order)} sides together"
