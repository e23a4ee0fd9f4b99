"""What text and image tell about the answer: alike, each alone, and only both together."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from emap_core.figures.chart import Chart
from emap_core.figures.style import (
    CONSTANT,
    JOINT,
    TEXT_AND_IMAGE,
    Look,
    hatching,
    new_figure,
    outline,
)
from emap_core.human_readable import capitalised
from emap_core.inference.number_format import bracket, number
from emap_core.inference.other_measures.partial_information import ATOMS, PartialInformation
from emap_core.themes import LIGHT, Theme

_ROW = 100


def information_bars(
    found: PartialInformation,
    *,
    looks: Mapping[str, Look] = TEXT_AND_IMAGE,
    theme: Theme = LIGHT,
) -> Chart:
    """Draw a bar for each part of the information, with its interval, in bits.

    Parameters
    ----------
    found : PartialInformation
    looks : mapping of str to Look
        Of both sides, see `emap_core.figures.style.looks_of`.
    """
    of_atoms = {**looks, "synergistic": JOINT}
    table = pd.DataFrame(
        [
            {
                "part": capitalised(ATOMS[name]),
                "bits": one.value,
                "low": one.low,
                "high": one.high,
                "by chance": found.by_chance[name],
            }
            for name, one in found.values.items()
        ]
    )
    figure = new_figure(
        theme, height=80 + _ROW * len(table), showlegend=False, dragmode=False, bargap=0.72
    )
    for place, (name, one) in enumerate(found.values.items()):
        look = of_atoms.get(name, Look(CONSTANT, ""))
        figure.add_trace(
            go.Bar(
                x=[one.value],
                y=[place],
                orientation="h",
                marker={
                    "color": look.colour,
                    "line": outline(theme),
                    "pattern": hatching(look.hatch, theme),
                },
                hovertemplate=f"{capitalised(ATOMS[name])}: %{{x:.4f}} bits<extra></extra>",
            )
        )
        figure.add_trace(
            go.Scatter(
                x=[one.low, one.high],
                y=[place, place],
                mode="lines",
                line={"color": theme.ink, "width": 4},
                hoverinfo="skip",
            )
        )
        figure.add_annotation(
            x=0,
            xref="paper",
            xanchor="left",
            y=place,
            yanchor="bottom",
            yshift=15,
            align="left",
            text=f"<b>{capitalised(ATOMS[name])}</b><br>{_label(one.value, one.low, one.high)}",
            showarrow=False,
            bgcolor=theme.paper,
        )
    figure.update_xaxes(title="bits", zeroline=True, showgrid=False, nticks=6)
    figure.update_yaxes(visible=False, range=[len(table) - 0.6, -0.75])
    said = [f"{row.part}: {_label(row.bits, row.low, row.high)}." for row in table.itertuples()]
    return Chart(figure, f"Information in the one-sided predictions. {' '.join(said)}", table)


def _label(value: float, low: float, high: float) -> str:
    limits = f" {bracket(low, high)}" if low == low else ""
    return f"{number(value)} bits{limits}"
