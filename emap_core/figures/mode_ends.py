"""The texts at the two ends of a mode."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from emap_core.decomposition.modes import Modes
from emap_core.figures.chart import Chart
from emap_core.figures.style import new_figure, outline, words, words_apart
from emap_core.human_readable import or_no_text
from emap_core.inference.number_format import signed
from emap_core.themes import LIGHT, Theme

_ROW = 46
"""Pixels of a text and its bar."""


def mode_ends(
    modes: Modes, k: int, texts: Sequence[str], *, count: int = 6, theme: Theme = LIGHT
) -> Chart:
    """Draw the scores of the texts at both ends of mode `k`, positive end on top.

    Parameters
    ----------
    modes : Modes
    k : int
        Number of the mode, counted from 0.
    texts : sequence of str
        All unique texts.
    count : int
        Texts at each end.
    """
    high, low = modes.row_ends(k, count)
    shown = np.concatenate([high, low[::-1]])
    scores = modes.row_scores[shown, k]
    table = pd.DataFrame({"text": [or_no_text(texts[u]) for u in shown], "score": scores})
    figure = new_figure(theme, height=70 + _ROW * len(shown), showlegend=False, dragmode=False)
    figure.add_trace(
        go.Bar(
            y=list(range(len(shown))),
            x=scores,
            orientation="h",
            marker={
                "color": [theme.signed[3 if score > 0 else 1][1] for score in scores],
                "line": outline(theme),
            },
            text=[signed(score) for score in scores],
            textposition="outside",
            textfont={"color": theme.ink},
            cliponaxis=False,
            hovertext=[words(text, 120) for text in table.text],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    )
    # Above its bar, a text has the whole width, on a phone as well.
    for place, text in enumerate(words_apart(table.text.tolist(), 38)):
        figure.add_annotation(
            x=0,
            xref="paper",
            xanchor="left",
            y=place - 0.45,
            yanchor="middle",
            text=text,
            # The zero line may be behind it.
            bgcolor=theme.paper,
            borderpad=0,
            showarrow=False,
        )
    reach = 1.45 * float(np.abs(scores).max(initial=1e-9))
    figure.update_xaxes(
        range=[-reach, reach],
        zeroline=True,
        showgrid=False,
        title="score: 0 the average text,<br>1 a standard deviation",
    )
    figure.update_yaxes(
        showticklabels=False, range=[len(shown) - 0.6, -0.9], showgrid=False, ticks=""
    )
    figure.update_layout(bargap=0.6, margin_t=8)
    return Chart(figure, _message(k, table), table)


def _message(k: int, table: pd.DataFrame) -> str:
    high, low = table.text[table.score > 0].head(3), table.text[table.score < 0].tail(3)[::-1]
    ends = [", ".join(f"“{text}”" for text in texts) for texts in (high, low)]
    return f"Mode {k + 1}: at one end {ends[0] or 'no text'}; at the other {ends[1] or 'no text'}."
