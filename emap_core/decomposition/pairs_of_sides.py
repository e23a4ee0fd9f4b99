"""What products of the scores of two items predict of cells that they were not fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from emap_core.decomposition.cell_pattern import CellPattern
from emap_core.decomposition.design import MATCHED
from emap_core.decomposition.design_of_sides import DesignOfSides
from emap_core.decomposition.low_rank import fit_products
from emap_core.decomposition.many_way import ManyWayLayout
from emap_core.types import Array, Index

FEWEST_CELLS = 48
"""In how many cells an item has to be: with 32 the standard errors came out a quarter too small.

There are three pairs of three sides, and half of the cells to fit them all to.
"""
_ROUNDS = 3


class ControlsOfPairs:
    """Fits to one half of the cells that predict in the other half what pairs of sides add.

    The examples' own cells have a part in both fits, and get the mean of both predictions.
    Predictions are centred over all recombinations, so that taking them off leaves the means.

    Parameters
    ----------
    design : DesignOfSides
    """

    def __init__(self, design: DesignOfSides) -> None:
        self._matched = design.rounds == MATCHED
        self._own = [~self._matched & (design.rounds % 2 == half) for half in range(2)]
        self._layouts = [
            ManyWayLayout(design.items, design.shares, design.weights * ~own) for own in self._own
        ]
        self._pairs = list(combinations(range(len(design.sizes)), 2))

    def predict(self, design: DesignOfSides, values: Array, seed: int) -> list[Array]:
        """Return what each pair of sides predicts at each cell, of shape (K, C)."""
        found = [np.zeros_like(values) for _ in self._pairs]
        for own, layout in zip(self._own, self._layouts, strict=True):
            products = self._fitted(design, layout, values, seed)
            for predicted, one in zip(found, products, strict=True):
                predicted[own] = one[own]
                predicted[self._matched] += one[self._matched] / len(self._own)
        return found

    def _fitted(
        self, design: DesignOfSides, layout: ManyWayLayout, values: Array, seed: int
    ) -> list[Array]:
        """Return the products of each pair at all cells, fitted to those with weight.

        Means and the products of each pair are fitted in turns, each to what the others leave.
        """
        fold = layout.weights > 0
        products = [np.zeros_like(values) for _ in self._pairs]
        left = values.copy()
        for _ in range(_ROUNDS):
            for place, pair in enumerate(self._pairs):
                means, mean = layout.project(left, 1e-6)
                left += products[place]
                rest = (left - layout.at(means, mean))[fold]
                items = [design.items[side] for side in pair]
                shares = [design.shares[side] for side in pair]
                products[place] = _products(items, shares, rest, fold, seed)
                left -= products[place]
        return products


def _products(
    items: Sequence[Index],
    shares: Sequence[Array],
    rest: Array,
    fold: NDArray[np.bool_],
    seed: int,
) -> Array:
    """Return the products of centred scores of two sides at all cells, shape (K, C)."""
    first, second = (one[fold].astype(np.int32) for one in items)
    order = np.argsort(first, kind="stable")
    sizes = len(shares[0]), len(shares[1])
    scores = fit_products(CellPattern(first[order], second[order], sizes), rest[order], seed)
    x, y = (
        one - np.einsum("u,ucr->cr", share, one) for one, share in zip(scores, shares, strict=True)
    )
    found = np.zeros((len(fold), rest.shape[1]))
    # One class and product at a time: what is gathered stays small.
    for c in range(found.shape[1]):
        for r in range(x.shape[2]):
            found[:, c] += x[:, c, r][items[0]] * y[:, c, r][items[1]]
    return found
