"""Least squares of a(row) + b(column) on the cells of an incomplete two-way layout."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import scipy
from numpy.typing import NDArray

from emap_core.decomposition.cell_pattern import CellPattern
from emap_core.decomposition.conjugate_gradients import conjugate_gradients
from emap_core.decomposition.design import Design
from emap_core.types import Array

_ELEMENTS = 2**16


class TwoWayLayout:
    """Least squares on cells of a design, for many right-hand sides.

    Parameters
    ----------
    design : Design
    weights : ndarray of shape (M,)
        Of the kept cells.
    kept : ndarray of shape (cells of the design,), bool, optional
        Which cells of the design are kept; by default all. Values are of these alone.
    """

    def __init__(
        self, design: Design, weights: Array, kept: NDArray[np.bool_] | None = None
    ) -> None:
        self.p, self.q = design.row_share, design.column_share
        self.weights = weights
        rows, columns = design.rows, design.columns
        if kept is not None:
            rows, columns = rows[kept], columns[kept]
        self.items = rows, columns
        self.pattern = CellPattern(rows, columns, design.shape, design.order)
        self._numbers = np.arange(len(weights) + 1, dtype=np.int32)
        self._cells = self.pattern.matrix(weights)
        self._cells_transposed = self.pattern.transposed(weights)
        # A row or column without weight has a mean of 0, not an undefined one.
        self.row_weight, self.column_weight = (
            np.maximum(sums, 1e-300) for sums in self._sums(np.ones((len(weights), 1)), weights)
        )

    def project(
        self, values: Array, tolerance: float = 1e-13, signs: Array | None = None
    ) -> tuple[tuple[Array, Array], Array]:
        """Return row and column means, and the total mean, of the fit to values of shape (M, C).

        Parameters
        ----------
        values : ndarray of shape (M, C)
        tolerance : float
            Of the residuals of the normal equations.
        signs : ndarray of shape (M,), optional
            What the values of each cell are multiplied by first.
        """
        weights = self.weights if signs is None else self.weights * signs
        of_rows, of_columns = self._sums(values, weights)
        of_rows /= self.row_weight
        (rows, columns), (row_place, column_place) = self.pattern.order, self.pattern.place
        right = of_columns[columns] - self._cells_transposed @ of_rows[rows]
        b = self._solve(right, tolerance)
        a = of_rows - (self._cells @ b)[row_place] / self.row_weight
        b = b[column_place]
        row_mean, column_mean = self.p @ a, self.q @ b
        return (a + column_mean, b + row_mean), row_mean + column_mean

    def at(self, means: Sequence[Array], mean: Array) -> Array:
        """Return the additive fit of some means at each cell, shape (M, C)."""
        of_rows, of_columns = means[0], means[1] - mean
        rows, columns = self.items
        found = np.empty((len(rows), len(mean)))
        # A few at a time, so that what was gathered is still in the cache when added.
        step = max(1, _ELEMENTS // len(mean))
        for start in range(0, len(found), step):
            part = slice(start, start + step)
            of_rows.take(rows[part], axis=0, out=found[part], mode="clip")
            found[part] += of_columns.take(columns[part], axis=0)
        return found

    @property
    def leverage(self) -> Array:
        """Approximate weight of each cell's own value in its additive fit, shape (M,).

        That of both one-sided means; exact if all cells are there and have the same weight.
        """
        rows, columns = self.items
        of_row = self.weights / self.row_weight[rows, 0]
        of_column = self.weights / self.column_weight[columns, 0]
        return np.asarray(of_row + of_column - self.weights / self.weights.sum())

    def on_cells(self, values: Array) -> scipy.sparse.csr_matrix:
        """Return one number per cell as a sparse matrix of rows and columns."""
        at = values, self.items[1], self.pattern.starts
        return scipy.sparse.csr_matrix(at, self.pattern.shape)

    @cached_property
    def cells(self) -> scipy.sparse.csr_matrix:
        """The weights as a sparse matrix of rows and columns."""
        return self.on_cells(self.weights)

    @cached_property
    def cells_transposed(self) -> scipy.sparse.csr_matrix:
        """The weights as a sparse matrix of columns and rows."""
        return self.cells.T.tocsr()

    def solve(self, right: Array, tolerance: float) -> Array:
        """Solve for the column effects by conjugate gradients, all columns side by side."""
        return self._solve(right[self.pattern.order[1]], tolerance)[self.pattern.place[1]]

    def _solve(self, right: Array, tolerance: float) -> Array:
        """Solve with rows and columns in the order of the pattern."""
        row_weight, column_weight = self._weights_in_order

        def apply(direction: Array) -> Array:
            forward = (self._cells @ direction) / row_weight
            return np.asarray(column_weight * direction - self._cells_transposed @ forward)

        return conjugate_gradients(apply, column_weight, right, tolerance)

    @cached_property
    def _weights_in_order(self) -> tuple[Array, Array]:
        rows, columns = self.pattern.order
        return self.row_weight[rows], self.column_weight[columns]

    def _sums(self, values: Array, weights: Array) -> tuple[Array, Array]:
        """Return weighted sums of values over the cells of each row and of each column."""
        numbers, n = self._numbers, len(weights)
        rows, columns = self.pattern.shape
        # Both read the values in the order in which they are stored.
        by_row = scipy.sparse.csr_matrix((weights, numbers[:-1], self.pattern.starts), (rows, n))
        by_column = scipy.sparse.csc_matrix((weights, self.items[1], numbers), (columns, n))
        return by_row @ values, by_column @ values
