"""A figure as a picture for a paper, drawn by kaleido, which is an extra."""

from __future__ import annotations

import plotly.graph_objects as go

from emap_core.errors import MissingExtraError
from emap_core.figures.chart import Chart
from emap_core.figures.style import LIGHT

FORMS = {"svg": "image/svg+xml", "png": "image/png"}
"""File ending to media type."""

HOW_TO_INSTALL = "SVG and PNG need kaleido and Chrome or Chromium: pip install 'emap-lens[images]'"


def picture(chart: Chart, form: str) -> bytes:
    """Return a chart as SVG or PNG, 1,000 pixels wide, on white.

    Raises
    ------
    MissingExtraError
        If kaleido, or the browser that it draws with, is not installed.
    """
    try:
        from kaleido.errors import ChromeNotFoundError
    except ImportError:
        raise MissingExtraError(HOW_TO_INSTALL) from None
    figure = go.Figure(chart.figure).update_layout(paper_bgcolor=LIGHT.paper)
    try:
        return bytes(figure.to_image(format=form, width=1000, scale=1 if form == "svg" else 2))
    except (ChromeNotFoundError, RuntimeError) as error:
        raise MissingExtraError(f"{HOW_TO_INSTALL} ({str(error).splitlines()[0]})") from error
