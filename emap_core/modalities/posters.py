"""Posters of items other than pictures: small JPEG images for lists, galleries and reports."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 256, 160
_INK, _GROUND, _MARGIN, _SIZE = "#31333F", "#FFFFFF", 12, 15
_LINES = 7


def card(text: str) -> bytes:
    """Return the poster of a few words."""
    image, pen = _blank()
    lines = textwrap.wrap(text, 31, max_lines=_LINES, placeholder=" …") or [""]
    pen.multiline_text(
        (_MARGIN, _MARGIN), "\n".join(lines), _INK, ImageFont.load_default(_SIZE), spacing=5
    )
    return as_jpeg(image)


def line(values: NDArray[np.floating], colour: str, caption: str = "") -> bytes:
    """Return the poster of a sequence of numbers, with minimum and maximum per pixel column.

    Parameters
    ----------
    values : ndarray of shape (n,)
    colour : str
        Colour of the line.
    caption : str
        Text below the line.
    """
    image, pen = _blank()
    low, high = _MARGIN, HEIGHT - _MARGIN - (22 if caption else 0)
    finite = np.nan_to_num(np.asarray(values, dtype=np.float64).ravel())
    if finite.size:
        least, most = float(finite.min()), float(finite.max())
        scale = (high - low) / ((most - least) or 1.0)
        columns = WIDTH - 2 * _MARGIN
        edges = np.linspace(0, finite.size, columns + 1).astype(int)
        for x, (start, stop) in enumerate(pairwise(edges)):
            # Include the neighbour's value, so that the line has no gaps.
            some = finite[max(start - 1, 0) : max(stop, start + 1)]
            top, bottom = high - (some.max() - least) * scale, high - (some.min() - least) * scale
            pen.line([(_MARGIN + x, top), (_MARGIN + x, bottom)], fill=colour)
    pen.text((_MARGIN, HEIGHT - 26), caption, _INK, ImageFont.load_default(_SIZE))
    return as_jpeg(image)


def rows(pairs: Sequence[tuple[str, str]]) -> bytes:
    """Return the poster of names and values, one below the other."""
    image, pen = _blank()
    font = ImageFont.load_default(_SIZE)
    for place, (name, value) in enumerate(pairs[:_LINES]):
        top = _MARGIN + place * 20
        pen.text((_MARGIN, top), textwrap.shorten(name, 14, placeholder="…"), _INK, font)
        pen.text((WIDTH // 2, top), textwrap.shorten(value, 14, placeholder="…"), _INK, font)
    return as_jpeg(image)


def as_jpeg(image: Image.Image) -> bytes:
    """Return the content of a JPEG file of an image in RGB."""
    written = io.BytesIO()
    image.save(written, "JPEG", quality=88)
    return written.getvalue()


def _blank() -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", (WIDTH, HEIGHT), _GROUND)
    return image, ImageDraw.Draw(image)
