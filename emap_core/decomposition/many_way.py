"""Least squares of one function per side on the cells of an incomplete layout of many sides."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import scipy

from emap_core.decomposition.conjugate_gradients import conjugate_gradients
from emap_core.types import Array, Index


class ManyWayLayout:
    """Least squares of a_1(x_1) + … + a_M(x_M) on some cells, for many right-hand sides.

    Parameters
    ----------
    items : sequence of ndarray of shape (K,)
        The cells: numbers of the items, one array per side.
    shares : sequence of ndarray of shape (U_m,)
    weights : ndarray of shape (K,)
    """

    def __init__(self, items: Sequence[Index], shares: Sequence[Array], weights: Array) -> None:
        self.items, self.shares, self.weights = tuple(items), tuple(shares), weights
        n_cells, n_sides = len(weights), len(shares)
        self._starts = np.concatenate([[0], np.cumsum([len(share) for share in shares])])
        columns = np.stack(self.items, axis=1) + self._starts[:-1]
        # Row i selects the effects of the items of cell i.
        self._picks = scipy.sparse.csr_array(
            (np.ones(columns.size), columns.ravel(), np.arange(0, columns.size + 1, n_sides)),
            shape=(n_cells, self._starts[-1]),
        )
        self._sums = self._picks.T.tocsr()
        # An item without weight has a mean of 0, not an undefined one.
        self._weight = np.maximum(self._sums @ weights, 1e-300)[:, None]

    def project(
        self, values: Array, tolerance: float = 1e-13, signs: Array | None = None
    ) -> tuple[tuple[Array, ...], Array]:
        """Return the means of the items of each side, and the total mean, of the additive fit.

        Parameters
        ----------
        values : ndarray of shape (K, C)
        tolerance : float
            Of the residuals of the normal equations.
        signs : ndarray of shape (K,), optional
            What the values of each cell are multiplied by first.

        Returns
        -------
        (tuple of ndarray of shape (U_m, C), ndarray of shape (C,))
        """
        weights = self.weights if signs is None else self.weights * signs
        found = self._solve(self._sums @ (weights[:, None] * values), tolerance)
        effects = [found[start:stop] for start, stop in pairwise(self._starts)]
        # Effects are only determined up to constants that move between sides; means are unique.
        levels = [share @ effect for share, effect in zip(self.shares, effects, strict=True)]
        mean = np.sum(levels, axis=0)
        means = (effect - level + mean for effect, level in zip(effects, levels, strict=True))
        return tuple(means), mean

    def at(self, means: Sequence[Array], mean: Array) -> Array:
        """Return the additive fit of some means at each cell, shape (K, C)."""
        effects = (one[items] - mean for one, items in zip(means, self.items, strict=True))
        return np.asarray(mean + np.sum(list(effects), axis=0))

    @property
    def leverage(self) -> Array:
        """Approximate weight of each cell's own value in its additive fit, shape (K,).

        That of all one-sided means; exact if all cells are there and have the same weight.
        """
        per_item = (self._picks @ (1.0 / self._weight))[:, 0]
        of_total = (len(self.shares) - 1) / self.weights.sum()
        return np.asarray(self.weights * (per_item - of_total))

    def _solve(self, right: Array, tolerance: float) -> Array:
        """Solve the normal equations by conjugate gradients, all columns side by side."""

        def apply(direction: Array) -> Array:
            return np.asarray(self._sums @ (self.weights[:, None] * (self._picks @ direction)))

        return conjugate_gradients(apply, self._weight, right, tolerance)
