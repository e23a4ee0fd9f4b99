"""Interactions predicted from encoded rows and columns, subtracted before an additive fit.

A bilinear form of leading principal components (Hotelling 1933) of both sides, its coefficients
under one normal prior per class. The prior's width maximises the marginal likelihood (MacKay,
"Bayesian interpolation", Neural Computation 4, 1992), additive effects projected out first (Frisch
& Waugh 1933; Lovell 1963).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from emap_core.decomposition.two_way import TwoWayLayout
from emap_core.types import Array

MOST_COMPONENTS = 24
_FEWEST_COMPONENTS = 4
# Elements of the products of components over all cells: more cells mean fewer components.
_PRODUCT_ELEMENTS = 2**28
_ELEMENTS = 2**22
_SMALLEST_VARIANCE = 1e-9
_PENALTIES = np.logspace(-5.0, 2.0, 29)
# Their error enters the coefficients squared.
_TOLERANCE = 1e-4


@dataclass(frozen=True, eq=False)
class EncodingVectors:
    """A model's encodings of rows and columns, one vector each.

    Attributes
    ----------
    rows : ndarray of shape (U_1, D_1)
    columns : ndarray of shape (U_2, D_2)
    """

    rows: NDArray[np.floating]
    columns: NDArray[np.floating]


def leading_components(encodings: NDArray[np.floating], share: Array, n_cells: int) -> Array:
    """Return the leading principal components of one side, shape (U, k), centred by `share`.

    Their scale is the square root of their standard deviation: halfway between raw components,
    which a few would dominate, and whitened ones, in which noise weighs as much as signal.

    Parameters
    ----------
    encodings : ndarray of shape (U, D)
    share : ndarray of shape (U,)
    n_cells : int
        Evaluated cells. k is 24, or less for more than about 400,000 cells.
    """
    k = min(max(isqrt(_PRODUCT_ELEMENTS // n_cells), _FEWEST_COMPONENTS), MOST_COMPONENTS)
    values = np.asarray(encodings, dtype=np.float64)
    largest = np.abs(values).max(initial=0.0)
    values = values / (largest if largest > 0 else 1.0)
    values = values - share @ values
    root = np.sqrt(share)[:, None]
    # The smaller of the two Gram matrices has the same eigenvalues.
    if values.shape[1] <= len(values):
        variance, vectors = np.linalg.eigh((values * share[:, None]).T @ values)
        vectors = vectors[:, ::-1][:, :k]
        scores = values @ vectors
    else:
        variance, vectors = np.linalg.eigh((values * root) @ (values * root).T)
        vectors = vectors[:, ::-1][:, :k]
        scores = vectors / root * np.sqrt(np.maximum(variance[::-1][:k], 0.0))
    variance = variance[::-1][:k]
    kept = variance > _SMALLEST_VARIANCE * max(float(variance[0]), 1e-300)
    scores = scores[:, kept] / variance[kept] ** 0.25
    # The sign of a component is arbitrary, and the fit does not depend on it.
    return np.asarray(scores - share @ scores)


class EncodingProducts:
    """A bilinear form of components, for many sets of values on the same cells.

    Parameters
    ----------
    layout : TwoWayLayout
        The cells it is fitted to, without those that have no weight.
    rows, columns : ndarray of shape (U_1, k) and (U_2, l)
        Centred components of both sides.
    """

    def __init__(self, layout: TwoWayLayout, rows: Array, columns: Array) -> None:
        self._layout = layout
        self._rows, self._columns = rows, columns
        gram = self._gram() - self._gram_of_additive_part()
        eigenvalues, self._vectors = np.linalg.eigh((gram + gram.T) / 2.0)
        self._eigenvalues = np.maximum(eigenvalues, 0.0)
        self._freedom = int((layout.weights > 0).sum()) - len(rows) - len(columns) + 1

    def fit(self, values: Array) -> Array:
        """Return row scores of shape (U_1, C, l), whose products with `columns` predict values.

        Parameters
        ----------
        values : ndarray of shape (M, C)
            For every cell of the design; those without weight do not count.
        """
        n_classes = values.shape[1]
        scores = np.zeros((len(self._rows), n_classes, self._columns.shape[1]))
        top = self._eigenvalues.max(initial=0.0)
        if self._freedom < 1 or top <= 0.0:
            return scores
        layout, n = self._layout, self._freedom
        left = values - layout.at(*layout.project(values, 1e-6))
        weighted = layout.weights[:, None] * left
        pull = np.stack(
            [
                (self._rows.T @ (layout.on_cells(weighted[:, c]) @ self._columns)).ravel()
                for c in range(n_classes)
            ],
            axis=1,
        )
        squares = np.einsum("mc,mc->c", weighted, left)
        pull = self._vectors.T @ pull
        penalties = top * _PENALTIES
        shrunk = self._eigenvalues[:, None] + penalties  # (K, L)
        rest = squares[:, None] - pull.T**2 @ (1.0 / shrunk)  # (C, L)
        rest = np.maximum(rest, 1e-12 * squares[:, None] + 1e-300)
        evidence = -n * np.log(rest / n) - np.log(shrunk / penalties).sum(axis=0)
        best = penalties[evidence.argmax(axis=1)]
        coefficients = self._vectors @ (pull / (self._eigenvalues[:, None] + best))
        shape = (self._rows.shape[1], self._columns.shape[1], n_classes)
        form = coefficients.reshape(shape)
        return np.asarray(np.einsum("uk,klc->ucl", self._rows, form, optimize=True))

    def _gram(self) -> Array:
        """Return the weighted sums of squares of all products of components."""
        x, y = self._rows, self._columns
        k, width = x.shape[1], y.shape[1]
        both = (y[:, :, None] * y[:, None, :]).reshape(len(y), -1)
        gram = np.zeros((k * k, width * width))
        step = max(1, _ELEMENTS // max(k * k, width * width))
        for start in range(0, len(x), step):
            part = slice(start, start + step)
            of_rows = (x[part, :, None] * x[part, None, :]).reshape(-1, k * k)
            gram += of_rows.T @ (self._layout.cells[part] @ both)
        gram = gram.reshape(k, k, width, width).transpose(0, 2, 1, 3)
        return np.asarray(gram.reshape(k * width, k * width))

    def _gram_of_additive_part(self) -> Array:
        """Return the weighted sums of squares of what additive effects explain of the products."""
        layout, x, y = self._layout, self._rows, self._columns
        met_columns, met_rows = layout.cells @ y, layout.cells_transposed @ x
        k, width = x.shape[1], y.shape[1]
        gram = np.zeros((k * width, k * width))
        n = len(x) + len(y)
        of_rows, of_columns = (
            (one[:, :, None] * other[:, None, :]).reshape(len(one), -1)
            for one, other in ((x, met_columns), (met_rows, y))
        )
        step = max(1, _ELEMENTS // n)
        for start in range(0, k * width, step):
            part = slice(start, start + step)
            a = of_rows[:, part] / layout.row_weight
            right = of_columns[:, part] - layout.cells_transposed @ a
            b = layout.solve(right, _TOLERANCE)
            a -= (layout.cells @ b) / layout.row_weight
            gram[:, part] = of_rows.T @ a + of_columns.T @ b
        return gram
