"""Units to keep or mask: words of a text, places in a picture, regions from a detector.

Units of another kind need two things: a name for each, and a way to keep only some of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from emap_core.errors import ModelError

Keep = NDArray[np.bool_]
Filling = Literal["mean colour", "blur"]
"""What replaces a masked region."""

# Chinese and Japanese have no blanks between words.
_ALONE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_ALONE}]|[^\s{_ALONE}]+")
_BLUR = 1 / 8
"""Radius of the blur, as a share of the picture's longer side."""


PLACES = (
    *("upper left", "upper centre", "upper right"),
    *("middle left", "centre", "middle right"),
    *("lower left", "lower centre", "lower right"),
)
"""Places in a picture, by thirds."""


class Units(Protocol):
    """The units of one item."""

    @property
    def names(self) -> list[str]:
        """Name of each unit."""

    def masked(self, keep: Keep) -> Any:
        """Return the item with only some units kept; with all of them, the item itself."""


class Words:
    """The words of a text; a masked one is deleted.

    Parameters
    ----------
    text : str
    most : int
        With more words, neighbours form one unit.
    """

    def __init__(self, text: str, most: int) -> None:
        self.text = text
        starts = [found.start() for found in _WORD.finditer(text)]
        pieces = [text[a:b] for a, b in pairwise([*starts, len(text)])]
        groups = np.array_split(np.arange(len(pieces)), most) if len(pieces) > most else None
        self._pieces = (
            pieces if groups is None else ["".join(pieces[i] for i in group) for group in groups]
        )
        self.names = [piece.strip() for piece in self._pieces]

    def masked(self, keep: Keep) -> str:
        """Return the text without the words that are not kept."""
        if keep.all():
            return self.text
        return "".join(p for p, kept in zip(self._pieces, keep, strict=True) if kept).strip()


class Places:
    """The cells of a square grid over a picture; a masked one is filled.

    Parameters
    ----------
    picture : PIL image
    side : int
        The grid has `side` rows and columns.
    filling : {"mean colour", "blur"}
    colour : ndarray of shape (3,)
        The mean colour of the data.

    Attributes
    ----------
    boxes : ndarray of shape (side², 4)
        Left, top, right and lower edge of each cell, as shares of the picture.
    """

    def __init__(
        self, picture: Image.Image, side: int, filling: Filling, colour: NDArray[np.float64]
    ) -> None:
        self.picture, self.filling = picture, filling
        in_colours = picture.convert("RGB")
        self._pixels = np.asarray(in_colours)
        if filling == "blur":
            radius = max(1.0, _BLUR * max(picture.size))
            self._filled = np.asarray(in_colours.filter(ImageFilter.GaussianBlur(radius)))
        else:
            self._filled = np.broadcast_to(np.round(colour).astype(np.uint8), self._pixels.shape)
        height, width = self._pixels.shape[:2]
        rows, columns = (np.arange(size) * side // size for size in (height, width))
        self._cell_of_pixel = rows[:, None] * side + columns
        edges = np.arange(side + 1) / side
        self.boxes = np.array(
            [
                (edges[column], edges[row], edges[column + 1], edges[row + 1])
                for row in range(side)
                for column in range(side)
            ]
        )
        self.names = [
            f"row {row + 1}, column {column + 1}" for row in range(side) for column in range(side)
        ]

    def masked(self, keep: Keep) -> Image.Image:
        """Return the picture with the cells that are not kept filled."""
        if keep.all():
            return self.picture
        kept = keep[self._cell_of_pixel][..., None]
        return Image.fromarray(np.where(kept, self._pixels, self._filled))


class Regions:
    """The regions that a model reads instead of a picture, from a detector.

    Parameters
    ----------
    regions : mapping
        ``features``, shape (regions, F), and ``boxes``, shape (regions, 4).
    size : tuple of int
        Width and height of the picture that people see.
    features : ndarray of shape (F,)
        What replaces a masked region's features.
    most : int
        With more regions, consecutive ones form one unit.
    filling : str
        Name for `features` in sentences.
    """

    def __init__(
        self,
        regions: Mapping[str, Any],
        size: tuple[int, int],
        features: NDArray[np.float64],
        most: int,
        filling: str,
    ) -> None:
        if regions.get("boxes") is None:
            raise ModelError(
                "the regions of this example have no boxes, so they cannot be shown on the image; "
                "add boxes to the data"
            )
        self.regions = {name: np.asarray(values) for name, values in regions.items()}
        self.filling = filling
        self._features = np.asarray(features, dtype=self.regions["features"].dtype)
        n = len(self.regions["features"])
        self._groups = np.array_split(np.arange(n), min(n, most))
        boxes = self.regions["boxes"].astype(np.float64)
        if boxes.max(initial=0.0) > 1.5:
            # The boxes are in pixels.
            boxes = boxes / [*size, *size]
        boxes = np.clip(boxes, 0.0, 1.0)
        self.boxes = np.array(
            [[*boxes[g, :2].min(axis=0), *boxes[g, 2:].max(axis=0)] for g in self._groups]
        )
        self.names = [
            f"region {g[0] + 1}" + (f" to {g[-1] + 1}" if len(g) > 1 else "") for g in self._groups
        ]

    def masked(self, keep: Keep) -> Mapping[str, Any]:
        """Return the regions, with other features for those that are not kept."""
        if keep.all():
            return self.regions
        features = self.regions["features"].copy()
        for group, kept in zip(self._groups, keep, strict=True):
            if not kept:
                features[group] = self._features
        return {**self.regions, "features": features}


def where(box: Sequence[float]) -> str:
    """Return in words where a box is in a picture, one of `PLACES`."""
    left, top, right, lower = box
    across = min(int(3 * (left + right) / 2), 2)
    down = min(int(3 * (top + lower) / 2), 2)
    return PLACES[3 * down + across]
