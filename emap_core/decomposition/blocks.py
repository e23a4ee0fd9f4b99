"""The interaction of one class as means of blocks: as much of a grid as a picture can show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emap_core.decomposition.projection import Decomposition
from emap_core.types import Array, Index

Window = tuple[int, int, int, int]
"""First row, row after the last, first column, column after the last; in the order of the grid."""


@dataclass(frozen=True, eq=False)
class Blocks:
    """Means of the interaction over blocks of neighbouring texts and images.

    Attributes
    ----------
    values : ndarray of shape (R, K)
        Mean interaction of each block, 0 where it is no more than rounding.
    row_edges, column_edges : ndarray of shape (R + 1,) and (K + 1,)
        Where blocks begin and end, in the order of texts and images.
    texts, images : ndarray of int
        Numbers of the texts and images of the window, in order.
    """

    values: Array
    row_edges: Index
    column_edges: Index
    texts: Index
    images: Index

    @property
    def window(self) -> Window:
        """The part of the ordered grid that the blocks cover."""
        rows, columns = self.row_edges, self.column_edges
        return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])

    @property
    def single(self) -> bool:
        """Whether every block is one text with one image."""
        return self.values.shape == (len(self.texts), len(self.images))

    @property
    def first_texts(self) -> Index:
        """Number of the first text of each row of blocks, shape (R,)."""
        return np.asarray(self.texts[self.row_edges[:-1] - self.row_edges[0]])


def interaction_blocks(
    cells: NDArray[np.floating],
    decomposition: Decomposition,
    c: int,
    text_order: Index,
    image_order: Index,
    *,
    window: Window | None = None,
    most: int = 200,
) -> Blocks:
    """Return the interaction of one class, texts and images in a given order, in blocks.

    Parameters
    ----------
    cells : ndarray of shape (U_t, U_v)
        Logits of class `c`, centred over classes where `decomposition` is.
    decomposition : Decomposition
    c : int
        Column of the class.
    text_order, image_order : ndarray of int
        Numbers of the texts from top to bottom and of the images from left to right.
    window : tuple of int, optional
        The part of the ordered rows and columns; all of it by default.
    most : int
        Rows and columns of blocks at most; with fewer texts and images each has its own.
    """
    top, bottom, left, right = window or (0, len(text_order), 0, len(image_order))
    rows, columns = _edges(top, bottom, most), _edges(left, right, most)
    texts, images = text_order[top:bottom], image_order[left:right]
    sums = _sums(cells, texts, images, rows - top, columns - left)
    values = sums / np.outer(np.diff(rows), np.diff(columns)) + decomposition.mean[c]
    values -= _means(decomposition.text_mean[texts, c], rows - top)[:, None]
    values -= _means(decomposition.image_mean[images, c], columns - left)
    values[np.abs(values) <= decomposition.noise[c]] = 0.0
    return Blocks(values, rows, columns, texts, images)


def _edges(start: int, stop: int, most: int) -> Index:
    count = max(1, min(most, stop - start))
    return np.linspace(start, stop, count + 1).round().astype(np.intp)


def _sums(
    cells: NDArray[np.floating], texts: Index, images: Index, rows: Index, columns: Index
) -> Array:
    sums = np.empty((len(rows) - 1, len(columns) - 1))
    for block in range(len(rows) - 1):
        part = cells[texts[rows[block] : rows[block + 1]]]
        across = part.sum(axis=0, dtype=np.float64)
        sums[block] = np.add.reduceat(across[images], columns[:-1])
    return sums


def _means(values: Array, edges: Index) -> Array:
    return np.asarray(np.add.reduceat(values, edges[:-1]) / np.diff(edges))
