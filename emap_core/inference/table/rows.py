"""The rows of the table of scores: their names in a table and inside a sentence."""

from __future__ import annotations

from dataclasses import dataclass

from emap_core.decomposition.sets_of_sides import Sides


@dataclass(frozen=True)
class Row:
    """A row of the table: the model, or a baseline.

    Attributes
    ----------
    name : str
        Its name in records and data frames.
    label : str
        Its label in tables.
    phrase : str
        Its name inside a sentence if it is a rule without interactions, otherwise empty.
    """

    name: str
    label: str
    phrase: str = ""


ROWS = {
    row.name: row
    for row in (
        Row("full", "The model as it is"),
        Row("emap", "EMAP, as published"),
        Row("emap_leave_one_out", "EMAP, leave-one-out"),
        Row("text_only", "Text only", "the model’s text side alone"),
        Row("image_only", "Image only", "the model’s image side alone"),
        Row("constant", "Constant"),
        Row("linear_text", "Linear, on encoded texts", "a linear model of the encoded texts"),
        Row("linear_image", "Linear, on encoded images", "a linear model of the encoded images"),
        Row("linear_both", "Linear, on both", "a linear model of both encoded sides"),
        Row(
            "weighted_0.5",
            "EMAP, unlikely pairs count less",
            "an additive fit in which unlikely pairs count less",
        ),
        Row(
            "weighted_1",
            "EMAP, pairs count as they occur",
            "an additive fit to where the data lies",
        ),
    )
}
"""Rows by name, from the whole model down to no input at all, then other additive fits."""

PROJECTIONS = ("full", "emap", "emap_leave_one_out", "text_only", "image_only", "constant")
"""Rows of every table of two sides, whatever the names of the sides."""

LINEAR_PROBES = ("linear_text", "linear_image", "linear_both")
"""Rows that join the table if there was a training split."""

_SEVERAL = {2: ("pairs", "Pairs of sides"), 3: ("triples", "Three sides at a time")}


def rows_of(sides: Sides) -> dict[str, Row]:
    """Return the rows that a table of some sides may have, by name, the whole model first.

    With two sides, they are `ROWS`. With more, projections of the orders between the model and EMAP
    are between these two, each side has a row by its name (``question_only``), and there are no
    others.
    """
    if len(sides) == 2:
        return ROWS
    several = [_several(order) for order in order_rows(sides).values()]
    one_sided = [
        Row(row, f"{side[:1].upper()}{side[1:]} only", f"the model’s {side} side alone")
        for row, side in one_sided_rows(sides).items()
    ]
    rows = [
        ROWS["full"],
        *several,
        ROWS["emap"],
        ROWS["emap_leave_one_out"],
        *one_sided,
        ROWS["constant"],
    ]
    return {row.name: row for row in rows}


def projections_of(sides: Sides) -> tuple[str, ...]:
    """Return the names of the rows of every table of some sides, the whole model first."""
    return PROJECTIONS if len(sides) == 2 else tuple(rows_of(sides))


def order_rows(sides: Sides) -> dict[str, int]:
    """Return the orders of projections between the model and EMAP, by row, highest first."""
    return {_several(order).name: order for order in range(len(sides) - 1, 1, -1)}


def one_sided_rows(sides: Sides) -> dict[str, str]:
    """Return the sides, by the row for each side on its own.

    Two sides are text and image in the table, whatever their names.
    """
    if len(sides) == 2:
        return dict(zip(("text_only", "image_only"), sides, strict=True))
    return {f"{side}_only": side for side in sides}


def _several(order: int) -> Row:
    name, label = _SEVERAL.get(order, (f"sets_of_{order}", f"{order} sides at a time"))
    return Row(name, label)
