"""A few products of a row score and a column score, fitted to the evaluated cells of a grid.

Source: variational Bayes for matrix factorisation, Lim & Teh, "Variational Bayesian approach to
movie rating prediction", KDD Cup and Workshop 2007. Its priors shrink scores that few cells
support and switch products off that the cells do not.
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

from emap_core.types import Array

RANK = 4
_SWEEPS = 15
_TOLERANCE = 3e-3


def fit_products(
    rows: NDArray[np.int32],
    columns: NDArray[np.int32],
    residuals: Array,
    shape: tuple[int, int],
    seed: int = 0,
) -> tuple[Array, Array]:
    """Return row scores, shape (U_1, C, R), and column scores, (U_2, C, R), of every class.

    Their product summed over R predicts what is left in a cell beyond the additive fit.

    Parameters
    ----------
    rows, columns : ndarray of shape (M,)
        The cells, sorted by row.
    residuals : ndarray of shape (M, C)
    shape : tuple of int
        Rows and columns.
    seed : int
        Of the start.
    """
    n_classes = residuals.shape[1]
    size = np.sqrt(np.mean(residuals**2, axis=0))
    size[size == 0] = 1.0
    residuals = residuals / size
    rank = min(RANK, min(shape) - 1)
    place = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=shape[0]))])
    place = place.astype(np.int32)

    def on_cells(values: Array) -> scipy.sparse.csr_matrix:
        return scipy.sparse.csr_matrix((values, columns, place), shape=shape)

    met = on_cells(np.ones(len(rows)))
    met_transposed = met.T.tocsr()
    by_class = [on_cells(np.ascontiguousarray(residuals[:, c])) for c in range(n_classes)]
    transposed = [m.T.tocsr() for m in by_class]
    n_partners = np.maximum(met.getnnz(axis=1), 1)[:, None]
    y = [_start(m, rank, seed) for m in by_class]
    x = [m @ scores / n_partners for m, scores in zip(by_class, y, strict=True)]
    y_products = [_with_spread(scores, 0.0) for scores in y]
    scale = np.ones((n_classes, rank))
    total = np.full(n_classes, float(len(rows)))
    noise, left, before = np.ones(n_classes), np.empty(n_classes), total
    for _ in range(_SWEEPS):
        # Classes have nothing in common but when to stop.
        for c in range(n_classes):
            gram, pull = met @ y_products[c], by_class[c] @ y[c]
            x[c], x_products = _posterior(gram, pull, noise[c], 1.0 / scale[c])
            scale[c] = np.maximum(x_products.mean(axis=0)[_DIAGONAL[:rank]], 1e-6)
            gram, pull = met_transposed @ x_products, transposed[c] @ x[c]
            y[c], y_products[c] = _posterior(gram, pull, noise[c], np.ones(rank))
            explained = 2 * np.einsum("wk,wk->", y[c], pull) - _inner(y_products[c], gram, rank)
            left[c] = max(total[c] - explained, 1e-9 * total[c])
        noise = left / len(rows)
        if (np.abs(left - before) <= _TOLERANCE * left).all():
            break
        before = left.copy()
    return np.stack(x, axis=1) * size[:, None], np.stack(y, axis=1)


def _start(cells: scipy.sparse.csr_matrix, rank: int, seed: int) -> Array:
    vectors = np.random.default_rng(seed).normal(size=(cells.shape[1], rank))
    for _ in range(3):
        vectors = np.linalg.qr(cells.T @ (cells @ vectors))[0]
    return np.asarray(vectors * np.sqrt(cells.shape[1]))


# A symmetric matrix of R by R is held as its lower triangle, row by row, for each item in a row.
_PAIRS = [(i, j) for i in range(RANK) for j in range(i + 1)]
_NUMBER = {pair: k for k, pair in enumerate(_PAIRS)}
_DIAGONAL = [_NUMBER[i, i] for i in range(RANK)]


def _with_spread(scores: Array, spread: Array | float) -> Array:
    """Return the means of the products of scores, shape (U, K); `spread` is their covariance."""
    rank = scores.shape[1]
    columns = np.ascontiguousarray(scores.T)
    entries = np.stack([columns[i] * columns[j] for i, j in _PAIRS[: rank * (rank + 1) // 2]])
    entries += spread
    return np.ascontiguousarray(entries.T)


def _inner(products: Array, others: Array, rank: int) -> float:
    """Return the sum of all products of the entries of two sets of matrices."""
    of_entries = np.einsum("uk,uk->k", products, others)
    return float(2 * of_entries.sum() - of_entries[_DIAGONAL[:rank]].sum())


def _posterior(gram: Array, pull: Array, noise: float, precision: Array) -> tuple[Array, Array]:
    """Return means of the scores, shape (U, R), and means of their products, shape (U, K)."""
    rank = pull.shape[1]
    # All matrices are inverted at once, which is many times as fast as one by one.
    inverse, columns = np.ascontiguousarray(gram.T), np.ascontiguousarray(pull.T)
    inverse[_DIAGONAL[:rank]] += (precision * noise)[:, None]
    _invert(inverse, rank)
    scores = np.zeros_like(columns)
    for i in range(rank):
        for j in range(rank):
            scores[i] += inverse[_NUMBER[max(i, j), min(i, j)]] * columns[j]
    means = np.ascontiguousarray(scores.T)
    return means, _with_spread(means, inverse * noise)


def _invert(matrices: Array, rank: int) -> None:
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
