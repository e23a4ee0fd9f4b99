"""A few products of a row score and a column score, fitted to the evaluated cells of a grid.

Source: variational Bayes for matrix factorisation, Lim & Teh, "Variational Bayesian approach to
movie rating prediction", KDD Cup and Workshop 2007. Its priors shrink scores that few cells support
and switch off products that none support.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from emap_core.types import Array

Floats = NDArray[np.float32]

RANK = 4
_SWEEPS = 15
# Beginning with the products of nearly the same residuals.
_FURTHER_SWEEPS = 5
_TOLERANCE = 3e-3
_LEAST_NOISE = 1e-6


@dataclass(frozen=True, eq=False)
class Products:
    """Row and column scores of every class; their product summed over R predicts a cell.

    Attributes
    ----------
    rows : ndarray of shape (U_1, C, R), float32
    columns : ndarray of shape (U_2, C, R), float32
    """

    rows: Floats
    columns: Floats
    _moments: list[Floats]
    _scale: Array
    _noise: Array


def fit_products(
    rows: NDArray[np.int32],
    columns: NDArray[np.int32],
    residuals: Array,
    shape: tuple[int, int],
    seed: int = 0,
    start: Products | None = None,
) -> Products:
    """Return products that predict what is left in the cells beyond the additive fit.

    They are computed in 32 bits. A control variate needs no more digits: its error stays in what
    is left, like any other error of a prediction.

    Parameters
    ----------
    rows, columns : ndarray of shape (M,)
        The cells, sorted by row.
    residuals : ndarray of shape (M, C)
    shape : tuple of int
        Rows and columns.
    seed : int
        Of the start.
    start : Products, optional
        Products fitted to nearly the same residuals: fewer sweeps improve on them.
    """
    n_classes = residuals.shape[1]
    size = np.sqrt(np.mean(residuals**2, axis=0))
    size[size == 0] = 1.0
    rank = min(RANK, min(shape) - 1)
    place = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=shape[0]))])
    place = place.astype(np.int32)

    def on_cells(values: Floats) -> scipy.sparse.csr_matrix:
        return scipy.sparse.csr_matrix((values, columns, place), shape=shape)

    met = on_cells(np.ones(len(rows), np.float32))
    met_transposed = met.T.tocsr()
    by_class = [on_cells((residuals[:, c] / size[c]).astype(np.float32)) for c in range(n_classes)]
    transposed = [m.T.tocsr() for m in by_class]
    if start is None:
        y = [_start(m, rank, seed) for m in by_class]
        moments = [_with_spread(scores, 0.0) for scores in y]
        scale, noise = np.ones((n_classes, rank)), np.ones(n_classes)
    else:
        y = [np.ascontiguousarray(start.columns[:, c]) for c in range(n_classes)]
        moments, scale, noise = list(start._moments), start._scale.copy(), start._noise
    x: list[Floats] = [np.empty(0, np.float32)] * n_classes
    total = np.full(n_classes, float(len(rows)))
    left, before = np.empty(n_classes), total
    for _ in range(_SWEEPS if start is None else _FURTHER_SWEEPS):
        # Classes only share when to stop.
        for c in range(n_classes):
            gram, pull = met @ moments[c], by_class[c] @ y[c]
            x[c], of_rows = _posterior(gram, pull, noise[c], 1.0 / scale[c])
            scale[c] = np.maximum(of_rows.mean(axis=0, dtype=np.float64)[_DIAGONAL[:rank]], 1e-6)
            gram, pull = met_transposed @ of_rows, transposed[c] @ x[c]
            y[c], moments[c] = _posterior(gram, pull, noise[c], np.ones(rank))
            explained = 2 * _sums(y[c], pull).sum() - _inner(moments[c], gram, rank)
            left[c] = max(total[c] - explained, _LEAST_NOISE * total[c])
        noise = left / len(rows)
        if (np.abs(left - before) <= _TOLERANCE * left).all():
            break
        before = left.copy()
    return Products(
        np.stack(x, axis=1) * size.astype(np.float32)[:, None],
        np.stack(y, axis=1),
        moments,
        scale,
        noise,
    )


def _start(cells: scipy.sparse.csr_matrix, rank: int, seed: int) -> Floats:
    vectors = np.random.default_rng(seed).normal(size=(cells.shape[1], rank)).astype(np.float32)
    for _ in range(3):
        vectors = np.linalg.qr(cells.T @ (cells @ vectors))[0]
    return np.asarray(vectors * np.float32(np.sqrt(cells.shape[1])))


# For each item, a row holds the lower triangle of a symmetric R by R matrix, row by row.
_PAIRS = [(i, j) for i in range(RANK) for j in range(i + 1)]
_NUMBER = {pair: k for k, pair in enumerate(_PAIRS)}
_DIAGONAL = [_NUMBER[i, i] for i in range(RANK)]


def _with_spread(scores: Floats, spread: Floats | float) -> Floats:
    """Return the means of the products of scores, shape (U, K); `spread` is their covariance."""
    rank = scores.shape[1]
    columns = np.ascontiguousarray(scores.T)
    entries = np.stack([columns[i] * columns[j] for i, j in _PAIRS[: rank * (rank + 1) // 2]])
    entries += spread
    return np.ascontiguousarray(entries.T)


def _sums(values: Floats, others: Floats) -> Array:
    """Return the sums of the products of the entries of each column."""
    return np.asarray((values * others).sum(axis=0, dtype=np.float64))


def _inner(products: Floats, others: Floats, rank: int) -> float:
    """Return the sum of all products of the entries of two sets of matrices."""
    of_entries = _sums(products, others)
    return float(2 * of_entries.sum() - of_entries[_DIAGONAL[:rank]].sum())


def _posterior(gram: Floats, pull: Floats, noise: float, precision: Array) -> tuple[Floats, Floats]:
    """Return means of the scores, shape (U, R), and means of their products, shape (U, K)."""
    rank = pull.shape[1]
    # All matrices are inverted at once, which is many times faster than one by one.
    inverse, columns = np.ascontiguousarray(gram.T), np.ascontiguousarray(pull.T)
    inverse[_DIAGONAL[:rank]] += (precision * noise).astype(np.float32)[:, None]
    _invert(inverse, rank)
    scores = np.zeros_like(columns)
    for i in range(rank):
        for j in range(rank):
            scores[i] += inverse[_NUMBER[max(i, j), min(i, j)]] * columns[j]
    means = np.ascontiguousarray(scores.T)
    inverse *= np.float32(noise)
    return means, _with_spread(means, inverse)


def _invert(matrices: Floats, rank: int) -> None:
    """Invert positive definite matrices, entries first, in place.

    By the sweep operator: Goodnight, "A tutorial on the sweep operator", The American Statistician
    33, 1979.
    """
    for k in range(rank):
        pivot = 1.0 / matrices[_DIAGONAL[k]]
        column = {i: _NUMBER[max(i, k), min(i, k)] for i in range(rank) if i != k}
        scaled = {i: matrices[at] * pivot for i, at in column.items()}
        for i in column:
            for j in column:
                if j <= i:
                    matrices[_NUMBER[i, j]] -= scaled[i] * matrices[column[j]]
        for i, at in column.items():
            matrices[at] = scaled[i]
        matrices[_DIAGONAL[k]] = -pivot
    np.negative(matrices, out=matrices)
