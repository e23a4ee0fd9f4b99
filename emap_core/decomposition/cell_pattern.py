"""Sparse matrices with one number per cell of an incomplete two-way layout."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

Order = tuple[NDArray[np.int32], NDArray[np.int32]]
"""All rows and all columns, each once."""


class CellPattern:
    """The places of cells in sparse matrices, for many matrices with numbers at the same cells.

    Rows and columns come in a chosen order. If neighbours meet neighbours, a product finds what it
    reads in the processor's cache. Terms of a sum keep the order of the cells all the same, so that
    no digit of a product depends on the order of rows and columns.

    Parameters
    ----------
    rows, columns : ndarray of shape (M,), int32
        The cells, sorted by row.
    shape : tuple of int
        Rows and columns.
    order : tuple of ndarray, optional
        Rows and columns as the matrices have them; by default as they are numbered.
    """

    def __init__(
        self,
        rows: NDArray[np.int32],
        columns: NDArray[np.int32],
        shape: tuple[int, int],
        order: Order | None = None,
    ) -> None:
        self.shape = shape
        self.order = order or (_numbers(shape[0]), _numbers(shape[1]))
        self.place = tuple(map(_inverse, self.order))
        """Where each row and each column stands in the order."""
        self.starts = np.zeros(shape[0] + 1, np.int32)
        """Where the cells of each row, as rows are numbered, start and end, shape (U_1 + 1,)."""
        np.cumsum(np.bincount(rows, minlength=shape[0]), out=self.starts[1:])
        by_row = scipy.sparse.csr_matrix((_numbers(len(rows)), columns, self.starts), shape)
        self._by_row = _arranged(by_row, self.order[0], self.place[1])
        self._by_column = _arranged(by_row.T.tocsr(), self.order[1], self.place[0])

    def matrix(self, values: NDArray[Any]) -> scipy.sparse.csr_matrix:
        """Return one number per cell, shape (M,), as a matrix of rows and columns in order."""
        cells, columns, starts = self._by_row
        return scipy.sparse.csr_matrix((values[cells], columns, starts), self.shape)

    def transposed(self, values: NDArray[Any]) -> scipy.sparse.csr_matrix:
        """Return one number per cell, shape (M,), as a matrix of columns and rows in order."""
        cells, rows, starts = self._by_column
        return scipy.sparse.csr_matrix((values[cells], rows, starts), self.shape[::-1])


def _arranged(
    cells: scipy.sparse.csr_matrix, order: NDArray[np.int32], place: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Return numbers and places of the cells, line by line, and where each line starts."""
    lines = cells[order]
    return lines.data, place[lines.indices], lines.indptr


def _numbers(size: int) -> NDArray[np.int32]:
    return np.arange(size, dtype=np.int32)


def _inverse(order: NDArray[np.int32]) -> NDArray[np.int32]:
    place = np.empty_like(order)
    place[order] = _numbers(len(order))
    return place
