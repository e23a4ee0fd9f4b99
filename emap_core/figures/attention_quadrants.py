"""Scores with quadrants of attention averaged, in all layers and in single ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from emap_core.figures.chart import Chart
from emap_core.figures.style import new_figure, words
from emap_core.inference import metric
from emap_core.inference.number_format import bracket, change, measured, percent
from emap_core.themes import LIGHT, Theme

_ROW = 104
_CURVE = 260


def attention_quadrants(
    rows: pd.DataFrame,
    whole: float,
    interaction_share: float,
    layers: Mapping[int, float],
    name: str,
    *,
    theme: Theme = LIGHT,
) -> Chart:
    """Draw the score under each impairment as dots, and below it the score layer by layer.

    Parameters
    ----------
    rows : DataFrame
        Columns ``row``, ``value``, ``change`` from the whole model with its limits ``low`` and
        ``high``, and ``interaction_share``.
    whole, interaction_share : float
        Of the model as it is.
    layers : mapping of int to float
        The score with attention between the sides averaged in only one layer.
    name : str
        Of the metric.
    """
    which = metric(name)
    scale, suffix = (100.0, "%") if which.unit == "points" else (1.0, "")
    height = _ROW * (len(rows) + 1)
    curve = _CURVE if len(layers) > 1 else 0
    figure = new_figure(theme, height=110 + height + curve, showlegend=False, dragmode=False)
    first = pd.DataFrame(
        [
            {
                "row": "The model as it is",
                "value": whole,
                "change": np.nan,
                "low": np.nan,
                "high": np.nan,
                "interaction_share": interaction_share,
            }
        ]
    )
    table = pd.concat([first, rows], ignore_index=True)
    places = np.arange(len(table))
    value = scale * table["value"].to_numpy()
    # The interval of the change, drawn where the score would be.
    low, high = (scale * (whole + table[end].to_numpy()) for end in ("low", "high"))
    if which.unit == "points":
        low, high = np.clip(low, 0.0, 100.0), np.clip(high, 0.0, 100.0)
    for place in places[1:]:
        figure.add_trace(
            go.Scatter(
                x=[low[place], high[place]],
                y=[place, place],
                mode="lines",
                line={"color": theme.ink, "width": 5},
                opacity=0.55,
                hoverinfo="skip",
            )
        )
    figure.add_trace(
        go.Scatter(
            x=value,
            y=places,
            mode="markers",
            marker={
                "size": 14,
                "color": [theme.ink, *[theme.paper] * (len(table) - 1)],
                "line": {"color": theme.ink, "width": 2.5},
            },
            customdata=[words(one) for one in table["row"]],
            hovertemplate=f"%{{customdata}}: %{{x:.4g}}{suffix}<extra></extra>",
        )
    )
    drawn = np.concatenate([value, low, high])
    drawn = drawn[np.isfinite(drawn)]
    least, most = drawn.min(), drawn.max()
    if which.unit == "points":
        least, most = min(0.0, least), max(100.0, most)
    room = 0.04 * ((most - least) or 1.0)
    for place, row in zip(places, table.itertuples(), strict=True):
        figure.add_annotation(
            x=0,
            xref="paper",
            xanchor="left",
            align="left",
            y=place,
            yanchor="bottom",
            yshift=8,
            text=f"<b>{words(row.row)}</b><br>{_label(row, which.unit)}",
            showarrow=False,
            bgcolor=theme.paper,
        )
    below = curve / (height + curve)
    axis = f"{which.label}, %" if which.unit == "points" else which.label
    figure.update_layout(
        xaxis={"range": [least - room, most + room], "anchor": "y", "title": axis, "nticks": 6},
        yaxis={"visible": False, "range": [len(table) - 0.6, -0.9], "domain": [below + 0.1, 1.0]},
    )
    if curve:
        _draw_layers(figure, layers, scale, whole, axis, below, theme)
    return Chart(figure, _message(table, layers, which.unit), table)


def _draw_layers(
    figure: go.Figure,
    layers: Mapping[int, float],
    scale: float,
    whole: float,
    axis: str,
    below: float,
    theme: Theme,
) -> None:
    numbers = [layer + 1 for layer in layers]
    figure.add_trace(
        go.Scatter(
            x=numbers,
            y=[scale * value for value in layers.values()],
            xaxis="x2",
            yaxis="y2",
            mode="lines+markers",
            line={"color": theme.ink, "width": 2},
            marker={"size": 10, "color": theme.paper, "line": {"color": theme.ink, "width": 2}},
            hovertemplate="layer %{x}: %{y:.4g}<extra></extra>",
        )
    )
    figure.add_shape(
        type="line",
        x0=0,
        x1=1,
        xref="x2 domain",
        y0=scale * whole,
        y1=scale * whole,
        yref="y2",
        line={"color": theme.ink, "dash": "dot", "width": 1.5},
    )
    figure.add_annotation(
        x=0,
        xref="x2 domain",
        xanchor="left",
        y=scale * whole,
        yref="y2",
        yanchor="bottom",
        text="as it is",
        showarrow=False,
    )
    figure.update_layout(
        xaxis2={
            "anchor": "y2",
            "title": "layer, averaged between the sides",
            "tickvals": numbers,
        },
        yaxis2={"anchor": "x2", "domain": [0.0, max(0.05, below - 0.06)], "title": axis},
    )


def _label(row: object, unit: str) -> str:
    value, by, low, high, share = (
        getattr(row, name) for name in ("value", "change", "low", "high", "interaction_share")
    )
    told = "" if by != by else f", {change(by, unit)} {bracket(low, high, unit)}"
    return f"{measured(value, unit)}{told}<br>interactions {percent(share)}"


def _message(table: pd.DataFrame, layers: Mapping[int, float], unit: str) -> str:
    rows = [f"{row.row}: {_label(row, unit).replace('<br>', '; ')}." for row in table.itertuples()]
    single = [f"layer {layer + 1} {measured(value, unit)}" for layer, value in layers.items()]
    told = f" With one layer's attention between the sides averaged: {', '.join(single)}."
    return f"Scores with attention averaged. {' '.join(rows)}{told if single else ''}"
