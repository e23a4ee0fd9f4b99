"""The interaction of one class for every text with every image, however many there are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from emap_core.decomposition.block_means import Blocks, Window
from emap_core.figures.chart import Chart
from emap_core.figures.polygon import inside
from emap_core.figures.style import new_figure, signed_scale, words_apart
from emap_core.human_readable import or_no_text
from emap_core.inference.number_format import number
from emap_core.themes import LIGHT, Theme
from emap_core.types import Array, Index


def interaction_heatmap(
    blocks: Blocks,
    texts: Sequence[str],
    *,
    chosen: tuple[int, int] | None = None,
    quantity: str = "the logit",
    unit: str = "logits",
    theme: Theme = LIGHT,
) -> Chart:
    """Draw the interaction, one row per text, one column per image; if many, as block means.

    Parameters
    ----------
    blocks : Blocks
        See `interaction_blocks`.
    texts : sequence of str
        All unique texts.
    chosen : (int, int), optional
        The text and the image to frame.
    quantity, unit : str
        What the interaction adds to, and its unit, for words.

    Notes
    -----
    The last trace before the frame has a mark above each cell, numbered along the rows, as
    `marked_window` reads them.
    """
    values, rows, columns = blocks.values, blocks.row_edges, blocks.column_edges
    top, bottom, left, right = blocks.window
    limit = float(np.quantile(np.abs(values), 0.99)) or 1.0
    y, x = _middles(rows), _middles(columns)
    figure = new_figure(theme, height=480, showlegend=False, margin={"t": 8})
    figure.add_trace(
        go.Heatmap(x=x, y=y, z=values.astype(np.float32), coloraxis="coloraxis", hoverinfo="skip")
    )
    # A heatmap does not report clicks, so invisible marks lie above its cells.
    figure.add_trace(
        go.Scattergl(
            x=np.tile(x, len(y)).astype(np.float32),
            y=np.repeat(y, len(x)).astype(np.float32),
            customdata=_numbers(blocks),
            mode="markers",
            marker={
                "symbol": "square",
                "size": 6,
                "opacity": 0,
                "color": values.ravel().astype(np.float32),
                "coloraxis": "coloraxis",
            },
            hovertemplate=_hover(blocks),
        )
    )
    _frame(figure, chosen, blocks, theme)
    labelled = np.unique(np.linspace(0, len(y) - 1, min(len(y), 20)).astype(int))
    figure.update_yaxes(
        range=[bottom - 0.5, top - 0.5],
        tickvals=y[labelled],
        ticktext=words_apart([or_no_text(texts[blocks.first_rows[i]]) for i in labelled], 26),
        showgrid=False,
        fixedrange=True,
    )
    figure.update_xaxes(
        range=[left - 0.5, right - 0.5],
        title=f"{right - left:,} images" + ("" if blocks.single else ", in blocks"),
        showticklabels=False,
        showgrid=False,
        fixedrange=True,
    )
    figure.update_layout(
        coloraxis={
            "colorscale": signed_scale(theme),
            "cmin": -limit,
            "cmax": limit,
            # Otherwise the title touches the numbers.
            "colorbar": {
                "title": {"text": f"interaction, {unit}", "side": "right"},
                "ticksuffix": "\u00a0\u00a0",
            },
        }
    )
    table = _strongest(blocks, texts)
    return Chart(figure, _message(table, blocks, quantity), table, least_width=520)


def _hover(blocks: Blocks) -> str:
    value = ": %{marker.color:.3g}<extra></extra>"
    if blocks.single:
        return "text %{customdata[0]}, image %{customdata[1]}" + value
    sides = []
    for name, edges, first in (("text", blocks.row_edges, 0), ("image", blocks.column_edges, 2)):
        if np.diff(edges).max() == 1:
            sides.append(f"{name} %{{customdata[{first}]}}")
        else:
            sides.append(f"{name}s %{{customdata[{first}]}} to %{{customdata[{first + 1}]}}")
    return f"{sides[0]}, {sides[1]} of this order{value}"


def marked_window(marks: Sequence[int], blocks: Blocks) -> Window | None:
    """Return the smallest window around the marks with these numbers; None for none."""
    places = np.asarray(marks, dtype=np.intp)
    places = places[(places >= 0) & (places < blocks.values.size)]
    if not len(places):
        return None
    rows, columns = np.divmod(places, blocks.values.shape[1])
    return (
        int(blocks.row_edges[rows.min()]),
        int(blocks.row_edges[rows.max() + 1]),
        int(blocks.column_edges[columns.min()]),
        int(blocks.column_edges[columns.max() + 1]),
    )


def window_within(outline: ArrayLike, blocks: Blocks) -> Window | None:
    """Return the smallest window around the marks inside an outline, or None.

    Parameters
    ----------
    outline : array of shape (M, 2)
        Corners, in the units of the axes.
    blocks : Blocks
        The figure's blocks.
    """
    x, y = _middles(blocks.column_edges), _middles(blocks.row_edges)
    marks = inside(outline, np.tile(x, len(y)), np.repeat(y, len(x)))
    return marked_window(np.flatnonzero(marks).tolist(), blocks)


def _middles(edges: Index) -> Array:
    return np.asarray((edges[:-1] + edges[1:] - 1) / 2)


def _numbers(blocks: Blocks) -> NDArray[np.unsignedinteger]:
    """Return what each mark represents, counted from 1: text and image, or a block's edges."""
    height, width = blocks.values.shape
    if blocks.single:
        sides = [(blocks.rows + 1)[:, None], (blocks.columns + 1)[:, None]]
    else:
        sides = [
            np.stack([edges[:-1] + 1, edges[1:]], axis=1)
            for edges in (blocks.row_edges, blocks.column_edges)
        ]
    rows, columns = sides
    numbers = np.hstack([np.repeat(rows, width, axis=0), np.tile(columns, (height, 1))])
    # They dominate the data sent, so use as few bytes as possible.
    return numbers.astype(np.min_scalar_type(numbers.max(initial=0)))


