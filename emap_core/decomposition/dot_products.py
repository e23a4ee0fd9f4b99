"""The projection of a score that is a scaled dot product of two vectors, without its grid.

The score is s t·v + b. Its means over rows and columns are scores of the mean vectors, and the
variance of its interaction is s² tr(Σ_1 Σ_2), so N rows and columns of D numbers take N D²
operations instead of N² D.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emap_core.decomposition.projection import Decomposition, decompose_sums, example_shares
from emap_core.errors import DatasetError
from emap_core.types import Array, Index

Chunks = Callable[[], Iterable[NDArray[Any]]]
"""Returns the vectors of a side in order, a few at a time, each of shape (n, D)."""

_ROWS = 2**15


@dataclass(frozen=True, eq=False)
class _Side:
    """Mean, covariance and the rows of one side."""

    mean: Array
    covariance: Array
    chunks: Chunks

    @classmethod
    def of(cls, chunks: Chunks, share: Array) -> _Side:
        mean = sum(weights @ rows.astype(np.float64) for rows, weights in _weighted(chunks, share))
        centre = np.asarray(mean, dtype=np.float64)
        covariance = np.zeros((len(centre), len(centre)))
        for rows, weights in _weighted(chunks, share):
            # In the type of the vectors: single precision gives a sum of squares to 1e-7. A product
            # with itself takes half the operations.
            centred = (rows - centre.astype(rows.dtype)) * np.sqrt(weights / share.max())[
                :, None
            ].astype(rows.dtype)
            covariance += (centred.T @ centred).astype(np.float64) * share.max()
        return cls(centre, covariance, chunks)

    def scores(self, vector: Array) -> Array:
        """Return the product of every row, minus the mean, with a vector, shape (U,)."""
        centred = [(rows.astype(np.float64) - self.mean) @ vector for rows in self.chunks()]
        return np.concatenate(centred)


def decompose_dot_products(
    rows: NDArray[Any] | Chunks,
    columns: NDArray[Any] | Chunks,
    row_index: Index,
    column_index: Index,
    *,
    scale: float = 1.0,
    bias: float = 0.0,
    logits: Array | None = None,
) -> Decomposition:
    """Project the scores s t·v + b of all rows with all columns.

    Parameters
    ----------
    rows, columns : ndarray of shape (U_1, D) and (U_2, D), or callables
        The vectors of rows and columns; a callable returns them a few at a time.
    row_index, column_index : ndarray of shape (N,)
        The cell of each example.
    scale, bias : float
        s and b.
    logits : ndarray of shape (N, 1), optional
        The scores of the examples; computed from the vectors if not given, but needed with
        callables.

    Raises
    ------
    DatasetError
        If the vectors of both sides differ in length.
    """
    if logits is None:
        if callable(rows) or callable(columns):
            raise DatasetError("logits are missing; with callables, give those of the examples")
        logits = scale * _matched(rows, columns, row_index, column_index)[:, None] + bias
    n_rows, n_columns = int(row_index.max()) + 1, int(column_index.max()) + 1
    p, q = example_shares(row_index, column_index, n_rows, n_columns)
    row, column = (_Side.of(_chunks(side), w) for side, w in ((rows, p), (columns, q)))
    if row.mean.shape != column.mean.shape:
        raise DatasetError(
            f"vectors of the first side have {len(row.mean)} numbers, but those of the second "
            f"{len(column.mean)}; give vectors of the same length"
        )
    mean = scale * float(row.mean @ column.mean) + bias
    # Effects rather than means, which lose digits to a large common score.
    of_rows, of_columns = (
        scale * side.scores(other.mean)[:, None] for side, other in ((row, column), (column, row))
    )
    interaction = scale**2 * float((row.covariance * column.covariance).sum())
    variance = p @ of_rows**2 + q @ of_columns**2 + interaction
    return decompose_sums(
        logits=logits,
        mean=np.array([mean]),
        row_mean=mean + of_rows,
        column_mean=mean + of_columns,
        variance=variance,
        # The only output minus the mean over outputs.
        centred_variance=np.zeros(1),
        row_index=row_index,
        column_index=column_index,
    )


def _chunks(side: NDArray[Any] | Chunks) -> Chunks:
    if callable(side):
        return side
    return lambda: (side[start : start + _ROWS] for start in range(0, len(side), _ROWS))


def _weighted(chunks: Chunks, share: Array) -> Iterator[tuple[NDArray[Any], Array]]:
    start = 0
    for rows in chunks():
        yield rows, share[start : start + len(rows)]
        start += len(rows)


def _matched(
    rows: NDArray[Any], columns: NDArray[Any], row_index: Index, column_index: Index
) -> Array:
    found = np.empty(len(row_index))
    for start in range(0, len(row_index), _ROWS):
        some = slice(start, start + _ROWS)
        pairs = rows[row_index[some]], columns[column_index[some]]
        found[some] = np.einsum("nd,nd->n", *(side.astype(np.float64) for side in pairs))
    return found
