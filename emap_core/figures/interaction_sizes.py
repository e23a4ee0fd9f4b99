"""Where two models differ: the size of each example's interaction in one against the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from emap_core.figures.chart import Chart
from emap_core.figures.style import FONT_SIZE, in_hover, new_figure, outline, words
from emap_core.themes import LIGHT, Theme


def interaction_sizes(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    ids: Sequence[str],
    names: tuple[str, str],
    *,
    unit: str = "logits",
    theme: Theme = LIGHT,
) -> Chart:
    """Draw one point per example: interaction in the first run across, in the second upwards.

    Parameters
    ----------
    first, second : ndarray of shape (N,)
        Size of each example's interaction, in the same order of examples.
    ids : sequence of str
        Returned as ``customdata``.
    names : (str, str)
        Names of the two runs.
    """
    table = pd.DataFrame({"id": [str(name) for name in ids], "first": first, "second": second})
    table["difference"] = table["second"] - table["first"]
    reach = 1.05 * float(max(first.max(initial=0.0), second.max(initial=0.0))) or 1.0
    figure = new_figure(theme, height=560, showlegend=False, margin={"t": 8})
    figure.add_shape(
        type="line",
        x0=0,
        y0=0,
        x1=reach,
        y1=reach,
        line={"color": theme.faint, "width": 1.5, "dash": "dash"},
        layer="below",
    )
    for x, y, text, anchor in (
        (0.02 * reach, 0.98 * reach, f"more in {words(names[1], 30)}", "left"),
        (0.98 * reach, 0.02 * reach, f"more in {words(names[0], 30)}", "right"),
    ):
        figure.add_annotation(
            x=x,
            y=y,
            text=text,
            showarrow=False,
            xanchor=anchor,
            font={"size": FONT_SIZE},
            bgcolor=theme.paper,
        )
    told = in_hover(table.id)
    figure.add_trace(
        go.Scattergl(
            x=first.astype(np.float32),
            y=second.astype(np.float32),
            customdata=table.id.tolist(),
            hovertext=told,
            mode="markers",
            marker={
                "size": 6,
                "color": theme.faint,
                "line": outline(theme, 0.5),
                "opacity": 0.8,
            },
            hovertemplate=("%{hovertext}" if told else "%{customdata}")
            + ": %{x:.3g}, %{y:.3g}<extra></extra>",
        )
    )
    axis = {"range": [0, reach], "zeroline": True, "constrain": "domain"}
    figure.update_xaxes(**axis, title=f"interaction in {words(names[0], 30)}, {unit}")
    figure.update_yaxes(
        **axis, title=f"interaction in {words(names[1], 30)}, {unit}", scaleanchor="x"
    )
    return Chart(figure, _message(table, names), table)


def _message(table: pd.DataFrame, names: tuple[str, str]) -> str:
    if table.empty:
        return "The two runs have no example in common."
    more = int((table.difference > 0).sum())
    message = (
        f"Of {len(table):,} examples, {more:,} have the larger interaction in {names[1]} and "
        f"{int((table.difference < 0).sum()):,} in {names[0]}."
    )
    sizes = table[["first", "second"]].max()
    # Without any interaction, this would only rank rounding errors.
    if len(table) > 1 and table["first"].std() > 0 and sizes.min() > 1e-3 * sizes.max():
        # A rank correlation: sizes of interactions are far from normal.
        rank = table["first"].rank().corr(table["second"].rank())
        message += f" Their ranks correlate by {rank:.2f}.".replace("-", "−")
    return message
