"""The interaction of one class as means of blocks: as much detail as a picture can show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emap_core.decomposition.projection import Decomposition
from emap_core.types import Array, Index

Window = tuple[int, int, int, int]
"""First row, row after the last, first column, column after the last, in the grid's order."""


@dataclass(frozen=True, eq=False)
class Blocks:
    """Means of the interaction over blocks of neighbouring rows and columns.

    Attributes
    ----------
    values : ndarray of shape (R, K)
        Mean interaction of each block, 0 if it is only rounding.
    row_edges, column_edges : ndarray of shape (R + 1,) and (K + 1,)
        Where blocks start and end, in the order of rows and columns.
    rows, columns : ndarray of int
        Numbers of the rows and columns of the window, in order.
    """

    values: Array
    row_edges: Index
    column_edges: Index
    rows: Index
    columns: Index

    @property
    def window(self) -> Window:
        """The part of the ordered grid that the blocks cover."""
        rows, columns = self.row_edges, self.column_edges
        return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])

    @property
    def single(self) -> bool:
        """Whether every block is one row with one column."""
        return self.values.shape == (len(self.rows), len(self.columns))

    @property
    def first_rows(self) -> Index:
        """Number of the first row of each band of blocks, shape (R,)."""
        return np.asarray(self.rows[self.row_edges[:-1] - self.row_edges[0]])


def interaction_blocks(
    cells: NDArray[np.floating],
    decomposition: Decomposition,
    c: int,
    row_order: Index,
    column_order: Index,
    *,
    window: Window | None = None,
    most: int = 200,
) -> Blocks:
    """Return the interaction of one class, rows and columns in a given order, in blocks.

    Parameters
    ----------
    cells : ndarray of shape (U_1, U_2)
        Logits of class `c`, centred over classes if `decomposition` is.
    decomposition : Decomposition
    c : int
        Column of the class.
    row_order, column_order : ndarray of int
        Numbers of the rows from top to bottom and of the columns from left to right.
    window : tuple of int, optional
        The part of the ordered rows and columns; all of it by default.
    most : int
        Most blocks down and across; with fewer rows and columns, each gets its own.
    """
    top, bottom, left, right = window or (0, len(row_order), 0, len(column_order))
    row_edges, column_edges = _edges(top, bottom, most), _edges(left, right, most)
    rows, columns = row_order[top:bottom], column_order[left:right]
    sums = _sums(cells, rows, columns, row_edges - top, column_edges - left)
    values = sums / np.outer(np.diff(row_edges), np.diff(column_edges)) + decomposition.mean[c]
    values -= _means(decomposition.row_mean[rows, c], row_edges - top)[:, None]
    values -= _means(decomposition.column_mean[columns, c], column_edges - left)
    values[np.abs(values) <= decomposition.noise[c]] = 0.0
    return Blocks(values, row_edges, column_edges, rows, columns)


def _edges(start: int, stop: int, most: int) -> Index:
    count = max(1, min(most, stop - start))
    return np.linspace(start, stop, count + 1).round().astype(np.intp)


def _sums(
    cells: NDArray[np.floating],
    rows: Index,
    columns: Index,
    row_edges: Index,
    column_edges: Index,
) -> Array:
    sums = np.empty((len(row_edges) - 1, len(column_edges) - 1))
    for block in range(len(row_edges) - 1):
        part = cells[rows[row_edges[block] : row_edges[block + 1]]]
        across = part.sum(axis=0, dtype=np.float64)
        sums[block] = np.add.reduceat(across[columns], column_edges[:-1])
    return sums


def _means(values: Array, edges: Index) -> Array:
    return np.asarray(np.add.reduceat(values, edges[:-1]) / np.diff(edges))
