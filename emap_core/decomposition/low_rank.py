"""A few products of a row score and a column score, fitted to the evaluated cells of a grid.

Source: variational Bayes for matrix factorisation, Lim & Teh, "Variational Bayesian approach to
movie rating prediction", KDD Cup and Workshop 2007. Its priors shrink scores that few cells support
and switch off products that none support.
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

from emap_core.types import Array

Floats = NDArray[np.float32]

RANK = 4
_SWEEPS = 15
_TOLERANCE = 3e-3
_LEAST_NOISE = 1e-6
# Inverted side by side, which is many times as fast as one by one, and few enough for the cache.
_MATRICES = 2**13


def fit_products(
    rows: NDArray[np.int32],
    columns: NDArray[np.int32],
    residuals: Array,
    shape: tuple[int, int],
    seed: int = 0,
) -> tuple[Floats, Floats]:
    """Return row scores, shape (U_1, C, R), and column scores, (U_2, C, R), of every class.

    Their product summed over R predicts what is left in a cell beyond the additive fit.
    They are computed in 32 bits: a control variate needs no more, since its error stays in what
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
    y = [_start(m, rank, seed) for m in by_class]
    y_products = [_with_spread(scores, 0.0) for scores in y]
    scale, noise = np.ones((n_classes, rank)), np.ones(n_classes)
    x: list[Floats] = [np.empty(0, np.float32)] * n_classes
    total = np.full(n_classes, float(len(rows)))
    left, before = np.empty(n_classes), total
    for _ in range(_SWEEPS):
        # Classes only share when to stop.
        for c in range(n_classes):
            gram, pull = met @ y_products[c], by_class[c] @ y[c]
            x[c], x_products = _posterior(gram, pull, noise[c], 1.0 / scale[c])
            scale[c] = np.maximum(x_products.mean(axis=0, dtype=np.float64)[_DIAGONAL[:rank]], 1e-6)
            gram, pull = met_transposed @ x_products, transposed[c] @ x[c]
            y[c], y_products[c] = _posterior(gram, pull, noise[c], np.ones(rank))
            explained = 2 * _sums(y[c], pull).sum() - _inner(y_products[c], gram, rank)
            left[c] = max(total[c] - explained, _LEAST_NOISE * total[c])
        noise = left / len(rows)
        if (np.abs(left - before) <= _TOLERANCE * left).all():
            break
        before = left.copy()
    return np.stack(x, axis=1) * size.astype(np.float32)[:, None], np.stack(y, axis=1)


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
    means, products = np.empty_like(pull), np.empty_like(gram)
    prior = (precision * noise).astype(np.float32)[:, None]
    for start in range(0, len(pull), _MATRICES):
        part = slice(start, start + _MATRICES)
        inverse, columns = (np.ascontiguousarray(side[part].T) for side in (gram, pull))
        inverse[_DIAGONAL[:rank]] += prior
        _invert(inverse, rank)
        for i in range(rank):
            of_row = [inverse[_NUMBER[max(i, j), min(i, j)]] for j in range(rank)]
            score = of_row[0] * columns[0]
            for j in range(1, rank):
                score += of_row[j] * columns[j]
            means[part, i] = score
        inverse *= np.float32(noise)
        products[part] = _with_spread(means[part], inverse)
    return means, products


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
