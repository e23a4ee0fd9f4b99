"""Weighted sums of a tile of the grid, and how the sums of all tiles are merged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emap_core.types import Array

_BLOCK_BYTES = 2**18


@dataclass(frozen=True)
class Moments:
    """Weight, mean and centred sum of squares of a part of the grid.

    Parts merge pairwise after Chan, Golub & LeVeque (1983), so a large common offset costs no
    digits, unlike with a sum of squares minus a squared sum.

    Attributes
    ----------
    weight : float
        Sum of the cell weights p_u q_w of the part.
    mean : ndarray of shape (C,)
        Weighted mean of the cells.
    squares : ndarray of shape (C,)
        Weighted sum of squared deviations from `mean`.
    """

    weight: float
    mean: Array
    squares: Array

    @classmethod
    def zero(cls, n_classes: int) -> Moments:
        """Return the moments of no cells at all."""
        return cls(0.0, np.zeros(n_classes), np.zeros(n_classes))

    def merge(self, other: Moments) -> Moments:
        """Return the moments of both parts together."""
        weight = self.weight + other.weight
        if weight == 0.0:
            return self
        delta = other.mean - self.mean
        mean = self.mean + delta * (other.weight / weight)
        between = delta**2 * (self.weight * other.weight / weight)
        return Moments(weight, mean, self.squares + other.squares + between)


def sum_tile(
    cells: NDArray[np.floating], row_share: Array, column_share: Array
) -> tuple[Array, Array, Moments, Moments]:
    """Return everything the projection needs from a tile, in one pass through the cache.

    Parameters
    ----------
    cells : ndarray of shape (A, B, C)
        Any floating type; sums are float64.
    row_share : ndarray of shape (A,)
    column_share : ndarray of shape (B,)

    Returns
    -------
    rows : ndarray of shape (A, C)
        Sum over columns, weighted by their shares.
    columns : ndarray of shape (B, C)
        Sum over rows, weighted by their shares.
    moments, centred : Moments
        Of the cells, and of the cells minus their mean over classes.
    """
    n_rows, n_columns, n_classes = cells.shape
    rows = np.empty((n_rows, n_classes))
    columns = np.zeros(n_columns * n_classes)
    squares, centred_squares = np.zeros((2, n_columns * n_classes))
    step = max(_BLOCK_BYTES // (8 * n_columns * n_classes), 1)
    # Squares are taken around a value near the mean, for the reason given in `Moments`.
    offset = cells[:step].mean(axis=(0, 1), dtype=np.float64)
    # A long inner axis is several times faster than one of a few classes.
    flat_offset = np.tile(offset, n_columns)
    buffer = np.empty((min(step, n_rows), n_columns, n_classes))
    squared = np.empty_like(buffer)
    average = np.full(n_classes, 1.0 / n_classes)
    for start in range(0, n_rows, step):
        part = slice(start, min(start + step, n_rows))
        values = buffer[: part.stop - start]
        values[...] = cells[part]
        flat, flat_squared = (b.reshape(len(b), -1)[: part.stop - start] for b in (buffer, squared))
        flat -= flat_offset
        rows[part] = column_share @ values
        columns += row_share[part] @ flat
        np.square(flat, out=flat_squared)
        squares += row_share[part] @ flat_squared
        if n_classes > 1:
            values -= (values @ average)[:, :, None]
            np.square(flat, out=flat_squared)
            centred_squares += row_share[part] @ flat_squared
    by_column = columns.reshape(n_columns, n_classes)
    row_weight, column_weight = float(row_share.sum()), float(column_share.sum())
    weight = row_weight * column_weight
    shifted = column_share @ by_column
    moments = _around(offset, weight, shifted, column_share @ squares.reshape(n_columns, n_classes))
    centred = _around(
        offset - offset.mean(),
        weight,
        shifted - shifted.mean(),
        column_share @ centred_squares.reshape(n_columns, n_classes),
    )
    return rows + column_weight * offset, by_column + row_weight * offset, moments, centred


def _around(offset: Array, weight: float, shifted: Array, squares: Array) -> Moments:
    if weight == 0.0:
        return Moments.zero(len(offset))
    rest = shifted / weight
    return Moments(weight, offset + rest, np.maximum(squares - weight * rest**2, 0.0))