def _frame(figure: go.Figure, chosen: tuple[int, int] | None, blocks: Blocks, theme: Theme) -> None:
    if chosen is None or chosen[0] not in blocks.rows or chosen[1] not in blocks.columns:
        return
    top, _, left, _ = blocks.window
    figure.add_trace(
        go.Scatter(
            x=[left + int(np.flatnonzero(blocks.columns == chosen[1])[0])],
            y=[top + int(np.flatnonzero(blocks.rows == chosen[0])[0])],
            mode="markers",
            marker={"symbol": "square-open", "size": 18, "color": theme.ink, "line": {"width": 3}},
            cliponaxis=False,
            hoverinfo="skip",
        )
    )


def _strongest(blocks: Blocks, texts: Sequence[str], most: int = 200) -> pd.DataFrame:
    flat = blocks.values.ravel()
    order = np.argsort(-np.abs(flat), kind="stable")[:most]
    rows = order // blocks.values.shape[1]
    numbers = _numbers(blocks)[order]
    if blocks.single:
        where = {"text number": numbers[:, 0], "image number": numbers[:, 1]}
    else:
        across = {"texts": numbers[:, :2], "images": numbers[:, 2:]}
        where = {
            side: np.array([f"{a} to {b}" if a < b else f"{a}" for a, b in ends])
            for side, ends in across.items()
        }
    return pd.DataFrame(
        {
            **where,
            "text": [texts[u] for u in blocks.first_rows[rows]],
            "interaction": flat[order],
        }
    )


def _message(table: pd.DataFrame, blocks: Blocks, quantity: str) -> str:
    shape = f"{len(blocks.rows):,} texts with {len(blocks.columns):,} images"
    how = "" if blocks.single else ", drawn as means of blocks"
    if not table.interaction.abs().max() > 0:
        return f"Interaction in {quantity} for {shape}{how}: none anywhere."
    high = table.loc[table.interaction.idxmax()]
    low = table.loc[table.interaction.idxmin()]
    return (
        f"Interaction in {quantity} for {shape}{how}. It goes from {number(low.interaction)} "
        f"(“{low.text}”) to {number(high.interaction)} (“{high.text}”)."
    )
