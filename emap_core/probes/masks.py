"""Masks of the units of one side: which words, regions or stretches of time are kept.

Masks know nothing of what a unit is. Each unit is kept with a chance of one half, so that averages
over masks are averages over all subsets alike, as Banzhaf values are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

ALL, NONE = 0, 1
"""The first two masks of any set: the one that keeps all units, and the one that keeps none."""


@dataclass(frozen=True, eq=False)
class Masks:
    """Masks of one side, each next to the one that keeps just the other units.

    Attributes
    ----------
    keep : ndarray of bool, shape (K, n_units)
        True where a unit is kept; mask 2 k + 1 is the complement of mask 2 k.
    exhaustive : bool
        Whether these are all 2 ** n_units masks, each once.
    """

    keep: NDArray[np.bool_]
    exhaustive: bool

    def __len__(self) -> int:
        return len(self.keep)

    @property
    def n_units(self) -> int:
        """How many units there are to keep or to mask."""
        return int(self.keep.shape[1])

    @property
    def n_pairs(self) -> int:
        """How many pairs of complements there are, the first of all and no units."""
        return len(self.keep) // 2

    def first(self, count: int) -> Masks:
        """Return the first `count` masks, an even number; all where there are no more."""
        return self if count >= len(self) else Masks(self.keep[:count], exhaustive=False)

    @cached_property
    def design(self) -> NDArray[np.float64]:
        """A one and the mask, shape (K, 1 + n_units)."""
        return np.column_stack([np.ones(len(self.keep)), self.keep])


def draw_masks(n_units: int, n_masks: int, seed: int = 0) -> Masks:
    """Return all masks if there are no more than `n_masks`, else that many random ones.

    Parameters
    ----------
    n_units : int
        At least 1.
    n_masks : int
        An even number. The masks of all and of no units come on top of random ones.
    seed : int
    """
    if 2**n_units <= n_masks:
        numbers = np.arange(2 ** (n_units - 1))
        # The last unit is kept in one half of all masks; the others are their complements.
        last = np.ones((len(numbers), 1), dtype=bool)
        others = (numbers[::-1, None] >> np.arange(n_units - 1)) & 1 == 1
        first = np.concatenate([others, last], axis=1)
        return Masks(_beside_complements(first), exhaustive=True)
    drawn = np.random.default_rng(seed).random((n_masks // 2, n_units)) < 0.5
    every = np.ones((1, n_units), dtype=bool)
    return Masks(_beside_complements(np.concatenate([every, drawn])), exhaustive=False)


def _beside_complements(masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.stack([masks, ~masks], axis=1).reshape(-1, masks.shape[1])
