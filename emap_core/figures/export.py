"""A figure as a picture for a paper, drawn by kaleido, which is an extra."""

from __future__ import annotations

import io
import re

from PIL import Image

from emap_core.errors import MissingExtraError
from emap_core.figures.chart import Chart
from emap_core.figures.style import FONT_SIZE
from emap_core.installed import with_extra

FORMS = {"svg": "image/svg+xml", "png": "image/png", "pdf": "application/pdf"}
"""File ending to media type."""

WIDTHS = {"column": 3.25, "page": 6.75}
"""Inches of what a figure fills on paper: one of two columns, or both."""

LEAST_TYPE = 6.5
"""Points of type that can still be read on paper."""

HOW_TO_INSTALL = f"SVG, PNG and PDF need kaleido and Chrome or Chromium: {with_extra('images')}"

_CSS_INCH = 96
_POINTS_PER_INCH = 72
_PRINTED_DOTS = 600
_SMALLEST_PIXELS = 468
"""Of a figure as it is drawn: at the width of a column its type has 7 points."""


def picture(chart: Chart, form: str, width: str | None = None) -> bytes:
    """Return a chart as SVG, PNG or PDF, on the ground of its theme.

    Parameters
    ----------
    chart : Chart
    form : {"svg", "png", "pdf"}
    width : {"column", "page"}, optional
        As wide as this on paper, PNG at 600 dots per inch; by default 1,000 pixels wide.

    Raises
    ------
    MissingExtraError
        If kaleido, or the browser that it draws with, is not installed.
    """
    try:
        from kaleido.errors import ChromeNotFoundError
    except ImportError:
        raise MissingExtraError(HOW_TO_INSTALL) from None
    pixels = 1000 if width is None else _pixels(chart, width)
    try:
        drawn = bytes(
            chart.figure.to_image(format=form, width=pixels, scale=_scale(form, width, pixels))
        )
    except (ChromeNotFoundError, RuntimeError) as error:
        raise MissingExtraError(f"{HOW_TO_INSTALL} ({str(error).splitlines()[0]})") from error
    if width is None or form == "pdf":
        return drawn
    return _svg_in_inches(drawn, pixels, width) if form == "svg" else _png_in_inches(drawn)


def type_size(chart: Chart, width: str) -> float:
    """Return the size in points of a chart's type where it is as wide as this on paper."""
    return FONT_SIZE * WIDTHS[width] * _POINTS_PER_INCH / _pixels(chart, width)


def _pixels(chart: Chart, width: str) -> int:
    return max(chart.least_width, _SMALLEST_PIXELS, round(WIDTHS[width] * _CSS_INCH))


def _scale(form: str, width: str | None, pixels: int) -> float:
    if width is None:
        return 2 if form == "png" else 1
    per_inch = {"svg": pixels / WIDTHS[width], "png": _PRINTED_DOTS, "pdf": _CSS_INCH}[form]
    return per_inch * WIDTHS[width] / pixels


def _svg_in_inches(drawn: bytes, pixels: int, width: str) -> bytes:
    """Say in inches how large an SVG is; what it shows lies in its viewBox as before."""
    inches = WIDTHS[width] / pixels

    def size(found: re.Match[bytes]) -> bytes:
        return b'%s="%.4gin"' % (found[1], float(found[2]) * inches)

    head, rest = drawn.split(b">", 1)
    return re.sub(rb'\b(width|height)="([\d.]+)"', size, head) + b">" + rest


def _png_in_inches(drawn: bytes) -> bytes:
    with io.BytesIO() as file:
        Image.open(io.BytesIO(drawn)).save(file, "PNG", dpi=(_PRINTED_DOTS, _PRINTED_DOTS))
        return file.getvalue()
