"""Which side carries each prediction: image contribution against text contribution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from emap_core.figures.chart import Chart
from emap_core.figures.style import (
    FONT_SIZE,
    TEXT_AND_IMAGE,
    Look,
    hatching,
    in_hover,
    new_figure,
    outline,
    signed_scale,
    words,
)
from emap_core.human_readable import counted
from emap_core.inference import FLIPS
from emap_core.inference.number_format import number, signed
from emap_core.themes import LIGHT, Theme
from emap_core.types import Array, Index

_MANY = 3_000
"""With more points, they are drawn smaller."""

_NAMED = 20_000
"""Up to this many points carry their ids for hover text; beyond, ids dominate the data sent."""

_STEPS = 127
"""Colours on either side of the middle, if there are more points."""

_SYMBOLS = {
    "same": ("circle", "same without interaction"),
    "changed": ("diamond", "another answer without it"),
    "hurt": ("triangle-down", "right without it"),
    "helped": ("triangle-up", "wrong without it"),
}


def contributions(
    text: Array,
    image: Array,
    interaction: Array,
    flips: NDArray[np.str_] | None,
    ids: Sequence[str],
    *,
    looks: Mapping[str, Look] = TEXT_AND_IMAGE,
    quantity: str = "the logit",
    unit: str = "logits",
    margins: bool = True,
    theme: Theme = LIGHT,
) -> Chart:
    """Draw one point per example: the text's contribution across, the image's upwards.

    Parameters
    ----------
    text, image, interaction : ndarray of shape (N,)
        Parts of each example's prediction, for one class or for a margin: what two of its sides
        add, and what all sets of several sides add.
    flips : ndarray of str, shape (N,), or None
        What the interaction did to each prediction, one of `inference.FLIPS`; None if predictions
        cannot flip.
    ids : sequence of str
        Shown as hover text unless there are too many; `rows_of_traces` says which example a point
        is.
    looks : mapping of str to Look
        Looks of both sides by name; see `emap_core.figures.style.looks_of`.
    quantity : str
        What the parts add up to, such as "the logit of circle", for axes and words.
    margins : bool
        Draw histograms of both contributions at the edges.
    """
    names = [str(name) for name in ids]
    across_name, upwards_name = map(words, looks)
    kinds = np.full(len(names), "same") if flips is None else np.asarray(flips)
    limit = _limit(interaction)
    many = len(names) > _MANY
    figure = new_figure(theme, height=600, dragmode="pan", margin={"t": 60})
    named = len(names) <= _NAMED
    told = in_hover(names) if named else None
    # Coarse colours look the same and are a quarter of the bytes.
    colours = _coarse(interaction, limit) if not named else interaction.astype(np.float32)
    for kind, rows in _layers(kinds):
        symbol, _ = _SYMBOLS[kind]
        figure.add_trace(
            go.Scattergl(
                # WebGL works in 32 bits anyway; half the bytes to send.
                x=text[rows].astype(np.float32),
                y=image[rows].astype(np.float32),
                customdata=[names[row] for row in rows] if named else None,
                hovertext=[told[row] for row in rows] if told else None,
                mode="markers",
                marker={
                    "symbol": symbol,
                    "size": (5 if many else 7) if kind == "same" else (8 if many else 11),
                    "color": colours[rows],
                    "coloraxis": "coloraxis",
                    "line": outline(theme, 0.4 if many else 0.8),
                    "opacity": 0.9,
                },
                hovertemplate=("%{hovertext}<br>" if told else "%{customdata}<br>" if named else "")
                + f"{across_name} %{{x:.3g}}, {upwards_name} %{{y:.3g}}"
                + (", interaction %{marker.color:.3g}" if named else "")
                + "<extra></extra>",
                legendgroup=kind,
                showlegend=False,
            )
        )
    if flips is not None:
        _legend(figure, kinds, theme)
    _guides(figure, text, image, theme)
    if margins:
        _add_margins(figure, text, image, looks, theme)
    top = 0.86 if margins else 1.0
    axis = {"zeroline": True, "domain": [0, top]}
    across, upwards = _range(text), _range(image)
    figure.update_layout(
        # In two lines, a phone shows all of it.
        xaxis={
            **axis,
            "range": across,
            "title": f"what the {across_name} adds to<br>{quantity}, {unit}",
        },
        yaxis={
            **axis,
            "range": upwards,
            "title": f"what the {upwards_name} adds to {quantity}, {unit}",
            "scaleanchor": "x",
        },
        coloraxis={
            "colorscale": signed_scale(theme),
            "cmin": -limit if named else -_STEPS,
            "cmax": limit if named else _STEPS,
            # Below the plot, whose equal axes need the whole width.
            "colorbar": {
                "title": {"text": f"interaction, {unit}", "side": "top"},
                "orientation": "h",
                "len": top,
                "x": 0,
                "xanchor": "left",
                "y": -0.2,
                "yanchor": "top",
                **({} if named else _ticks(limit)),
            },
        },
        legend={"y": 1.02},
    )
    first, second = looks
    table = pd.DataFrame(
        {"id": names, first: text, second: image, "interaction": interaction, "flip": kinds}
    )
    said = _message(table, (first, second), quantity, flippable=flips is not None)
    return Chart(figure, said, table)


def rows_of_traces(flips: NDArray[np.str_] | None, n: int) -> list[Index]:
    """Return the rows of the data that each trace of points draws, in order.

    Parameters
    ----------
    flips : ndarray of str, shape (N,), or None
        As in the figure.
    n : int
        Number of examples drawn.
    """
    return [rows for _, rows in _layers(np.full(n, "same") if flips is None else flips)]


def _layers(kinds: NDArray[np.str_]) -> list[tuple[str, NDArray[np.intp]]]:
    # Flips are drawn last, above the many that stay the same.
    layers = [(kind, np.flatnonzero(kinds == kind)) for kind in reversed(FLIPS)]
    return [(kind, rows) for kind, rows in layers if len(rows) or kind == "same"]


def _legend(figure: go.Figure, kinds: NDArray[np.str_], theme: Theme) -> None:
    # The points' colours start at the background's and would be invisible in a legend.
    for kind, rows in _layers(kinds):
        symbol, label = _SYMBOLS[kind]
        figure.add_trace(
            go.Scattergl(
                name=f"{label} ({len(rows):,})",
                x=[None],
                y=[None],
                mode="markers",
                marker={"symbol": symbol, "size": 11, "color": theme.ink},
                legendgroup=kind,
            )
        )


def _range(values: Array) -> list[float]:
    # The guides reach further than the points and must not enlarge the axes.
    low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
    room = 0.06 * (high - low) or 1.0
    return [low - room, high + room]


def _limit(interaction: Array) -> float:
    if not len(interaction):
        return 1.0
    # A few extreme examples would make all others pale; they share the end colour instead.
    return float(np.quantile(np.abs(interaction), 0.98)) or 1.0


def _coarse(interaction: Array, limit: float) -> NDArray[np.int8]:
    return np.clip(np.rint(_STEPS * interaction / limit), -_STEPS, _STEPS).astype(np.int8)


def _ticks(limit: float) -> dict[str, Any]:
    shares = (-1.0, -0.5, 0.0, 0.5, 1.0)
    return {
        "tickvals": [_STEPS * share for share in shares],
        "ticktext": [signed(limit * share) for share in shares],
    }


def _guides(figure: go.Figure, text: Array, image: Array, theme: Theme) -> None:
    reach = float(max(np.abs(text).max(initial=0.0), np.abs(image).max(initial=0.0))) or 1.0
    for slope, label in ((1, "both the same"), (-1, "they cancel")):
        figure.add_shape(
            type="line",
            x0=-reach,
            x1=reach,
            y0=-slope * reach,
            y1=slope * reach,
            line={"color": theme.faint, "width": 1.5, "dash": "dash"},
            layer="below",
        )
        figure.add_annotation(
            x=reach if slope > 0 else -reach,
            y=reach,
            text=label,
            showarrow=False,
            font={"size": FONT_SIZE},
            opacity=0.8,
            xanchor="right" if slope > 0 else "left",
            yanchor="bottom",
        )


def _add_margins(
    figure: go.Figure, text: Array, image: Array, looks: Mapping[str, Look], theme: Theme
) -> None:
    for values, look, upright in zip((text, image), looks.values(), (True, False), strict=True):
        counts, edges = np.histogram(values, bins=40)
        middles = (edges[:-1] + edges[1:]) / 2
        figure.add_trace(
            go.Bar(
                x=middles if upright else counts,
                y=counts if upright else middles,
                width=np.diff(edges),
                orientation="v" if upright else "h",
                xaxis="x" if upright else "x2",
                yaxis="y2" if upright else "y",
                marker={
                    "color": look.colour,
                    "line": outline(theme, 0.5),
                    "pattern": hatching(look.hatch, theme),
                },
                showlegend=False,
                hovertemplate="%{y:,} examples<extra></extra>"
                if upright
                else "%{x:,} examples<extra></extra>",
            )
        )
    edge = {"showgrid": False, "showticklabels": False, "ticks": "", "fixedrange": True}
    figure.update_layout(
        xaxis2={**edge, "domain": [0.88, 1], "anchor": "y"},
        yaxis2={**edge, "domain": [0.88, 1], "anchor": "x"},
        bargap=0,
    )


def _message(table: pd.DataFrame, sides: tuple[str, str], quantity: str, *, flippable: bool) -> str:
    if table.empty:
        return "This selection is empty."
    first, second = sides
    spread = {part: float(table[part].std(ddof=0)) for part in (*sides, "interaction")}
    lead, other = (first, second) if spread[first] >= spread[second] else (second, first)
    message = (
        f"Contributions of {first} and {second} to {quantity} for {len(table):,} examples. "
        f"The {lead} moves {quantity} more: its contributions spread by {number(spread[lead])}, "
        f"those of the {other} by {number(spread[other])}, "
        f"those of the interaction by {number(spread['interaction'])}."
    )
    if not flippable:
        return message
    changed = int((table.flip != "same").sum())
    of = f"of {counted(len(table), 'prediction')}"
    what = {0: f"None {of} changes", 1: f"1 {of} changes"}.get(changed, f"{changed:,} {of} change")
    return f"{message} {what} without the interaction."
