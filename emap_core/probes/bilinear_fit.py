"""Which units of one side interact with which of the other, from outputs for masked pairs.

Outputs G[S, T] for masked texts S with masked images T are fitted by a function linear in the units
of each side: G ≈ [1 | S] B [1 | T]ᵀ. The entries of B outside its first row and column are the
order-2 Banzhaf interactions between the sides (Tsai, Yeh and Ravikumar, 2203.00870, call them
faithful): exactly with all masks, as estimates with some. Terms of one side alone drop out, so they
are the same for the model's output and for its interaction term.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emap_core.probes.masks import ALL, Masks
from emap_core.types import Array


@dataclass(frozen=True, eq=False)
class Bilinear:
    """The fit of masked outputs by units of two sides.

    Attributes
    ----------
    coefficients : ndarray of shape (1 + W, 1 + P)
        B. Row and column 0 do not depend on which units are kept.
    interaction_errors : ndarray of shape (W, P)
        Standard errors of the interactions: how much other masks would change them. 0 with all
        masks; rather too large than too small with few units.
    explained : float
        R² on held-out masks: the share of the changes by masking that the fit predicts. NaN if
        there are too few masks to hold any out, or masking changes nothing.
    """

    coefficients: Array
    interaction_errors: Array
    explained: float

    @property
    def interactions(self) -> Array:
        """What each pair of units adds that neither adds alone, shape (W, P)."""
        return self.coefficients[1:, 1:]

    @property
    def row_share(self) -> float:
        """The row units' share of the sum of all units' absolute order-1 Banzhaf values.

        The text share of MM-SHAP (Parcalabescu and Frank, 2212.08158) with Banzhaf weights; NaN if
        no unit changes anything.
        """
        rows = self.coefficients[1:, 0] + self.interactions.sum(axis=1) / 2
        columns = self.coefficients[0, 1:] + self.interactions.sum(axis=0) / 2
        ours, theirs = float(np.abs(rows).sum()), float(np.abs(columns).sum())
        rounding = 1e-12 * float(np.abs(self.coefficients).max()) * self.coefficients.size
        return ours / (ours + theirs) if ours + theirs > rounding else float("nan")


@dataclass(frozen=True, eq=False)
class Effects:
    """What the units of one side do by themselves, and what the other side adds.

    Attributes
    ----------
    alone : ndarray of shape (n_units,)
        What keeping a unit adds to the mean over many items of the other side.
    with_other : ndarray of shape (n_units,)
        What it adds beyond that with the example's own other side, unmasked.
    """

    alone: Array
    with_other: Array


def fit_bilinear(grid: Array, rows: Masks, columns: Masks) -> Bilinear:
    """Fit the outputs for masked pairs.

    Parameters
    ----------
    grid : ndarray of shape (K, L)
        The output for each masked item of one side with each of the other.
    rows, columns : Masks
        The K masks and the L masks.
    """
    grid = np.asarray(grid, dtype=np.float64)[rows.fitted, columns.fitted]
    fits = _fit(rows.design), _fit(columns.design)
    # The errors from each side's masks, with the other side fitted, are nearly independent.
    variances = _variances(grid @ fits[1][1:].T, rows)
    variances = variances + _variances((fits[0][1:] @ grid).T, columns).T
    return Bilinear(fits[0] @ grid @ fits[1].T, np.sqrt(variances), _explained(grid, rows, columns))


def fit_effects(grid: Array, alone: Array, masks: Masks) -> Effects:
    """Return what single row units do, by themselves and with the other side.

    Parameters
    ----------
    grid : ndarray of shape (K, L)
        As for `fit_bilinear`, with these units in its rows.
    alone : ndarray of shape (K,)
        For each mask, the mean output over items of the other side.
    masks : Masks
        Masks of the rows.
    """
    fit = _fit(masks.design)
    by_itself: Array = (fit @ np.asarray(alone, dtype=np.float64)[masks.fitted])[1:]
    with_example: Array = (fit @ np.asarray(grid[masks.fitted, ALL], dtype=np.float64))[1:]
    return Effects(by_itself, with_example - by_itself)


def agreement(one: Array, other: Array) -> float:
    """Return the correlation of two maps' entries, from −1 to 1; NaN if one is constant."""
    a, b = np.ravel(one), np.ravel(other)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def _fit(design: Array) -> Array:
    """Return the matrix of a least-squares fit."""
    return np.asarray(np.linalg.pinv(design), dtype=np.float64)


def _variances(outputs: Array, masks: Masks) -> Array:
    """Return the variance of each unit's coefficient over other masks, shape (n_units, q).

    White's (1980) estimate with the correction of MacKinnon and White (1985, HC2), for pairs of
    complements, which share a residual.

    Parameters
    ----------
    outputs : ndarray of shape (len(masks.fitted), q)
    masks : Masks
    """
    n_units, n_pairs = masks.n_units, len(masks.design) // 2
    if masks.exhaustive:
        return np.zeros((n_units, outputs.shape[1]))
    fit = _fit(masks.design)
    left = outputs - masks.design @ (fit @ outputs)
    # What a mask and its complement share does not affect a unit's coefficient.
    weights = fit[1:, ::2] - fit[1:, 1::2]
    by_pair = ((left[::2] - left[1::2]) / 2) ** 2
    drawn = len(masks.design) / 2.0**n_units
    # An array with as many pairs as units leaves no residual to judge by.
    free = 1 - n_units / n_pairs
    if free <= 0:
        return np.full((n_units, outputs.shape[1]), np.inf)
    return np.asarray((1 - drawn) * (weights**2 @ by_pair) / free)


def _explained(grid: Array, rows: Masks, columns: Masks) -> float:
    """Return R² on cells whose masks the fit has not seen, on both sides unless these are all."""
    if not all(side.exhaustive or side.splits for side in (rows, columns)):
        return float("nan")
    missed = varied = 0.0
    whole = grid.mean()
    for fitted_rows, held_rows in _halves(rows):
        for fitted_columns, held_columns in _halves(columns):
            fits = _fit(rows.design[fitted_rows]), _fit(columns.design[fitted_columns])
            coefficients = fits[0] @ grid[fitted_rows, fitted_columns] @ fits[1].T
            predicted = rows.design[held_rows] @ coefficients @ columns.design[held_columns].T
            actual = grid[held_rows, held_columns]
            missed += float(((actual - predicted) ** 2).sum())
            varied += float(((actual - whole) ** 2).sum())
    scale = float(np.abs(grid).max(initial=0.0))
    if varied <= grid.size * (1e-12 * scale) ** 2:
        return float("nan")
    return 1.0 - missed / varied


def _halves(masks: Masks) -> list[tuple[slice, slice]]:
    """Return the fitted masks to fit and those to hold out, in turn."""
    if masks.exhaustive:
        return [(slice(None), slice(None))]
    half = len(masks.design) // 2
    first, second = slice(half), slice(half, None)
    return [(first, second), (second, first)]
