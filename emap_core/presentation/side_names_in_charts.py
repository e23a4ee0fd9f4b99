"""Charts of runs with other sides than text and image, in the words of those sides."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

from emap_core.figures import Chart
from emap_core.modalities import TEXT_AND_IMAGE
from emap_core.modalities.side_names import Sides, worded

_OURS = ("title", "xaxis", "yaxis", "legend", "annotations")
"""Parts of a layout that contain our words."""


def worded_chart(sides: Sides, chart: Chart, *, of_more: bool = False) -> Chart:
    """Return a chart whose titles, axes, legend, notes and columns name the sides."""
    if sides == TEXT_AND_IMAGE or chart.worded:
        return chart
    figure = deepcopy(chart.figure)
    for name, value in figure.layout.to_plotly_json().items():
        if name.startswith(_OURS):
            figure.layout[name] = _renamed(sides, value, of_more)
    for trace in figure.data:
        for name in ("name", "hovertemplate"):
            if isinstance(value := getattr(trace, name, None), str):
                trace[name] = worded(sides, value, of_more=of_more)
    table = chart.table.rename(columns=lambda name: worded(sides, str(name), of_more=of_more))
    alt = worded(sides, chart.alt, of_more=of_more)
    return replace(chart, figure=figure, alt=alt, table=table, worded=True)


def _renamed(sides: Sides, node: Any, of_more: bool) -> Any:
    if isinstance(node, str):
        return worded(sides, node, of_more=of_more)
    if isinstance(node, dict):
        return {
            key: _renamed_ticks(sides, value, of_more)
            if key == "ticktext"
            else _renamed(sides, value, of_more)
            for key, value in node.items()
        }
    return (
        [_renamed(sides, one, of_more) for one in node] if isinstance(node, (list, tuple)) else node
    )


def _renamed_ticks(sides: Sides, ticks: Any, of_more: bool) -> list[Any]:
    # Most ticks are items and classes of the data, which keep their words: ours are a side alone.
    return [
        worded(sides, tick, of_more=of_more) if tick in ("text", "image") else tick
        for tick in ticks
    ]
