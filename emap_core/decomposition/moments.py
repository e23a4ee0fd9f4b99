"""Weighted sums of a tile of the grid, and how the sums of all tiles are merged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emap_core.types import Array

_BLOCK_BYTES = 2**18
_LEAST_LEFT = 1e-3
"""How small a difference of two sums may be, compared to them, to lose three digits at most."""


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
    columns, squares = np.zeros((2, n_columns * n_classes))
    # Of the cells' means over classes: their squares, and their products with each class.
    mean_squares, products = np.zeros(n_columns), np.zeros(n_classes)
    step = max(_BLOCK_BYTES // (8 * n_columns * n_classes), 1)
    # Squares are taken around a value near the mean, for the reason given in `Moments`.
    offset = cells[:step].mean(axis=(0, 1), dtype=np.float64)
    # A long inner axis is several times faster than one of a few classes.
    flat_offset = np.tile(offset, n_columns)
    buffer = np.empty((min(step, n_rows), n_columns, n_classes))
    squared = np.empty_like(buffer)
    over_classes = np.full(n_classes, 1.0 / n_classes)
    # The shares of the columns alone, and times the mean of each cell: one product takes both.
    weights = np.empty((len(buffer), 2, n_columns))
    weights[:, 0] = column_share
    for start in range(0, n_rows, step):
        part = slice(start, min(start + step, n_rows))
        values, share = buffer[: part.stop - start], row_share[part]
        flat, flat_squared = (b.reshape(len(b), -1)[: len(values)] for b in (buffer, squared))
        values[...] = cells[part]
        flat -= flat_offset
        columns += share @ flat
        np.square(flat, out=flat_squared)
        squares += share @ flat_squared
        if n_classes == 1:
            rows[part] = column_share @ values
            continue
        # Centred squares follow from products: taking the mean off each cell is a slow pass.
        mean = values @ over_classes
        np.multiply(mean, column_share, out=weights[: len(values), 1])
        rows_and_products = weights[: len(values)] @ values
        rows[part] = rows_and_products[:, 0]
        products += share @ rows_and_products[:, 1]
        mean_squares += share @ np.square(mean, out=mean)
    by_column = columns.reshape(n_columns, n_classes)
    row_weight, column_weight = float(row_share.sum()), float(column_share.sum())
    weight = row_weight * column_weight
    shifted = column_share @ by_column
    all_squares = column_share @ squares.reshape(n_columns, n_classes)
    both = all_squares + column_share @ mean_squares
    centred_squares = both - 2.0 * products
    if n_classes == 1:
        centred_squares = np.zeros(1)
    elif (centred_squares < _LEAST_LEFT * both).any():
        # Too few digits are left of the difference.
        centred_squares = _centred_squares(cells, offset, row_share, column_share)
    moments = _around(offset, weight, shifted, all_squares)
    centred = _around(offset - offset.mean(), weight, shifted - shifted.mean(), centred_squares)
    return rows + column_weight * offset, by_column + row_weight * offset, moments, centred


def _centred_squares(
    cells: NDArray[np.floating], offset: Array, row_share: Array, column_share: Array
) -> Array:
    """Return the sums of squares of cells minus offset and their mean over classes, shape (C,).

    Slower than from products with that mean, but no digits are lost where it varies much more than
    what is left.
    """
    n_classes = cells.shape[2]
    squares, over_classes = np.zeros(n_classes), np.full(n_classes, 1.0 / n_classes)
    for row, share in zip(cells, row_share, strict=True):
        values = row - offset
        values -= (values @ over_classes)[:, None]
        squares += share * (column_share @ np.square(values, out=values))
    return squares


def _around(offset: Array, weight: float, shifted: Array, squares: Array) -> Moments:
    if weight == 0.0:
        return Moments.zero(len(offset))
    rest = shifted / weight
    return Moments(weight, offset + rest, np.maximum(squares - weight * rest**2, 0.0))
