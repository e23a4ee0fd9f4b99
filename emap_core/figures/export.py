"""A figure as a picture for a paper, drawn by the optional package kaleido."""

from __future__ import annotations

import io
import re

from PIL import Image

from emap_core.errors import MissingExtraError
from emap_core.figures.chart import Chart
from emap_core.figures.style import FONT_SIZE
from emap_core.installation import with_extra

FORMS = {"svg": "image/svg+xml", "png": "image/png", "pdf": "application/pdf"}
"""File ending to media type."""

WIDTHS = {"column": 3.25, "page": 6.75}
"""Width of a figure on paper in inches: one of two columns, or both."""

LEAST_TYPE = 6.5
"""Smallest type that is readable on paper, in points."""

HOW_TO_INSTALL = f"SVG, PNG and PDF need kaleido and Chrome or Chromium: {with_extra('images')}"

_CSS_INCH = 96
_POINTS_PER_INCH = 72
_PRINTED_DOTS = 600
_SMALLEST_PIXELS = 468
"""Width at which figures are drawn: as wide as a column, their type has 7 points."""


def picture(chart: Chart, form: str, width: str | None = None) -> bytes:
    """Return a chart as SVG, PNG or PDF, on its theme's background.

    Parameters
    ----------
    chart : Chart
    form : {"svg", "png", "pdf"}
    width : {"column", "page"}, optional
        Width on paper, with PNG at 600 dots per inch; by default 1,000 pixels wide.

    Raises
    ------
    MissingExtraError
        If kaleido, or the browser that it uses, is not installed.
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
    """Return the size of a chart's type in points at this width on paper."""
    return FONT_SIZE * WIDTHS[width] * _POINTS_PER_INCH / _pixels(chart, width)


def _pixels(chart: Chart, width: str) -> int:
    return max(chart.least_width, _SMALLEST_PIXELS, round(WIDTHS[width] * _CSS_INCH))


def _scale(form: str, width: str | None, pixels: int) -> float:
    if width is None:
        return 2 if form == "png" else 1
    per_inch = {"svg": pixels / WIDTHS[width], "png": _PRINTED_DOTS, "pdf": _CSS_INCH}[form]
    return per_inch * WIDTHS[width] / pixels


def _svg_in_inches(drawn: bytes, pixels: int, width: str) -> bytes:
    """Set the size of an SVG in inches; its viewBox stays the same."""
    inches = WIDTHS[width] / pixels

    def size(found: re.Match[bytes]) -> bytes:
        return b'%s="%.4gin"' % (found[1], float(found[2]) * inches)

    head, rest = drawn.split(b">", 1)
    return re.sub(rb'\b(width|height)="([\d.]+)"', size, head) + b">" + rest


def _png_in_inches(drawn: bytes) -> bytes:
    with io.BytesIO() as file:
        Image.open(io.BytesIO(drawn)).save(file, "PNG", dpi=(_PRINTED_DOTS, _PRINTED_DOTS))
        return file.getvalue()
