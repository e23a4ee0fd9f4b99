"""Which words with which regions: heat over the picture for a word, bars of words for a region."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from PIL import Image
from plotly.colors import sample_colorscale

from emap_core.figures.chart import Chart
from emap_core.figures.style import new_figure, outline, signed_scale
from emap_core.figures.style import (
    words as short,
)
from emap_core.inference.number_format import signed
from emap_core.themes import LIGHT, Theme
from emap_core.types import Array

_HEIGHT = 420
_MOST_OPAQUE = 0.8


def attribution_map(
    words: Sequence[str],
    word_values: Array,
    boxes: Array,
    region_values: Array,
    *,
    region_names: Sequence[str],
    table: pd.DataFrame,
    chosen: tuple[int, int] | None = None,
    word_errors: Array | None = None,
    picture: bytes | None = None,
    quantity: str = "the output",
    unit: str = "logits",
    theme: Theme = LIGHT,
) -> Chart:
    """Draw values of regions over a picture, and values of words beside it.

    Points carry the ids ``region-7`` and ``word-2``.

    Parameters
    ----------
    words : sequence of str
        The W words in order; none leaves out their panel.
    word_values : ndarray of shape (W,)
    boxes : ndarray of shape (P, 4)
        Left, top, right and lower edge of each region, as shares of the picture.
    region_values : ndarray of shape (P,)
        All zeros leave out the heat.
    region_names : sequence of str
    table : DataFrame
        The numbers for people who cannot see the figure.
    chosen : (int, int), optional
        The word whose regions are drawn, and the region whose words are drawn; without it, the
        values belong to each side by itself.
    word_errors : ndarray of shape (W,), optional
        Standard errors; bars get 95% whiskers.
    picture : bytes, optional
        The image, as JPEG.
    quantity : str
        What is taken apart, such as “the logit of circle”.
    unit : str
        Unit of the numbers.
    """
    heat = bool(np.any(region_values)) or not words
    figure = new_figure(theme, height=_HEIGHT, showlegend=False, dragmode=False, margin_t=48)
    titles = _titles(words, region_names, chosen, heat)
    split = 0.46 if words else 1.0
    _draw_picture(figure, picture, theme, [0.0, split - 0.02 if words else 0.6])
    if heat:
        _draw_regions(figure, boxes, region_values, region_names, chosen, unit, theme)
    if words:
        _draw_words(figure, words, word_values, word_errors, chosen, unit, theme, [split + 0.16, 1])
    for x, title in ((0.0, titles[0]), (split + 0.16, titles[1])):
        if title and (x == 0.0 or words):
            figure.add_annotation(
                x=x,
                y=1.0,
                xref="paper",
                yref="paper",
                yanchor="bottom",
                xanchor="left",
                yshift=10,
                text=title,
                showarrow=False,
            )
    message = _message(words, word_values, region_values, region_names, chosen, quantity, unit)
    return Chart(figure, message, table)


def _titles(
    words: Sequence[str],
    region_names: Sequence[str],
    chosen: tuple[int, int] | None,
    heat: bool,
) -> tuple[str, str]:
    if chosen is None:
        return ("Regions by themselves" if heat else "The image", "Words by themselves")
    word, region = chosen
    return f"Regions for “{short(words[word], 24)}”", f"Words for {short(region_names[region], 40)}"


def _draw_picture(
    figure: go.Figure, picture: bytes | None, theme: Theme, domain: list[float]
) -> None:
    ratio = 1.0
    if picture is not None:
        with Image.open(io.BytesIO(picture)) as image:
            ratio = image.height / image.width
        figure.add_layout_image(
            source=f"data:image/jpeg;base64,{b64encode(picture).decode()}",
            xref="x",
            yref="y",
            x=0,
            y=0,
            sizex=1,
            sizey=1,
            sizing="stretch",
            layer="below",
        )
    hidden: dict[str, Any] = {"visible": False, "constrain": "domain", "fixedrange": True}
    figure.update_xaxes(range=[0, 1], domain=domain, **hidden)
    figure.update_yaxes(range=[1, 0], scaleanchor="x", scaleratio=ratio, **hidden)
    figure.add_shape(
        type="rect", x0=0, y0=0, x1=1, y1=1, xref="x", yref="y", line=outline(theme), layer="above"
    )


def _draw_regions(
    figure: go.Figure,
    boxes: Array,
    values: Array,
    names: Sequence[str],
    chosen: tuple[int, int] | None,
    unit: str,
    theme: Theme,
) -> None:
    reach = float(np.abs(values).max()) or 1.0
    scale = signed_scale(theme)
    colours = sample_colorscale(scale, np.clip(0.5 + values / (2 * reach), 0, 1))
    shapes = [
        _box(box, fillcolor=colour, opacity=_MOST_OPAQUE * float(abs(value)) / reach, line_width=0)
        for box, value, colour in zip(boxes, values, colours, strict=True)
    ]
    if chosen is not None:
        # Ink on paper is visible on any picture.
        box = boxes[chosen[1]]
        shapes += [
            _box(box, line={"color": colour, "width": width})
            for colour, width in ((theme.paper, 5), (theme.ink, 2))
        ]
    figure.update_layout(shapes=[*figure.layout.shapes, *shapes])
    figure.add_trace(
        go.Scatter(
            x=boxes[:, [0, 2]].mean(axis=1),
            y=boxes[:, [1, 3]].mean(axis=1),
            mode="markers",
            ids=[f"region-{p}" for p in range(len(boxes))],
            marker={
                "symbol": "square",
                "size": 26,
                "opacity": 0,
                "color": values,
                "coloraxis": "coloraxis",
            },
            text=[short(name) for name in names],
            customdata=[signed(float(value)) for value in values],
            hovertemplate=f"%{{text}}: %{{customdata}} {unit}<extra></extra>",
        )
    )
    figure.update_layout(
        coloraxis={
            "colorscale": scale,
            "cmin": -reach,
            "cmax": reach,
            "colorbar": {
                "x": 0.45,
                "xanchor": "left",
                "len": 0.9,
                "title": {"text": unit, "side": "right"},
            },
        }
    )


def _box(box: Array, **look: Any) -> dict[str, Any]:
    left, top, right, lower = map(float, box)
    return dict(
        type="rect", xref="x", yref="y", x0=left, y0=top, x1=right, y1=lower, layer="above", **look
    )


def _draw_words(
    figure: go.Figure,
    words: Sequence[str],
    values: Array,
    errors: Array | None,
    chosen: tuple[int, int] | None,
    unit: str,
    theme: Theme,
    domain: list[float],
) -> None:
    figure.add_trace(
        go.Bar(
            xaxis="x2",
            yaxis="y2",
            orientation="h",
            x=values,
            y=list(range(len(words))),
            ids=[f"word-{w}" for w in range(len(words))],
            marker={
                "color": [theme.signed[3 if value > 0 else 1][1] for value in values],
                "line": {
                    "color": theme.ink,
                    "width": [
                        3 if chosen is not None and w == chosen[0] else 1 for w in range(len(words))
                    ],
                },
            },
            error_x=None
            if errors is None
            else {"type": "data", "array": 1.96 * errors, "color": theme.ink, "thickness": 1.5},
            text=[short(word) for word in words],
            textposition="none",
            customdata=[signed(float(value)) for value in values],
            hovertemplate=f"%{{text}}: %{{customdata}} {unit}<extra></extra>",
        )
    )
    figure.update_layout(
        bargap=0.35,
        xaxis2={"domain": domain, "anchor": "y2", "zeroline": True, "title": {"text": unit}},
        yaxis2={
            "anchor": "x2",
            "range": [len(words) - 0.5, -0.5],
            "tickvals": list(range(len(words))),
            "ticktext": [short(word, 24) for word in words],
            "showgrid": False,
        },
    )


def _message(
    words: Sequence[str],
    word_values: Array,
    region_values: Array,
    region_names: Sequence[str],
    chosen: tuple[int, int] | None,
    quantity: str,
    unit: str,
) -> str:
    found = []
    whose = (
        ("by themselves", "by themselves")
        if chosen is None
        else (f"with “{words[chosen[0]]}”", f"with {region_names[chosen[1]]}")
    )
    if np.any(region_values):
        k = int(np.abs(region_values).argmax())
        found.append(
            f"Regions {whose[0]}: the largest, {region_names[k]}, "
            f"{signed(float(region_values[k]))} {unit}."
        )
    if words and np.any(word_values):
        k = int(np.abs(word_values).argmax())
        found.append(
            f"Words {whose[1]}: the largest, “{words[k]}”, {signed(float(word_values[k]))} {unit}."
        )
    return " ".join([f"What is added to {quantity}.", *(found or ["Nothing anywhere."])])
