"""The items of one side, and the examples that have them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from emap_core.types import AnyArray, Array, Index


@dataclass(frozen=True, eq=False)
class Items:
    """The U items of one side of N examples.

    Attributes
    ----------
    index : ndarray of int, shape (N,)
        The number of each example's item.
    size : int
        U.
    """

    index: Index
    size: int

    @cached_property
    def _in_order(self) -> bool:
        return np.array_equal(self.index, np.arange(self.size))

    def sums(self, weights: Array) -> Array:
        """Return the weights of items, shape (B, U), from those of examples, shape (B, N)."""
        if self._in_order:
            return weights
        place = self.index + self.size * np.arange(len(weights))[:, None]
        sums = np.bincount(place.ravel(), weights.ravel(), len(weights) * self.size)
        return np.asarray(sums.reshape(len(weights), self.size))

    def at_examples(self, values: AnyArray) -> AnyArray:
        """Return values of items, shape (..., U), at the examples, shape (..., N).

        They are the same array, not a copy, if every example has an item of its own, in order.
        """
        return values if self._in_order else np.take(values, self.index, axis=-1)
