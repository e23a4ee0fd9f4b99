"""How much of the variance each set of sides carries: a bar per set, with dots for its sides."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from emap_core.decomposition import Decomposition
from emap_core.decomposition.names_of_sets import ALL_INTERACTIONS, COUNTS, set_name
from emap_core.decomposition.sets_of_sides import Sides
from emap_core.figures.chart import Chart
from emap_core.figures.style import JOINT, Look, hatching, new_figure, outline, words, words_apart
from emap_core.inference.number_format import percent
from emap_core.themes import LIGHT, Theme

_ROOM = 1.16
"""Height of the axis relative to the highest bar, with room for its number and words above."""

_MOST_SETS = 31
"""Most bars that can be told apart: those of five sides."""


def shares_of_sets(
    decomposition: Decomposition, looks: Mapping[str, Look], *, theme: Theme = LIGHT
) -> Chart:
    """Draw a bar for each set of sides, single sides first, all sides together last.

    Below the bars, each side has a row of dots, filled and joined if the set contains it, as in
    Lex, Gehlenborg, Strobelt, Vuillemot & Pfister, "UpSet: Visualization of Intersecting Sets",
    IEEE TVCG 20 (2014). Above them is what sets of one, two and more sides carry together.

    Parameters
    ----------
    decomposition : Decomposition
        Class-centred for softmax tasks. Shares are for all classes together; the table has each
        class.
    looks : mapping of str to Look
        Look of each side; see `emap_core.figures.style.looks_of`.
    """
    sides = decomposition.sides
    shares, each = decomposition.pooled_terms, decomposition.terms
    names = {some: set_name(some) for some in shares}
    if not decomposition.knows_sets:
        # One bar, and no dots, for all sets of several sides.
        names = {some: name for some, name in names.items() if len(some) == 1}
        names[sides] = ALL_INTERACTIONS
        shares = dict(zip(names, decomposition.pooled_shares.tolist(), strict=True))
        each = dict(zip(names, decomposition.variance_shares, strict=True))
    sets = list(names)
    drawn = sets[:_MOST_SETS] if len(sets) <= _MOST_SETS else _largest(sets, shares)
    heights = [0.0 if np.isnan(shares[some]) else 100 * shares[some] for some in drawn]
    places = list(range(len(drawn)))
    figure = new_figure(
        theme, height=300 + 34 * len(sides), showlegend=False, dragmode=False, bargap=0.35
    )
    of_bars = [looks[some[0]] if len(some) == 1 else JOINT for some in drawn]
    figure.add_trace(
        go.Bar(
            x=places,
            y=heights,
            marker={
                "color": [look.colour for look in of_bars],
                "line": outline(theme),
                "pattern": hatching("", theme) | {"shape": [look.hatch for look in of_bars]},
            },
            # The axis has the unit; with it, the numbers would not fit side by side on a phone.
            text=[percent(shares[some]).removesuffix("%") for some in drawn],
            textposition="outside",
            textfont={"color": theme.ink},
            cliponaxis=False,
            hovertext=[f"{words(names[some])}: {percent(shares[some])}" for some in drawn],
            hoverinfo="text",
        )
    )
    dotted = [some for some in drawn if names[some] != ALL_INTERACTIONS]
    _add_dots(figure, dotted, sides, looks, theme)
    top = _ROOM * max(*heights, 1.0)
    _add_orders(figure, drawn, shares, sides, top, names[sides])
    figure.update_layout(
        xaxis={"range": [-0.6, len(drawn) - 0.4], "visible": False, "anchor": "y2"},
        yaxis={
            "range": [0, top],
            "domain": [0.1 + 0.09 * len(sides), 0.9],
            "title": "share of the variance, %",
            "nticks": 5,
            "zeroline": True,
        },
        yaxis2={
            "range": [len(sides) - 0.5, -0.5],
            "domain": [0, 0.04 + 0.09 * len(sides)],
            "tickvals": list(range(len(sides))),
            "ticktext": words_apart(sides, 22),
            "showgrid": False,
        },
    )
    table = pd.DataFrame(
        {
            "sides": list(names.values()),
            "share of the variance": [shares[some] for some in sets],
        }
        | {
            f"largest in a class of {len(decomposition.mean)}": [each[some].max() for some in sets]
            for _ in range(len(decomposition.mean) > 1)
        }
    )
    return Chart(figure, _message(shares, names), table, 70 + 34 * len(drawn))


def _largest(sets: list[Sides], shares: Mapping[Sides, float]) -> list[Sides]:
    chosen = sorted(sets, key=lambda some: -shares[some])[:_MOST_SETS]
    return [some for some in sets if some in chosen]


def _add_dots(
    figure: go.Figure, drawn: list[Sides], sides: Sides, looks: Mapping[str, Look], theme: Theme
) -> None:
    for some in drawn:
        place = drawn.index(some)
        rows = [sides.index(side) for side in some]
        if len(rows) > 1:
            figure.add_trace(
                go.Scatter(
                    x=[place, place],
                    y=[min(rows), max(rows)],
                    mode="lines",
                    line={"color": theme.ink, "width": 2},
                    hoverinfo="skip",
                    yaxis="y2",
                )
            )
    cells = [(place, row) for place in range(len(drawn)) for row in range(len(sides))]
    held = [sides[row] in drawn[place] for place, row in cells]
    figure.add_trace(
        go.Scatter(
            x=[place for place, _ in cells],
            y=[row for _, row in cells],
            mode="markers",
            marker={
                "size": 14,
                "color": [
                    looks[sides[row]].colour if there else theme.paper
                    for (_, row), there in zip(cells, held, strict=True)
                ],
                "line": {
                    "color": [theme.ink if there else theme.faint for there in held],
                    "width": 1.5,
                },
            },
            cliponaxis=False,
            hoverinfo="skip",
            yaxis="y2",
        )
    )


def _add_orders(
    figure: go.Figure,
    drawn: list[Sides],
    shares: Mapping[Sides, float],
    sides: Sides,
    top: float,
    last: str,
) -> None:
    """Write above the bars what sets of one, two and more sides carry together."""
    for order, group in groupby(enumerate(drawn), key=lambda found: len(found[1])):
        places = [place for place, _ in group]
        total = sum(share for some, share in shares.items() if len(some) == order)
        one = order == len(sides)
        heading = last if one and last == ALL_INTERACTIONS else _heading(order, len(sides))
        figure.add_annotation(
            # The last bar's words are wider than the bar and end where it ends.
            x=places[0] + 0.5 if one else (places[0] + places[-1]) / 2,
            y=top,
            text=f"<b>{percent(total)}</b><br>{heading}",
            showarrow=False,
            yanchor="bottom",
            xanchor="right" if one else "center",
        )
        if places[0]:
            figure.add_shape(
                type="line",
                x0=places[0] - 0.5,
                x1=places[0] - 0.5,
                y0=0,
                y1=1,
                yref="paper",
                line={"color": figure.layout.template.layout.xaxis.gridcolor, "width": 1},
                layer="below",
            )


def _heading(order: int, n_sides: int) -> str:
    count = COUNTS.get(order, order)
    if order == n_sides:
        return f"all {count}"
    return {1: "single sides", 2: "pairs"}.get(order, f"in {count}s")


def _message(shares: Mapping[Sides, float], names: Mapping[Sides, str]) -> str:
    if any(np.isnan(share) for share in shares.values()):
        return "Variance shares: the outputs never vary, so there is nothing to share."
    return "Variance shares over all recombinations: " + (
        ", ".join(f"{names[some]} {percent(share)}" for some, share in shares.items()) + "."
    )
