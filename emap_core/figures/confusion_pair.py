"""Right and wrong with interactions against right and wrong without them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from emap_core.figures.chart import Chart
from emap_core.figures.style import new_figure
from emap_core.inference.number_format import percent
from emap_core.themes import LIGHT, Theme

CELLS = ("both_right", "helped", "hurt", "both_wrong")
"""Right with and without; right only with; right only without; wrong either way."""

_WORDS = {
    "both_right": "right either way",
    "helped": "right only with interactions",
    "hurt": "right only without them",
    "both_wrong": "wrong either way",
}
_PLACES = {"both_right": (0, 0), "helped": (1, 0), "hurt": (0, 1), "both_wrong": (1, 1)}


def confusion_pair(
    correct: ArrayLike, correct_without: ArrayLike, *, theme: Theme = LIGHT
) -> Chart:
    """Draw the 2 × 2 of right and wrong, the model's rows by its projection's columns.

    Parameters
    ----------
    correct, correct_without : array of bool, shape (N,)
        Whether each example is right with and without interactions.
    """
    full, without = np.asarray(correct, dtype=bool), np.asarray(correct_without, dtype=bool)
    counts = {
        "both_right": int((full & without).sum()),
        "helped": int((full & ~without).sum()),
        "hurt": int((~full & without).sum()),
        "both_wrong": int((~full & ~without).sum()),
    }
    n = max(1, len(full))
    figure = new_figure(
        theme, height=330, showlegend=False, dragmode=False, margin={"t": 60, "l": 8}
    )
    for cell, (x, y) in _PLACES.items():
        figure.add_shape(
            type="rect",
            x0=x - 0.47,
            x1=x + 0.47,
            y0=y - 0.47,
            y1=y + 0.47,
            fillcolor=theme.ink,
            opacity=0.04 + 0.26 * counts[cell] / n,
            line={"width": 0},
            layer="below",
        )
        # Where the two disagree, interactions decide: outline those cells.
        figure.add_shape(
            type="rect",
            x0=x - 0.47,
            x1=x + 0.47,
            y0=y - 0.47,
            y1=y + 0.47,
            line={"color": theme.ink, "width": 2.5 if cell in ("helped", "hurt") else 0.5},
        )
        figure.add_annotation(
            x=x,
            y=y,
            text=f"<b style='font-size:24px'>{counts[cell]:,}</b><br>"
            # On a narrow page, the longest words would touch the frame.
            f"{percent(counts[cell] / n)}<br>{_WORDS[cell].replace(' only ', ' only<br>')}",
            showarrow=False,
        )
    figure.add_trace(
        go.Scatter(
            x=[x for x, _ in _PLACES.values()],
            y=[y for _, y in _PLACES.values()],
            customdata=list(_PLACES),
            mode="markers",
            marker={"size": 90, "symbol": "square", "opacity": 0},
            selected={"marker": {"opacity": 0}},
            unselected={"marker": {"opacity": 0}},
            hoverinfo="none",
        )
    )
    side = {"tickvals": [0, 1], "ticktext": ["● right", "✕ wrong"], "showgrid": False}
    figure.update_xaxes(**side, title="without interactions (EMAP)", side="top", range=[-0.5, 1.5])
    figure.update_yaxes(**side, title="the model as it is", range=[1.5, -0.5])
    table = pd.DataFrame(
        {
            "cell": [_WORDS[cell] for cell in CELLS],
            "examples": [counts[cell] for cell in CELLS],
            "share": [counts[cell] / n for cell in CELLS],
        }
    )
    alt = (
        f"Of {len(full):,} predictions, {counts['helped']:,} are right only with interactions and "
        f"{counts['hurt']:,} only without them; {counts['both_right']:,} are right and "
        f"{counts['both_wrong']:,} wrong either way."
    )
    return Chart(figure, alt, table)
