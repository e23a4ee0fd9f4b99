"""A few products of a row score and a column score, fitted to the evaluated cells of a grid.

Source: variational Bayes for matrix factorisation, Lim & Teh, "Variational Bayesian approach to
movie rating prediction", KDD Cup and Workshop 2007. Its priors shrink scores that few cells support
and switch off products that none support.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from emap_core.decomposition.cell_pattern import CellPattern
from emap_core.types import Array

Floats = NDArray[np.float32]

RANK = 4
_SWEEPS = 15
_TOLERANCE = 3e-3
_LEAST_NOISE = 1e-6
# Of several classes side by side: one product reads the cells for all of them.
_CLASSES = 8
# Inverted side by side, which is many times as fast as one by one, and few enough for the cache.
_MATRICES = 2**14


def fit_products(cells: CellPattern, residuals: Array, seed: int = 0) -> tuple[Floats, Floats]:
    """Return row scores, shape (U_1, C, R), and column scores, (U_2, C, R), of every class.

    Their product summed over R predicts what is left in a cell beyond the additive fit.
    They are computed in 32 bits: a control variate needs no more, since its error stays in what
    is left, like any other error of a prediction.

    Parameters
    ----------
    cells : CellPattern
    residuals : ndarray of shape (M, C)
    seed : int
        Of the start.
    """
    n_cells, n_classes = residuals.shape
    size = np.sqrt(np.mean(residuals**2, axis=0))
    size[size == 0] = 1.0
    rank = min(RANK, min(cells.shape) - 1)
    ones = np.ones(n_cells, np.float32)
    met, met_transposed = cells.matrix(ones), cells.transposed(ones)
    groups = [
        _Classes(cells, residuals[:, part] / size[part], rank, seed)
        for part in (slice(c, c + _CLASSES) for c in range(0, n_classes, _CLASSES))
    ]
    for _ in range(_SWEEPS):
        settled = [group.sweep(met, met_transposed) for group in groups]
        # Classes only share when to stop.
        if all(settled):
            break
    of_rows, of_columns = cells.place
    x = np.concatenate([group.x.transpose(2, 1, 0)[of_rows] for group in groups], axis=1)
    y = np.concatenate([group.y.transpose(2, 1, 0)[of_columns] for group in groups], axis=1)
    return x * size.astype(np.float32)[:, None], y


class _Classes:
    """Scores of some classes. Rows and columns are in the order of the pattern.

    Attributes
    ----------
    x, y : ndarray of shape (R, C, U_1) and (R, C, U_2)
    """

    def __init__(self, cells: CellPattern, residuals: Array, rank: int, seed: int) -> None:
        by_class = [np.ascontiguousarray(one, np.float32) for one in residuals.T]
        self._residuals = [cells.matrix(one) for one in by_class]
        self._transposed = [cells.transposed(one) for one in by_class]
        n_classes, (n_rows, n_columns) = len(by_class), cells.shape
        self.x = np.empty((rank, n_classes, n_rows), np.float32)
        self.y = np.empty((rank, n_classes, n_columns), np.float32)
        start = np.random.default_rng(seed).normal(size=(n_columns, rank)).astype(np.float32)
        for c in range(n_classes):
            self.y[:, c] = self._start(cells, c, start).T
        self._y_products = np.empty((n_columns, len(_PAIRS[rank]) * n_classes), np.float32)
        for part in _parts(n_columns, n_classes):
            products = np.stack([self.y[i, :, part] * self.y[j, :, part] for i, j in _PAIRS[rank]])
            self._y_products[part] = products.reshape(self._y_products.shape[1], -1).T
        self._scale, self._noise = np.ones((rank, n_classes)), np.ones(n_classes)
        self._total = np.full(n_classes, float(len(residuals)))
        self._left = self._total

    def _start(self, cells: CellPattern, c: int, vectors: Floats) -> Floats:
        (_, order), (_, place) = cells.order, cells.place
        for _ in range(3):
            pulled = self._transposed[c] @ (self._residuals[c] @ vectors[order])
            vectors = np.linalg.qr(pulled[place])[0]
        return np.asarray(vectors[order] * np.float32(np.sqrt(len(vectors))))

    def sweep(self, met: scipy.sparse.csr_matrix, met_transposed: scipy.sparse.csr_matrix) -> bool:
        """Improve the scores once, and return whether that left the errors nearly as they were."""
        precision = 1.0 / self._scale
        gram, pull = met @ self._y_products, _pull(self._residuals, self.y)
        found = _posterior(gram, pull, self._noise, precision, self.x)
        self._scale = np.maximum(found.squares / len(gram), 1e-6)
        gram, pull = met_transposed @ found.products, _pull(self._transposed, self.x)
        found = _posterior(gram, pull, self._noise, np.ones_like(precision), self.y)
        self._y_products = found.products
        left = np.maximum(self._total - found.explained, _LEAST_NOISE * self._total)
        self._noise = left / self._total
        before, self._left = self._left, left
        return bool((np.abs(left - before) <= _TOLERANCE * left).all())


@dataclass(frozen=True)
class _Posterior:
    """What is known of the scores of one side.

    Attributes
    ----------
    products : ndarray of shape (U, K C)
        Means of the products of two scores of an item.
    squares : ndarray of shape (R, C)
        Sums of the means of the squares of scores.
    explained : ndarray of shape (C,)
        How much smaller scores make the sum of squares of the residuals.
    """

    products: Floats
    squares: Array
    explained: Array


# For each item, the lower triangle of a symmetric R by R matrix, row by row.
_PAIRS = [[(i, j) for i in range(rank) for j in range(i + 1)] for rank in range(RANK + 1)]
_NUMBER = {pair: k for k, pair in enumerate(_PAIRS[RANK])}
_DIAGONAL = [_NUMBER[i, i] for i in range(RANK)]


def _parts(n_items: int, n_classes: int) -> Iterator[slice]:
    step = max(1, _MATRICES // n_classes)
    return (slice(start, start + step) for start in range(0, n_items, step))


def _pull(cells: Sequence[scipy.sparse.csr_matrix], scores: Floats) -> Floats:
    """Return the sums of residuals times scores of the other side, shape (R, C, U)."""
    # One score at a time is the fastest: nothing but the sum of an item is written.
    pull = np.empty((*scores.shape[:2], cells[0].shape[0]), np.float32)
    for c, residuals in enumerate(cells):
        for i in range(len(scores)):
            pull[i, c] = residuals @ scores[i, c]
    return pull


def _posterior(
    gram: Floats, pull: Floats, noise: Array, precision: Array, means: Floats
) -> _Posterior:
    """Compute the scores of one side from those of the other, and write their means, (R, C, U).

    Parameters
    ----------
    gram : ndarray of shape (U, K C)
        Sums of the products of two scores over the items of the other side that each item met.
    pull : ndarray of shape (R, C, U)
    noise : ndarray of shape (C,)
    precision : ndarray of shape (R, C)
    means : ndarray of shape (R, C, U)
        Written.
    """
    rank, n_classes, n_items = pull.shape
    pairs, diagonal = _PAIRS[rank], _DIAGONAL[:rank]
    products = np.empty_like(gram)
    prior = (precision * noise).astype(np.float32)[:, :, None]
    squares, explained = np.zeros_like(precision), np.zeros_like(noise)
    for part in _parts(n_items, n_classes):
        of_gram = np.ascontiguousarray(gram[part].T).reshape(len(pairs), n_classes, -1)
        found = of_gram.copy()
        found[diagonal] += prior
        _invert(found, rank)
        scores, pulled = means[:, :, part], pull[:, :, part]
        for i in range(rank):
            of_row = [found[_NUMBER[max(i, j), min(i, j)]] for j in range(rank)]
            np.multiply(of_row[0], pulled[0], out=scores[i])
            for j in range(1, rank):
                scores[i] += of_row[j] * pulled[j]
        found *= noise.astype(np.float32)[:, None]
        for k, (i, j) in enumerate(pairs):
            found[k] += scores[i] * scores[j]
        products[part] = found.reshape(gram.shape[1], -1).T
        squares += found[diagonal].sum(axis=-1, dtype=np.float64)
        found *= of_gram
        entries = found.sum(axis=-1, dtype=np.float64)
        match = (scores * pulled).sum(axis=(0, 2), dtype=np.float64)
        explained += 2 * (match - entries.sum(axis=0)) + entries[diagonal].sum(axis=0)
    return _Posterior(products, squares, explained)


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
