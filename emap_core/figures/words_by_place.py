"""Which words interact with which places in the image, over many examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from emap_core.figures.chart import Chart
from emap_core.figures.style import INTERACTION, new_figure
from emap_core.figures.style import words as short
from emap_core.inference.number_format import number
from emap_core.themes import LIGHT, Theme
from emap_core.types import Array

_LEAST_WIDTH = 640


def words_by_place(
    words: Sequence[str],
    places: Sequence[str],
    values: Array,
    *,
    table: pd.DataFrame,
    message: str,
    unit: str = "logits",
    theme: Theme = LIGHT,
) -> Chart:
    """Draw how much each word interacts with each place in the image, one row per word.

    Parameters
    ----------
    words, places : sequence of str
        Names of W words and P places.
    values : ndarray of shape (W, P)
        Not negative.
    table : DataFrame
        The numbers for people who cannot see the figure.
    message : str
        The figure in words.
    unit : str
        Unit of the numbers.
    theme : Theme
    """
    reach = float(np.max(values, initial=0.0)) or 1.0
    figure = new_figure(theme, height=110 + 32 * len(words), showlegend=False, dragmode=False)
    figure.add_trace(
        go.Heatmap(
            x=list(range(len(places))),
            y=list(range(len(words))),
            z=values,
            xgap=2,
            ygap=2,
            coloraxis="coloraxis",
            text=[[number(float(v)) for v in row] for row in values],
            customdata=[[f"{short(word)}, {place}" for place in places] for word in words],
            hovertemplate=f"%{{customdata}}: %{{text}} {unit}<extra></extra>",
        )
    )
    figure.update_xaxes(
        tickvals=list(range(len(places))),
        ticktext=[place.replace(" ", "<br>") for place in places],
        side="top",
        showgrid=False,
        zeroline=False,
        tickangle=0,
    )
    figure.update_yaxes(
        tickvals=list(range(len(words))),
        ticktext=[short(word, 24) for word in words],
        range=[len(words) - 0.5, -0.5],
        showgrid=False,
        zeroline=False,
    )
    figure.update_layout(
        margin_t=56,
        coloraxis={
            "colorscale": [[0, theme.paper], [1, INTERACTION]],
            "cmin": 0,
            "cmax": reach,
            "colorbar": {"title": {"text": unit, "side": "right"}},
        },
    )
    return Chart(figure, message, table, least_width=_LEAST_WIDTH)
