"""Vectors of texts and images as two clouds, and recall of pairs along their gap."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from emap_core.figures.chart import Chart
from emap_core.figures.style import TEXT_AND_IMAGE, Look, new_figure, outline
from emap_core.inference.number_format import number, percent
from emap_core.inference.other_measures.modality_gap import ModalityGap
from emap_core.themes import LIGHT, Theme
from emap_core.types import Array

_MOST_LINES = 40


def two_clouds(
    texts: Array,
    images: Array,
    geometry: ModalityGap,
    *,
    looks: Mapping[str, Look] = TEXT_AND_IMAGE,
    theme: Theme = LIGHT,
) -> Chart:
    """Draw both clouds, lines between some matched pairs, and recall at 1 against the gap.

    Parameters
    ----------
    texts, images : ndarray of shape (n, 2)
        A matched pair is one row; for vectors with a single number, shape (n, 1).
    geometry : ModalityGap
    looks : mapping of str to Look
        Of both sides, see `emap_core.figures.style.looks_of`.
    """
    first, second = looks.values()
    figure = new_figure(theme, height=720, dragmode=False)
    step = max(1, len(texts) // _MOST_LINES)
    some = texts[::step], images[::step]
    across, up = (_between(*some, axis) for axis in (0, -1))
    figure.add_trace(
        go.Scatter(
            x=across,
            y=up,
            mode="lines",
            line={"color": theme.faint, "width": 1},
            name="some matched pairs",
            hoverinfo="skip",
        )
    )
    for name, points, colour, symbol in (
        ("texts", texts, first.colour, "circle"),
        ("images", images, second.colour, "diamond"),
    ):
        figure.add_trace(
            go.Scatter(
                x=points[:, 0],
                y=points[:, -1],
                mode="markers",
                name=name,
                marker={"color": colour, "size": 8, "symbol": symbol, "line": outline(theme, 0.5)},
                hoverinfo="skip",
            )
        )
    table = pd.DataFrame([vars(one) for one in geometry.shifts])
    for name, column, dash in (
        ("images found for texts", "images_found", "solid"),
        ("texts found for images", "texts_found", "dot"),
    ):
        figure.add_trace(
            go.Scatter(
                x=table["distance"],
                y=100 * table[column],
                xaxis="x2",
                yaxis="y2",
                mode="lines+markers",
                name=name,
                line={"color": theme.ink, "dash": dash},
                hovertemplate=f"gap %{{x:.3f}}: {name} %{{y:.1f}}%<extra></extra>",
            )
        )
    figure.add_shape(
        type="line",
        x0=geometry.gap,
        x1=geometry.gap,
        y0=0,
        y1=1,
        xref="x2",
        yref="y2 domain",
        line={"color": theme.ink, "dash": "dash"},
    )
    figure.add_annotation(
        x=geometry.gap,
        xref="x2",
        y=1,
        yref="y2 domain",
        text="as it is",
        showarrow=False,
        xanchor="left",
        yanchor="top",
        xshift=6,
    )
    figure.update_layout(
        margin_t=70,
        xaxis={"anchor": "y", "title": "first component, mostly the gap"},
        yaxis={"anchor": "x", "domain": [0.5, 1.0], "title": "second component"},
        xaxis2={"anchor": "y2", "title": "gap after both sides are moved along it"},
        yaxis2={
            "anchor": "x2",
            "domain": [0.0, 0.36],
            "title": "recall at 1, %",
            "rangemode": "tozero",
        },
    )
    return Chart(figure, _message(geometry), table)


def _between(starts: Array, ends: Array, axis: int) -> list[float | None]:
    joined: list[float | None] = []
    for start, end in zip(starts[:, axis], ends[:, axis], strict=True):
        joined += [float(start), float(end), None]
    return joined


def _message(geometry: ModalityGap) -> str:
    at_rest = next(one for one in geometry.shifts if one.shift == 0)
    return (
        f"Vectors of texts and of images, {number(geometry.gap)} apart; a linear classifier tells "
        f"them apart in {percent(geometry.separability)} of the cases. Recall at 1 without a "
        f"shift: images {percent(at_rest.images_found)}, texts {percent(at_rest.texts_found)} of "
        f"{geometry.n_pairs:,} pairs."
    )
