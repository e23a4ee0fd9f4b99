"""The interaction of one class for every text with every image, however many there are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from emap_core.decomposition import Decomposition
from emap_core.figures.chart import Chart
from emap_core.figures.style import LIGHT, Theme, new_figure, number, signed_scale, words

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Window = tuple[int, int, int, int]
"""First row, row after the last, first column, column after the last; in drawn order."""


def interaction_heatmap(
    cells: NDArray[np.floating],
    decomposition: Decomposition,
    c: int,
    *,
    text_order: Index,
    image_order: Index,
    texts: Sequence[str],
    window: Window | None = None,
    most: int = 200,
    chosen: tuple[int, int] | None = None,
    zooming: bool = False,
    quantity: str = "the logit",
    unit: str = "logits",
    theme: Theme = LIGHT,
) -> Chart:
    """Draw the interaction, a text a row and an image a column; many are drawn as blocks' means.

    Parameters
    ----------
    cells : ndarray of shape (U_t, U_v)
        Logits of class `c`, centred over classes where `decomposition` is.
    decomposition : Decomposition
    c : int
        Column of the class.
    text_order, image_order : ndarray of int
        Numbers of the texts from top to bottom and of the images from left to right.
    texts : sequence of str
        All unique texts.
    window : tuple of int, optional
        The part of the ordered rows and columns to draw; all of it by default.
    most : int
        Rows and columns drawn at most.
    chosen : (int, int), optional
        The text and the image to frame.
    zooming : bool
        Whether the mouse draws a box, instead of choosing single marks; it cannot do both.
    quantity, unit : str
        What the interaction adds to, and in what; for words.

    Notes
    -----
    Every mark hands back ``customdata``: ``"text,image"`` where it is one pair, else its window
    ``"row:row,column:column"`` to zoom into.
    """
    top, bottom, left, right = window or (0, len(text_order), 0, len(image_order))
    rows, columns = _edges(top, bottom, most), _edges(left, right, most)
    u, w = text_order[top:bottom], image_order[left:right]
    sums = _block_sums(cells, u, w, rows - top, columns - left)
    heights, widths = np.diff(rows), np.diff(columns)
    text_part = _block_means(decomposition.text_mean[u, c], rows - top)
    image_part = _block_means(decomposition.image_mean[w, c], columns - left)
    values = sums / np.outer(heights, widths)
    values += decomposition.mean[c] - text_part[:, None] - image_part

    single = bool((heights == 1).all() and (widths == 1).all())
    names = _names(u, w, rows, columns, single)
    limit = float(np.quantile(np.abs(values), 0.99)) or 1.0
    y, x = (rows[:-1] + rows[1:] - 1) / 2, (columns[:-1] + columns[1:] - 1) / 2
    figure = new_figure(
        theme,
        height=480,
        showlegend=False,
        dragmode="select" if zooming else "pan",
        margin={"t": 8},
    )
    figure.add_trace(
        go.Heatmap(x=x, y=y, z=values.astype(np.float32), coloraxis="coloraxis", hoverinfo="skip")
    )
    # A heatmap hands no selection back: marks that nobody sees lie above its cells.
    figure.add_trace(
        go.Scattergl(
            x=np.tile(x, len(y)).astype(np.float32),
            y=np.repeat(y, len(x)).astype(np.float32),
            customdata=names,
            mode="markers",
            marker={
                "symbol": "square",
                "size": 6,
                "opacity": 0,
                "color": values.ravel().astype(np.float32),
                "coloraxis": "coloraxis",
            },
            selected={"marker": {"opacity": 0}},
            unselected={"marker": {"opacity": 0}},
            hovertemplate=("text, image " if single else "rows, columns ")
            + "%{customdata}: %{marker.color:.3g}<extra></extra>",
        )
    )
    _frame(figure, chosen, u, w, (top, left), theme)
    labelled = np.unique(np.linspace(0, len(y) - 1, min(len(y), 20)).astype(int))
    figure.update_yaxes(
        range=[bottom - 0.5, top - 0.5],
        tickvals=y[labelled],
        ticktext=[words(texts[u[rows[i] - top]], 26) for i in labelled],
        showgrid=False,
        fixedrange=True,
    )
    figure.update_xaxes(
        range=[left - 0.5, right - 0.5],
        title=f"{right - left:,} images" + ("" if single else ", in blocks"),
        showticklabels=False,
        showgrid=False,
        fixedrange=True,
    )
    figure.update_layout(
        coloraxis={
            "colorscale": signed_scale(theme),
            "cmin": -limit,
            "cmax": limit,
            "colorbar": {"title": {"text": f"interaction, {unit}", "side": "right"}},
        }
    )
    table = _strongest(values, names, texts, u, rows - top)
    return Chart(figure, _message(table, u, w, single, quantity), table)


def marked_window(names: Sequence[str], text_order: Index, image_order: Index) -> Window | None:
    """Return the smallest window that holds the marks with these ``customdata``; None for none."""
    places = np.array([_place(name, text_order, image_order) for name in names])
    if not len(places):
        return None
    (top, _, left, _), (_, bottom, _, right) = places.min(axis=0), places.max(axis=0)
    return int(top), int(bottom), int(left), int(right)


def _place(name: str, text_order: Index, image_order: Index) -> Window:
    rows, columns = name.split(",")
    if ":" in name:
        (top, bottom), (left, right) = (map(int, side.split(":")) for side in (rows, columns))
        return top, bottom, left, right
    y = int(np.flatnonzero(text_order == int(rows))[0])
    x = int(np.flatnonzero(image_order == int(columns))[0])
    return y, y + 1, x, x + 1


def _edges(start: int, stop: int, most: int) -> Index:
    count = max(1, min(most, stop - start))
    return np.linspace(start, stop, count + 1).round().astype(np.intp)


def _block_sums(
    cells: NDArray[np.floating], u: Index, w: Index, rows: Index, columns: Index
) -> Array:
    sums = np.empty((len(rows) - 1, len(columns) - 1))
    for block in range(len(rows) - 1):
        across = cells[u[rows[block] : rows[block + 1]]].sum(axis=0, dtype=np.float64)
        sums[block] = np.add.reduceat(across[w], columns[:-1])
    return sums


def _block_means(values: Array, edges: Index) -> Array:
    return np.add.reduceat(values, edges[:-1]) / np.diff(edges)


def _names(u: Index, w: Index, rows: Index, columns: Index, single: bool) -> list[str]:
    if single:
        return [f"{text},{image}" for text in u for image in w]
    return [
        f"{rows[i]}:{rows[i + 1]},{columns[j]}:{columns[j + 1]}"
        for i in range(len(rows) - 1)
        for j in range(len(columns) - 1)
    ]


def _frame(
    figure: go.Figure,
    chosen: tuple[int, int] | None,
    u: Index,
    w: Index,
    corner: tuple[int, int],
    theme: Theme,
) -> None:
    if chosen is None or chosen[0] not in u or chosen[1] not in w:
        return
    y = corner[0] + int(np.flatnonzero(u == chosen[0])[0])
    x = corner[1] + int(np.flatnonzero(w == chosen[1])[0])
    figure.add_trace(
        go.Scatter(
            x=[x],
            y=[y],
            mode="markers",
            marker={"symbol": "square-open", "size": 18, "color": theme.ink, "line": {"width": 3}},
            cliponaxis=False,
            hoverinfo="skip",
        )
    )


def _strongest(
    values: Array, names: list[str], texts: Sequence[str], u: Index, rows: Index, most: int = 200
) -> pd.DataFrame:
    flat = values.ravel()
    order = np.argsort(-np.abs(flat), kind="stable")[:most]
    return pd.DataFrame(
        {
            "text and image": [names[i] for i in order],
            "text": [texts[u[rows[i // values.shape[1]]]] for i in order],
            "interaction": flat[order],
        }
    )


def _message(table: pd.DataFrame, u: Index, w: Index, single: bool, quantity: str) -> str:
    shape = f"{len(u):,} texts with {len(w):,} images"
    blocks = "" if single else ", drawn as means of blocks"
    if table.empty or not table.interaction.abs().max() > 0:
        return f"Interaction in {quantity} of {shape}{blocks}: none anywhere."
    high = table.loc[table.interaction.idxmax()]
    low = table.loc[table.interaction.idxmin()]
    return (
        f"Interaction in {quantity} of {shape}{blocks}. It goes from {number(low.interaction)} "
        f"(“{low.text}”) to {number(high.interaction)} (“{high.text}”)."
    )
