"""What interactions are worth: the model's score beside the score of its additive projection."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from emap_core.figures.chart import Chart
from emap_core.figures.style import apply_style, words_apart
from emap_core.inference import Gap, metric
from emap_core.inference.number_format import bracket, change, measured
from emap_core.themes import LIGHT, Theme

_ROW = 58
_LEGEND_LINE = 20
_TITLE = 22
"""Pixels of a row, of a line of the legend, and of the title of an axis."""


def gap_dumbbell(
    gaps: Mapping[str, Gap],
    *,
    title: str = "",
    chance: Mapping[str, float] | None = None,
    theme: Theme = LIGHT,
) -> Chart:
    """Draw one row per gap: a filled marker with interactions, a hollow one without.

    The bar below the hollow marker is the interval of the difference, drawn where the additive
    score would be. Metrics in points share one axis; every other metric has its own.

    Parameters
    ----------
    gaps : mapping of str to Gap
        Keyed by the name of each row (a metric or a model), top row first.
    title : str
        Title of the axis of metrics in points, such as "accuracy, %".
    chance : mapping of str to float, optional
        The score of guessing in each row, drawn as a vertical line.
    """
    table = pd.DataFrame([_row(name, gap) for name, gap in gaps.items()], columns=_COLUMNS)
    if chance is not None:
        table["chance"] = [chance[name] for name in gaps]
    panels = _panels(table)
    titles = [_axis_title(table.loc[panel], title) for panel in panels]
    # The last title stands below all panels, the others between two.
    between = 56 if any(titles[:-1]) else 56 - _TITLE
    below = 28 if titles and titles[-1] else 28 - _TITLE
    figure = make_subplots(
        rows=max(1, len(panels)),
        row_heights=[len(panel) for panel in panels] or [1],
        vertical_spacing=min(0.25, (between + 4) / (_ROW * max(1, len(table)) + 60)),
    )
    legend = _LEGEND_LINE * (3 if chance is None else 4)
    height = 52 + legend + _ROW * len(table) + between * max(0, len(panels) - 1) + below
    apply_style(figure, theme, height=height, dragmode=False, margin={"r": 12, "t": 20 + legend})
    # Side by side, its lines would break on a narrow page and take the height of the rows.
    figure.update_layout(legend_orientation="v")
    for place, (panel, below_axis) in enumerate(zip(panels, titles, strict=True), start=1):
        _draw(figure, table.loc[panel], place, below_axis, theme)
    # Leave room for the numbers beside the longest name.
    least_width = 250 + 7 * max((len(name) for name in _names(table)), default=0)
    return Chart(figure, _message(table), table.drop(columns=["least", "most"]), least_width)


def _names(rows: pd.DataFrame) -> list[str]:
    return words_apart(rows.row.tolist(), 28)


_COLUMNS = [
    "row",
    "metric",
    "unit",
    "full",
    "projected",
    "difference",
    "low",
    "high",
    "p_value",
    "n_examples",
    "population",
    "higher_is_better",
    "least",
    "most",
]


def _row(name: str, gap: Gap) -> list[object]:
    known = metric(gap.metric)
    return [
        name,
        known.label,
        known.unit,
        gap.full,
        gap.projected,
        gap.difference,
        gap.low,
        gap.high,
        gap.p_value,
        gap.n_examples,
        gap.population,
        known.higher_is_better,
        *known.range,
    ]


def _panels(table: pd.DataFrame) -> list[list[int]]:
    points = [int(i) for i in table.index[table.unit == "points"]]
    others: dict[str, list[int]] = {}
    for i in table.index[table.unit != "points"]:
        others.setdefault(table.metric[i], []).append(int(i))
    return [panel for panel in (points, *others.values()) if panel]


def _draw(figure: go.Figure, rows: pd.DataFrame, place: int, title: str, theme: Theme) -> None:
    in_points = rows.unit.iloc[0] == "points"
    scale = 100.0 if in_points else 1.0
    y = np.arange(len(rows))
    full, projected = scale * rows.full.to_numpy(), scale * rows.projected.to_numpy()
    # If lower is better, a larger difference moves the other way.
    sign = np.where(rows.higher_is_better, 1.0, -1.0)
    ends = [scale * sign * rows[side].to_numpy() for side in ("low", "high")]
    # The bar ends at the metric's range; its numbers are beside it.
    least, most = scale * rows.least.to_numpy(), scale * rows.most.to_numpy()
    lows = np.clip(full - np.maximum(*ends), least, most)
    highs = np.clip(full - np.minimum(*ends), least, most)
    where = {"row": place, "col": 1}
    figure.add_trace(
        go.Scatter(
            x=_pairs(projected, full),
            y=_pairs(y, y),
            mode="lines",
            line={"color": theme.ink, "width": 2},
            hoverinfo="skip",
            showlegend=False,
        ),
        **where,
    )
    figure.add_trace(
        go.Scatter(
            x=_pairs(lows, highs),
            # Below the hollow marker, which would hide a short bar.
            y=_pairs(y + 0.27, y + 0.27),
            mode="lines",
            line={"color": theme.ink, "width": 5},
            opacity=0.55,
            name="interval of the difference",
            showlegend=place == 1,
            hoverinfo="skip",
        ),
        **where,
    )
    # The hollow marker is larger, so that it shows around the filled one if nothing changes.
    for name, values, fill, size in (
        ("without interactions (EMAP)", projected, theme.paper, 18),
        ("the model as it is", full, theme.ink, 12),
    ):
        figure.add_trace(
            go.Scatter(
                x=values,
                y=y,
                mode="markers",
                name=name,
                showlegend=place == 1,
                marker={"size": size, "color": fill, "line": {"color": theme.ink, "width": 2.5}},
                hovertemplate=f"{name}: %{{x:.4g}}{'%' if in_points else ''}<extra></extra>",
            ),
            **where,
        )
    guessed = scale * rows.chance.to_numpy() if "chance" in rows else np.empty(0)
    if len(guessed):
        figure.add_trace(
            go.Scatter(
                x=guessed,
                y=y,
                mode="markers",
                name="guessing",
                showlegend=place == 1,
                marker={
                    "symbol": "line-ns",
                    "size": 26,
                    "line": {"color": theme.ink, "width": 2},
                },
                hovertemplate="guessing: %{x:.4g}%<extra></extra>",
            ),
            **where,
        )
    drawn = np.concatenate([full, projected, lows, highs, guessed])
    drawn = drawn[np.isfinite(drawn)]
    low, high = (drawn.min(), drawn.max()) if len(drawn) else (0.0, 1.0)
    # Rounding differences alone must not fill the axis.
    short = 1e-3 * max(abs(low), abs(high)) - (high - low)
    low, high = low - max(0.0, short) / 2, high + max(0.0, short) / 2
    room = 0.06 * (high - low) or 1.0
    for number, (_, row) in enumerate(rows.iterrows()):
        middle = (full[number] + projected[number]) / 2
        if not np.isfinite(middle):
            middle = (low + high) / 2
        across = (middle - low) / (high - low or 1.0)
        figure.add_annotation(
            x=middle,
            y=number,
            text=_label(row),
            # Where a page is narrow, numbers in the middle of a short line would leave it.
            xanchor="left" if across < 0.35 else "right" if across > 0.65 else "center",
            showarrow=False,
            yshift=21,
            **where,
        )
    figure.update_xaxes(
        range=[low - room, high + room],
        # An empty title would keep its room.
        title=title or None,
        ticksuffix="%" if in_points else "",
        nticks=7,
        **where,
    )
    figure.update_yaxes(
        tickvals=y,
        ticktext=_names(rows),
        range=[len(rows) - 0.5, -0.75],
        showgrid=False,
        **where,
    )


def _axis_title(rows: pd.DataFrame, title: str) -> str:
    """Return the title of a panel's axis; empty where the names of rows and its ticks say it."""
    if rows.unit.iloc[0] == "points":
        return title
    metric = str(rows.metric.iloc[0])
    return "" if [name.casefold() for name in _names(rows)] == [metric.casefold()] else metric


def _pairs(starts: np.ndarray, ends: np.ndarray) -> list[float | None]:
    joined: list[float | None] = []
    for start, end in zip(starts, ends, strict=True):
        joined += [float(start), float(end), None]
    return joined


def _label(row: pd.Series) -> str:
    unit = row.unit
    return f"{change(row.difference, unit)} {bracket(row.low, row.high, unit)}"


def _message(table: pd.DataFrame) -> str:
    sentences = [
        f"{row['row']}: {measured(row.full, row.unit)} as it is, "
        f"{measured(row.projected, row.unit)} without interactions, "
        f"difference {_label(row)} {row.population}, N = {row.n_examples:,}"
        + (f"; guessing gives {measured(row.chance, row.unit)}." if "chance" in table else ".")
        for _, row in table.iterrows()
    ]
    return "What interactions are worth. " + " ".join(sentences)
