"""Which units of one side interact with which of the other, from outputs for masked pairs.

Outputs G[S, T] of masked texts S with masked images T are fitted by what is linear in the units of
each side: G ≈ [1 | S] B [1 | T]ᵀ. The entries of B beside its first row and column are the order-2
Banzhaf interactions between the sides (Tsai, Yeh and Ravikumar, 2203.00870, call them faithful):
exactly so with all masks, estimates with some. Terms of one side alone drop out of them, so they
are those of the model's output and of its interaction term alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emap_core.probes.masks import ALL, Masks
from emap_core.types import Array

_FOLDS = 4
_PAIRS_PER_COEFFICIENT = 1.2
"""How many pairs of masks a fit has to be left with for what is held out to test it."""


@dataclass(frozen=True, eq=False)
class Bilinear:
    """The fit of masked outputs by units of two sides.

    Attributes
    ----------
    coefficients : ndarray of shape (1 + W, 1 + P)
        B. Row and column 0 belong to what is there whatever is kept.
    standard_errors : ndarray of shape (1 + W, 1 + P)
        How far B would differ with other masks; 0 where these are all of them.
    explained : float
        R² on held-out masks: the share of what masking changes that the fit predicts. NaN where
        there are too few masks to hold any out, or masking changes nothing.
    """

    coefficients: Array
    standard_errors: Array
    explained: float

    @property
    def interactions(self) -> Array:
        """What each pair of units adds that neither adds alone, shape (W, P)."""
        return self.coefficients[1:, 1:]

    @property
    def interaction_errors(self) -> Array:
        """Standard errors of `interactions`, shape (W, P)."""
        return self.standard_errors[1:, 1:]

    @property
    def row_share(self) -> float:
        """Share of the rows' units in the sum of all units' absolute order-1 Banzhaf values.

        The text share of MM-SHAP (Parcalabescu and Frank, 2212.08158) with Banzhaf weights; NaN
        where no unit changes anything.
        """
        rows = self.coefficients[1:, 0] + self.interactions.sum(axis=1) / 2
        columns = self.coefficients[0, 1:] + self.interactions.sum(axis=0) / 2
        ours, theirs = float(np.abs(rows).sum()), float(np.abs(columns).sum())
        rounding = 1e-12 * float(np.abs(self.coefficients).max()) * self.coefficients.size
        return ours / (ours + theirs) if ours + theirs > rounding else float("nan")


@dataclass(frozen=True, eq=False)
class Effects:
    """What the units of one side do without the other, and what it adds.

    Attributes
    ----------
    alone : ndarray of shape (n_units,)
        By themselves: what keeping a unit adds to the mean over many items of the other side.
    with_other : ndarray of shape (n_units,)
        What it adds beyond that where the other side is the example's own, whole.
    """

    alone: Array
    with_other: Array


def fit_bilinear(
    grid: Array, rows: Masks, columns: Masks, *, n_resamples: int = 50, seed: int = 0
) -> Bilinear:
    """Return the fit of outputs for masked pairs.

    Parameters
    ----------
    grid : ndarray of shape (K, L)
        The output for each masked item of one side with each of the other.
    rows, columns : Masks
        Of K and of L masks.
    n_resamples, seed : int
        Of the standard errors: pairs of masks are weighted at random (a Bayesian bootstrap).
    """
    grid = np.asarray(grid, dtype=np.float64)
    fitted = np.linalg.pinv(rows.design) @ grid @ np.linalg.pinv(columns.design).T
    return Bilinear(
        fitted,
        _standard_errors(grid, rows, columns, n_resamples, seed),
        _explained(grid, rows, columns),
    )


def fit_effects(grid: Array, alone: Array, masks: Masks) -> Effects:
    """Return what single units of the rows do, by themselves and with the other side.

    Parameters
    ----------
    grid : ndarray of shape (K, L)
        As for `fit_bilinear`, the units in question in its rows.
    alone : ndarray of shape (K,)
        For each mask, the mean output over items of the other side.
    masks : Masks
        Of the rows.
    """
    fit: Array = np.asarray(np.linalg.pinv(masks.design), dtype=np.float64)
    by_itself: Array = (fit @ np.asarray(alone, dtype=np.float64))[1:]
    with_example: Array = (fit @ np.asarray(grid[:, ALL], dtype=np.float64))[1:]
    return Effects(by_itself, with_example - by_itself)


def agreement(one: Array, other: Array) -> float:
    """Return the correlation of the entries of two maps, from −1 to 1; NaN where one is flat."""
    a, b = np.ravel(one), np.ravel(other)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def _standard_errors(
    grid: Array, rows: Masks, columns: Masks, n_resamples: int, seed: int
) -> Array:
    if (rows.exhaustive and columns.exhaustive) or n_resamples < 2:
        return np.zeros((rows.n_units + 1, columns.n_units + 1))
    draws = np.random.default_rng(seed)
    found = [
        _weighted_fit(rows, draws) @ grid @ _weighted_fit(columns, draws).T
        for _ in range(n_resamples)
    ]
    return np.asarray(np.std(found, axis=0, ddof=1))


def _weighted_fit(masks: Masks, draws: np.random.Generator) -> Array:
    """Return the matrix of a least-squares fit, pairs of masks weighted at random."""
    if masks.exhaustive:
        return np.asarray(np.linalg.pinv(masks.design))
    weights = np.repeat(draws.exponential(size=masks.n_pairs), 2)
    # All and no units are among the masks by design, not by chance.
    weights[:2] = 1.0
    weighted = masks.design * weights[:, None]
    return np.asarray(np.linalg.pinv(weighted.T @ masks.design, hermitian=True) @ weighted.T)


def _explained(grid: Array, rows: Masks, columns: Masks) -> float:
    """Return R² of cells whose masks no fit has seen, on both sides where there are enough."""
    folds = [_folds(side) for side in (rows, columns)]
    if all(fold is None for fold in folds):
        return float("nan")
    missed = varied = 0.0
    whole = grid.mean()
    for number in range(_FOLDS):
        held = [
            np.ones(len(side), dtype=bool) if fold is None else fold == number
            for fold, side in zip(folds, (rows, columns), strict=True)
        ]
        used = [
            np.ones(len(side), dtype=bool) if fold is None else fold != number
            for fold, side in zip(folds, (rows, columns), strict=True)
        ]
        fits = [
            np.linalg.pinv(side.design[own])
            for side, own in zip((rows, columns), used, strict=True)
        ]
        fitted = fits[0] @ grid[np.ix_(*used)] @ fits[1].T
        predicted = rows.design[held[0]] @ fitted @ columns.design[held[1]].T
        actual = grid[np.ix_(*held)]
        missed += float(((actual - predicted) ** 2).sum())
        varied += float(((actual - whole) ** 2).sum())
    scale = float(np.abs(grid).max(initial=0.0))
    if varied <= grid.size * (1e-12 * scale) ** 2:
        return float("nan")
    return 1.0 - missed / varied


def _folds(masks: Masks) -> NDArray[np.intp] | None:
    """Return a fold for each mask, complements together; None where too few would be left.

    The pair of all and no units is in no fold, −1: other masks say little of such extremes.
    """
    left = (masks.n_pairs - 1) * (1 - 1 / _FOLDS)
    if left < _PAIRS_PER_COEFFICIENT * (masks.n_units + 1):
        return None
    pairs = np.arange(masks.n_pairs - 1) % _FOLDS
    if masks.exhaustive:
        # They are in order, and a fold of one order would leave out a unit's every change.
        pairs = np.random.default_rng(0).permutation(pairs)
    return np.concatenate([[-1, -1], np.repeat(pairs, 2)])
