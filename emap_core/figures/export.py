"""A figure as a picture for a paper, drawn by kaleido, which is an extra."""

from __future__ import annotations

from emap_core.errors import MissingExtraError
from emap_core.figures.chart import Chart

FORMS = {"svg": "image/svg+xml", "png": "image/png"}
"""File ending to media type."""

HOW_TO_INSTALL = "SVG and PNG need kaleido and Chrome or Chromium: pip install 'emap-lens[images]'"


def picture(chart: Chart, form: str) -> bytes:
    """Return a chart as SVG or PNG, 1,000 pixels wide, on the ground of its theme.

    Raises
    ------
    MissingExtraError
        If kaleido, or the browser that it draws with, is not installed.
    """
    try:
        from kaleido.errors import ChromeNotFoundError
    except ImportError:
        raise MissingExtraError(HOW_TO_INSTALL) from None
    scale = 1 if form == "svg" else 2
    try:
        return bytes(chart.figure.to_image(format=form, width=1000, scale=scale))
    except (ChromeNotFoundError, RuntimeError) as error:
        raise MissingExtraError(f"{HOW_TO_INSTALL} ({str(error).splitlines()[0]})") from error
