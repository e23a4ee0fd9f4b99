"""What interacts with what: the leading products of a row score and a column score.

Source: the additive main effects and multiplicative interaction (AMMI) model and its biplot,
Gauch, "Model selection and validation for yield trials with interaction", Biometrics 44 (1988).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emap_core.decomposition.rounding import noise_of_logits
from emap_core.types import Array, Index

_CHUNK = 4_000_000
"""Cells worked on at a time: 32 MB of float64."""


@dataclass(frozen=True, eq=False)
class Modes:
    """The leading modes of the interaction of one class, largest first.

    The interaction of row u with column w is approximately the sum over modes k of
    ``singular_values[k] * row_scores[u, k] * column_scores[w, k]``: a row and a column at the
    same end of a mode raise the logit together, at opposite ends they lower it.

    Attributes
    ----------
    singular_values : ndarray of shape (K,)
        Root mean square, over all recombinations, of what each mode adds; in units of the logits.
    shares : ndarray of shape (K,)
        Share of the interaction's variance over all recombinations explained by each mode.
    row_scores : ndarray of shape (U_1, K)
        Mean 0 and variance 1, weighted by how often each row is used.
    column_scores : ndarray of shape (U_2, K)
        The same for columns.
    variance : float
        Variance of the interaction over all recombinations.
    """

    singular_values: Array
    shares: Array
    row_scores: Array
    column_scores: Array
    variance: float

    def __len__(self) -> int:
        return len(self.singular_values)

    def interaction(self, k: int, row: int, column: int) -> float:
        """Return what mode `k` adds to the logit of a row with a column."""
        product = self.row_scores[row, k] * self.column_scores[column, k]
        return float(self.singular_values[k] * product)

    def of_examples(self, k: int, row_index: Index, column_index: Index) -> Array:
        """Return what mode `k` adds to the logit of each example, shape (N,)."""
        products = self.row_scores[row_index, k] * self.column_scores[column_index, k]
        return np.asarray(self.singular_values[k] * products)

    def row_ends(self, k: int, count: int = 5) -> tuple[Index, Index]:
        """Return the rows with the highest scores of mode `k` and those with the lowest.

        At most `count` of each, the most extreme first; no row is at both ends.
        """
        return _ends(self.row_scores[:, k], count)

    def column_ends(self, k: int, count: int = 5) -> tuple[Index, Index]:
        """Return the columns with the highest scores of mode `k` and those with the lowest."""
        return _ends(self.column_scores[:, k], count)


def interaction_modes(
    cells: NDArray[Any],
    row_share: Array,
    column_share: Array,
    *,
    count: int = 6,
    seed: int = 0,
    overwrite: bool = False,
    noise: float | None = None,
) -> Modes:
    """Return the leading modes of the interaction in one class's grid of logits.

    The interaction is weighted by the square roots of the shares of its row and column before
    its singular value decomposition, so that variances are over all recombinations.

    Parameters
    ----------
    cells : ndarray of shape (U_1, U_2)
        Logits of one class; for softmax tasks minus their mean over classes.
    row_share, column_share : ndarray of shape (U_1,) and (U_2,)
        Shares of the examples that use each row and each column.
    count : int
        Modes wanted; fewer if the interaction has fewer, none without an interaction beyond the
        rounding of the logits.
    seed : int
        Of the randomised decomposition.
    overwrite : bool
        Work inside `cells` and leave it changed, which halves the memory for a large grid.
    noise : float, optional
        Size below which the interaction of a cell is rounding, see `Decomposition.noise`; by
        default that of float32 logits.
    """
    p, q = np.asarray(row_share, dtype=np.float64), np.asarray(column_share, dtype=np.float64)
    if noise is None:
        noise = float(noise_of_logits(cells.reshape(-1, 1)).item())
    # Modes are root mean squares, and the noise is the most that one cell is off by.
    noise /= 2

    row_mean, column_mean = np.empty(len(p)), np.zeros(len(q))
    for rows, part in _chunks(cells):
        row_mean[rows] = part @ q
        column_mean += p[rows] @ part
    weighted = cells if overwrite else np.empty(cells.shape, _working_type(cells))
    variance = 0.0
    for rows, part in _chunks(cells):
        part -= row_mean[rows, None]
        part -= column_mean - p @ row_mean
        part *= np.sqrt(np.outer(p[rows], q))
        variance += float(np.square(part).sum())
        weighted[rows] = part

    rank = min(cells.shape) - 1
    if variance <= noise**2 or rank < 1:
        return _no_modes(cells.shape, 0.0 if variance <= noise**2 else variance)
    # Loading it takes longer than a page that shows no modes.
    from sklearn.utils.extmath import randomized_svd

    left, values, right = randomized_svd(
        weighted, n_components=min(count, rank), n_iter=7, random_state=seed
    )
    kept = values > noise
    values = values[kept].astype(np.float64)
    row_scores = _unweighted(left[:, kept], p)
    column_scores = _unweighted(right[kept].T, q)
    return Modes(
        singular_values=values,
        shares=np.minimum(values**2 / variance, 1.0),
        row_scores=row_scores * (signs := _signs(row_scores)),
        column_scores=column_scores * signs,
        variance=variance,
    )


def _chunks(cells: NDArray[Any]) -> Iterator[tuple[slice, Array]]:
    step = max(1, _CHUNK // max(1, cells.shape[1]))
    for start in range(0, len(cells), step):
        rows = slice(start, start + step)
        yield rows, np.array(cells[rows], dtype=np.float64)


def _working_type(cells: NDArray[Any]) -> Any:
    return np.float64 if cells.size <= _CHUNK else np.float32


def _unweighted(vectors: NDArray[Any], shares: Array) -> Array:
    # A row that no example uses has no weight in the decomposition, and no score.
    scale = np.sqrt(np.where(shares > 0, shares, np.inf))
    return np.asarray(vectors, dtype=np.float64) / scale[:, None]


def _signs(scores: Array) -> Array:
    # The sign of a singular vector is arbitrary; the most extreme row gets the positive end.
    extreme = np.abs(scores).argmax(axis=0)
    return np.where(scores[extreme, np.arange(scores.shape[1])] < 0, -1.0, 1.0)


def _ends(scores: Array, count: int) -> tuple[Index, Index]:
    order = np.argsort(-scores, kind="stable")
    return order[scores[order] > 0][:count], order[scores[order] < 0][::-1][:count]


def _no_modes(shape: tuple[int, ...], variance: float) -> Modes:
    none = np.empty(0)
    return Modes(none, none, np.empty((shape[0], 0)), np.empty((shape[1], 0)), variance)
