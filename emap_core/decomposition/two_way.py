"""Least squares of a(row) + b(column) on the cells of an incomplete two-way layout."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy
from numpy.typing import NDArray

from emap_core.decomposition.conjugate_gradients import conjugate_gradients
from emap_core.decomposition.design import Design
from emap_core.types import Array


class TwoWayLayout:
    """Least squares on the cells of a design, for many right-hand sides."""

    def __init__(self, design: Design, weights: Array) -> None:
        n_rows, n_columns = self._shape = design.shape
        n = len(design)
        self.p, self.q = design.row_share, design.column_share
        self.weights = weights
        self._rows, self._columns = design.rows, design.columns
        place = _starts(design.rows, n_rows)
        by_row = np.arange(n, dtype=np.int32)
        self.row_sums = scipy.sparse.csr_matrix((np.ones(n), by_row, place), (n_rows, n))
        # As a stable sort of the columns would, in a tenth of the time.
        in_order = scipy.sparse.csr_matrix((by_row, design.columns, place), (n_rows, n_columns))
        by_column = in_order.tocsc().data
        columns = _starts(design.columns, n_columns)
        self.column_sums = scipy.sparse.csr_matrix((np.ones(n), by_column, columns), (n_columns, n))
        self._place = place
        self.cells = self.on_cells(weights)
        self.cells_transposed = self.cells.T.tocsr()
        # A row or column without weight has a mean of 0, not an undefined one.
        self.row_weight, self.column_weight = (
            np.maximum(np.asarray(self.cells.sum(axis=axis)), 1e-300).reshape(-1, 1)
            for axis in (1, 0)
        )

    def project(self, values: Array, tolerance: float = 1e-13) -> tuple[tuple[Array, Array], Array]:
        """Return row and column means, and the total mean, of the fit to values of shape (M, C)."""
        weighted = self.weights[:, None] * values
        of_rows = (self.row_sums @ weighted) / self.row_weight
        right = self.column_sums @ weighted - self.cells_transposed @ of_rows
        b = self.solve(right, tolerance)
        a = of_rows - (self.cells @ b) / self.row_weight
        row_mean, column_mean = self.p @ a, self.q @ b
        return (a + column_mean, b + row_mean), row_mean + column_mean

    def at(self, means: Sequence[Array], mean: Array) -> Array:
        """Return the additive fit of some means at each cell, shape (M, C)."""
        row_mean, column_mean = means
        return np.asarray(row_mean[self._rows] + (column_mean - mean)[self._columns])

    @property
    def leverage(self) -> Array:
        """Approximate weight of each cell's own value in its additive fit, shape (M,).

        That of both one-sided means; exact if all cells are there and have the same weight.
        """
        of_row = self.weights / self.row_weight[self._rows, 0]
        of_column = self.weights / self.column_weight[self._columns, 0]
        return np.asarray(of_row + of_column - self.weights / self.weights.sum())

    def on_cells(self, values: Array) -> scipy.sparse.csr_matrix:
        """Return one number per cell as a sparse matrix of rows and columns."""
        return scipy.sparse.csr_matrix((values, self._columns, self._place), self._shape)

    def solve(self, right: Array, tolerance: float) -> Array:
        """Solve for the column effects by conjugate gradients, all columns side by side."""

        def apply(direction: Array) -> Array:
            forward = (self.cells @ direction) / self.row_weight
            return np.asarray(self.column_weight * direction - self.cells_transposed @ forward)

        return conjugate_gradients(apply, self.column_weight, right, tolerance)


def _starts(numbers: NDArray[np.int32], size: int) -> NDArray[np.int32]:
    counts = np.bincount(numbers, minlength=size)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
