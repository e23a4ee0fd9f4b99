"""The interaction of one class for every text with every image, however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from emap_core.decomposition.blocks import Blocks, Window
from emap_core.figures.chart import Chart
from emap_core.figures.style import LIGHT, Theme, new_figure, number, signed_scale, words

Array = NDArray[np.float64]
Index = NDArray[np.intp]


def interaction_heatmap(
    blocks: Blocks,
    texts: Sequence[str],
    *,
    chosen: tuple[int, int] | None = None,
    zooming: bool = False,
    quantity: str = "the logit",
    unit: str = "logits",
    theme: Theme = LIGHT,
) -> Chart:
    """Draw the interaction, a text a row and an image a column; many are drawn as blocks' means.

    Parameters
    ----------
    blocks : Blocks
        See `interaction_blocks`.
    texts : sequence of str
        All unique texts.
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
    values, rows, columns, single = (
        blocks.values,
        blocks.row_edges,
        blocks.column_edges,
        blocks.single,
    )
    top, bottom, left, right = blocks.window
    names = _names(blocks)
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
    _frame(figure, chosen, blocks, theme)
    labelled = np.unique(np.linspace(0, len(y) - 1, min(len(y), 20)).astype(int))
    figure.update_yaxes(
        range=[bottom - 0.5, top - 0.5],
        tickvals=y[labelled],
        ticktext=[words(texts[blocks.first_texts[i]], 26) for i in labelled],
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
    table = _strongest(blocks, names, texts)
    return Chart(figure, _message(table, blocks, quantity), table)


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


def _names(blocks: Blocks) -> list[str]:
    if blocks.single:
        return [f"{text},{image}" for text in blocks.texts for image in blocks.images]
    across = [f"{a}:{b}" for a, b in pairwise(blocks.column_edges)]
    return [f"{a}:{b},{columns}" for a, b in pairwise(blocks.row_edges) for columns in across]


def _frame(figure: go.Figure, chosen: tuple[int, int] | None, blocks: Blocks, theme: Theme) -> None:
    if chosen is None or chosen[0] not in blocks.texts or chosen[1] not in blocks.images:
        return
    top, _, left, _ = blocks.window
    figure.add_trace(
        go.Scatter(
            x=[left + int(np.flatnonzero(blocks.images == chosen[1])[0])],
            y=[top + int(np.flatnonzero(blocks.texts == chosen[0])[0])],
            mode="markers",
            marker={"symbol": "square-open", "size": 18, "color": theme.ink, "line": {"width": 3}},
            cliponaxis=False,
            hoverinfo="skip",
        )
    )


def _strongest(
    blocks: Blocks, names: list[str], texts: Sequence[str], most: int = 200
) -> pd.DataFrame:
    flat = blocks.values.ravel()
    order = np.argsort(-np.abs(flat), kind="stable")[:most]
    rows = order // blocks.values.shape[1]
    return pd.DataFrame(
        {
            "text and image": [names[i] for i in order],
            "text": [texts[u] for u in blocks.first_texts[rows]],
            "interaction": flat[order],
        }
    )


def _message(table: pd.DataFrame, blocks: Blocks, quantity: str) -> str:
    shape = f"{len(blocks.texts):,} texts with {len(blocks.images):,} images"
    how = "" if blocks.single else ", drawn as means of blocks"
    if not table.interaction.abs().max() > 0:
        return f"Interaction in {quantity} of {shape}{how}: none anywhere."
    high = table.loc[table.interaction.idxmax()]
    low = table.loc[table.interaction.idxmin()]
    return (
        f"Interaction in {quantity} of {shape}{how}. It goes from {number(low.interaction)} "
        f"(“{low.text}”) to {number(high.interaction)} (“{high.text}”)."
    )
