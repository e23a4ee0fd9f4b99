"""Which words meet which places of the image, over many examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from emap_core.figures.chart import Chart
from emap_core.figures.style import LIGHT, Theme, new_figure, signed_scale
from emap_core.figures.style import words as short
from emap_core.inference.digits import signed
from emap_core.types import Array


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
    """Draw what each word adds with each place of the image, a word a row.

    Parameters
    ----------
    words, places : sequence of str
        Of W words and P places.
    values : ndarray of shape (W, P)
        NaN where no example has such a place.
    table : DataFrame
        The numbers for those who cannot see the picture.
    message : str
        The picture in words.
    unit : str
        What the numbers are.
    theme : Theme
    """
    reach = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    figure = new_figure(theme, height=110 + 32 * len(words), showlegend=False, dragmode=False)
    figure.add_trace(
        go.Heatmap(
            x=list(range(len(places))),
            y=list(range(len(words))),
            z=values,
            xgap=2,
            ygap=2,
            coloraxis="coloraxis",
            text=[[signed(float(v)) if v == v else "" for v in row] for row in values],
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
            "colorscale": signed_scale(theme),
            "cmin": -reach,
            "cmax": reach,
            "colorbar": {"title": {"text": unit, "side": "right"}},
        },
    )
    return Chart(figure, message, table)
