"""How much of each class's variance over all recombinations text, image and interaction carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from emap_core.decomposition import Decomposition
from emap_core.decomposition.projection import PARTS
from emap_core.figures.chart import Chart
from emap_core.figures.style import (
    JOINT,
    TEXT_AND_IMAGE,
    Look,
    column_names,
    hatching,
    new_figure,
    outline,
    words,
    words_apart,
)
from emap_core.inference.number_format import percent
from emap_core.themes import LIGHT, Theme


def variance_shares(
    decomposition: Decomposition,
    classes: Sequence[str],
    *,
    most: int = 30,
    looks: Mapping[str, Look] = TEXT_AND_IMAGE,
    theme: Theme = LIGHT,
) -> Chart:
    """Draw a stacked bar per class, largest interaction on top, after all classes pooled.

    Parameters
    ----------
    decomposition : Decomposition
        Class-centred for softmax tasks.
    classes : sequence of str
        Names of the classes.
    most : int
        With more classes, only those with the largest interaction are drawn; the table has all.
    looks : mapping of str to Look
        Look of each side; see `emap_core.figures.style.looks_of`.
    """
    shares, pooled = decomposition.variance_shares, decomposition.pooled_shares
    order = np.argsort(-np.nan_to_num(shares[2], nan=-1.0), kind="stable")
    names = column_names(classes, shares.shape[1])
    rows = [] if shares.shape[1] == 1 else [("all classes together", pooled)]
    rows += [(names[c], shares[:, c]) for c in order]
    table = pd.DataFrame([(name, *values) for name, values in rows], columns=["class", *PARTS])
    drawn = rows[: most + 1]

    figure = new_figure(theme, height=140 + 34 * len(drawn), barmode="stack", bargap=0.3)
    places = list(range(len(drawn)))
    for number, part in enumerate(PARTS):
        look = looks.get(part, JOINT)
        figure.add_trace(
            go.Bar(
                name=part,
                y=places,
                x=[100 * values[number] for _, values in drawn],
                orientation="h",
                marker={
                    "color": look.colour,
                    "line": outline(theme),
                    "pattern": hatching(look.hatch, theme),
                },
                customdata=[words(name) for name, _ in drawn],
                hovertemplate="%{customdata}: " + part + " %{x:.1f}%<extra></extra>",
            )
        )
    figure.add_trace(
        go.Scatter(
            y=places,
            x=[0 if np.isnan(values[2]) else 100 for _, values in drawn],
            mode="text",
            text=[
                " never varies" if np.isnan(values[2]) else f" {percent(values[2])}"
                for _, values in drawn
            ],
            textposition="middle right",
            cliponaxis=False,
            hoverinfo="skip",
            showlegend=False,
        )
    )
    figure.update_xaxes(
        range=[0, 100.5],
        tickvals=[0, 25, 50, 75, 100],
        title={
            "text": "share of the variance<br>over all recombinations, %"
            "<br>(interaction at the right)",
            "standoff": 8,
        },
        showgrid=False,
    )
    shown = words_apart([name for name, _ in drawn], 28)
    figure.update_yaxes(
        tickvals=places,
        ticktext=[
            f"<b>{name}</b>" if number == 0 and len(rows) > 1 else name
            for number, name in enumerate(shown)
        ],
        ticklabelstandoff=6,
        range=[len(drawn) - 0.5, -0.5],
        showgrid=False,
    )
    # The numbers stand in the margin, which is as wide as they are on every page.
    figure.update_layout(legend_traceorder="normal", dragmode=False, margin_r=52)
    least_width = 170 + 7 * max(map(len, shown), default=0)
    return Chart(figure, _message(table, pooled, len(drawn)), table, least_width)


def _message(table: pd.DataFrame, pooled: np.ndarray, drawn: int) -> str:
    if np.isnan(pooled[2]):
        return "Variance shares: the outputs never vary, so there is nothing to share."
    text, image, interaction = (percent(value) for value in pooled)
    message = (
        f"Variance shares over all recombinations: text {text}, image {image}, "
        f"interaction {interaction}."
    )
    if len(table) > 1:
        varying = table.iloc[1:].dropna()
        top, last = varying.iloc[0], varying.iloc[-1]
        message += (
            f" By class, the interaction goes from {percent(top.interaction)} ({top['class']}) "
            f"down to {percent(last.interaction)} ({last['class']})."
        )
    if drawn < len(table):
        message += (
            f" The figure shows the {drawn - 1} of {len(table) - 1} classes with the largest "
            "interaction."
        )
    return message
