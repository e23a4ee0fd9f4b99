"""The rows of the table of scores: what each is called, in a table and inside a sentence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A row of the table: the model, or a baseline.

    Attributes
    ----------
    name : str
        In records and data frames.
    label : str
        At the head of its line, for people.
    phrase : str
        Inside a sentence, where it stands for a rule that uses no interactions; else empty.
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
"""Rows that every table has."""

LINEAR_PROBES = ("linear_text", "linear_image", "linear_both")
"""Rows that join the table where there was a training split."""
