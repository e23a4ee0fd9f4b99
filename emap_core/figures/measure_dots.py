"""Several measures of one run on one scale: one dot per row, with what it counts above it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from emap_core.figures.chart import Chart
from emap_core.figures.style import new_figure, words
from emap_core.inference.number_format import bracket, percent, points
from emap_core.themes import LIGHT, Theme

_ROW = 86


def measure_dots(rows: pd.DataFrame, *, population: str, theme: Theme = LIGHT) -> Chart:
    """Draw measures as dots with their intervals, on one scale from 0 to 100.

    Parameters
    ----------
    rows : DataFrame
        Columns ``measure`` (its name for people), ``counts`` (what it counts, in a few words),
        ``unit`` (``points`` or ``share``), ``value``, ``low`` and ``high`` (NaN without limits)
        and ``emap`` (whether it is EMAP's own, which gets a hollow marker).
    population : str
        Whom the limits speak of.
    """
    figure = new_figure(theme, height=70 + _ROW * len(rows), showlegend=False, dragmode=False)
    places = np.arange(len(rows))
    value, low, high = (100 * rows[name].to_numpy(float) for name in ("value", "low", "high"))
    figure.add_trace(
        go.Scatter(
            x=_between(low, high),
            y=_between(places, places),
            mode="lines",
            line={"color": theme.ink, "width": 5},
            opacity=0.55,
            hoverinfo="skip",
        )
    )
    hollow = rows["emap"].to_numpy(bool)
    figure.add_trace(
        go.Scatter(
            x=value,
            y=places,
            mode="markers",
            marker={
                "size": 14,
                "color": np.where(hollow, theme.paper, theme.ink),
                "line": {"color": theme.ink, "width": 2.5},
            },
            customdata=[words(name) for name in rows["measure"]],
            hovertemplate="%{customdata}: %{x:.1f}<extra></extra>",
        )
    )
    drawn = np.concatenate([value, low, high])
    drawn = drawn[np.isfinite(drawn)]
    least, most = min(0.0, *drawn), max(100.0, *drawn)
    room = 0.04 * (most - least)
    for place, row in zip(places, rows.itertuples(), strict=True):
        said = f"<b>{words(row.measure)}</b><br>{words(row.counts)}"
        across = (100 * row.value - least) / (most - least)
        beside = "left" if across < 0.35 else "right" if across > 0.65 else "center"
        for text, up, where in (
            # With its own background: the zero line may be behind it.
            (
                said,
                28,
                {
                    **{"x": 0, "xref": "paper", "xanchor": "left", "align": "left"},
                    "bgcolor": theme.paper,
                },
            ),
            (_label(row), 6, {"x": 100 * row.value, "xanchor": beside}),
        ):
            figure.add_annotation(
                y=place, yanchor="bottom", yshift=up, text=text, showarrow=False, **where
            )
    figure.update_xaxes(
        range=[least - room, most + room],
        title="points of accuracy, or %",
        zeroline=True,
        showgrid=False,
        nticks=6,
    )
    figure.update_yaxes(visible=False, range=[len(rows) - 0.7, -0.95])
    return Chart(figure, _message(rows, population), rows.drop(columns="emap"))


def _between(starts: np.ndarray, ends: np.ndarray) -> list[float | None]:
    joined: list[float | None] = []
    for start, end in zip(starts, ends, strict=True):
        joined += [float(start), float(end), None]
    return joined


def _label(row: object) -> str:
    value, low, high, unit = (getattr(row, name) for name in ("value", "low", "high", "unit"))
    shown = percent(value) if unit == "share" else f"{points(value)} points"
    return shown + (f" {bracket(low, high, 'points')}" if low == low else "")


def _message(rows: pd.DataFrame, population: str) -> str:
    said = [f"{row.measure}: {_label(row)}." for row in rows.itertuples()]
    return f"Measures of this run, 95% intervals in brackets, {population}. {' '.join(said)}"
