"""How much of the interaction each mode explains."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from emap_core.decomposition.modes import Modes
from emap_core.figures.chart import Chart
from emap_core.figures.style import CONSTANT, INTERACTION, new_figure, outline
from emap_core.inference.number_format import percent
from emap_core.themes import LIGHT, Theme


def mode_scree(modes: Modes, *, quantity: str = "the logit", theme: Theme = LIGHT) -> Chart:
    """Draw one bar per mode for its share of the interaction, then the rest.

    Parameters
    ----------
    modes : Modes
    quantity : str
        What the interaction is in, such as "the logit of circle", for words.
    """
    rest = max(0.0, 1.0 - float(modes.shares.sum())) if len(modes) else 0.0
    table = pd.DataFrame(
        {
            "mode": [*(f"mode {k + 1}" for k in range(len(modes))), "all others"],
            "share": [*modes.shares, rest],
            "singular value": [*modes.singular_values, float("nan")],
        }
    )
    figure = new_figure(theme, height=60 + 34 * len(table), showlegend=False, dragmode=False)
    figure.add_trace(
        go.Bar(
            y=list(range(len(table))),
            x=100 * table.share,
            orientation="h",
            marker={
                "color": [INTERACTION] * len(modes) + [CONSTANT],
                "line": outline(theme),
            },
            text=[percent(share) for share in table.share],
            textposition="outside",
            textfont={"color": theme.ink},
            cliponaxis=False,
            hoverinfo="skip",
        )
    )
    figure.update_yaxes(
        tickvals=list(range(len(table))),
        ticktext=table["mode"],
        ticklabelstandoff=6,
        range=[len(table) - 0.5, -0.5],
        showgrid=False,
    )
    figure.update_xaxes(
        range=[0, 118],
        tickvals=[0, 25, 50, 75, 100],
        title="share of the interaction explained, %",
        showgrid=False,
    )
    figure.update_layout(bargap=0.35, margin_t=8)
    return Chart(figure, _message(modes, quantity), table)


def _message(modes: Modes, quantity: str) -> str:
    if not len(modes):
        return f"There is no interaction in {quantity}, so no modes."
    message = f"The first mode explains {percent(modes.shares[0])} of the interaction in {quantity}"
    if len(modes) > 1:
        message += f", the first {len(modes)} together {percent(min(1.0, modes.shares.sum()))}"
    return message + "."
