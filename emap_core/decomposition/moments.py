"""Weighted means and sums of squares of a grid, gathered tile by tile without cancellation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Weight, mean and centred sum of squares of a part of the grid.

    Parts merge pairwise after Chan, Golub & LeVeque (1983), so that a large common offset
    costs no digits, which it would with a sum of squares minus a squared sum.

    Attributes
    ----------
    weight : float
        Sum of the cell weights p_u q_w of the part.
    mean : ndarray of shape (C,)
        Weighted mean of the cells.
    squares : ndarray of shape (C,)
        Weighted sum of squared deviations from `mean`.
    """

    weight: float
    mean: Array
    squares: Array

    @classmethod
    def zero(cls, n_classes: int) -> Moments:
        """Return the moments of no cells at all."""
        return cls(0.0, np.zeros(n_classes), np.zeros(n_classes))

    @classmethod
    def of(cls, cells: Array, text_share: Array, image_share: Array) -> Moments:
        """Return the moments of one tile.

        Parameters
        ----------
        cells : ndarray of shape (A, B, C)
        text_share : ndarray of shape (A,)
        image_share : ndarray of shape (B,)
        """
        weight = float(text_share.sum() * image_share.sum())
        if weight == 0.0:
            return cls.zero(cells.shape[2])
        mean = np.einsum("a,b,abc->c", text_share, image_share, cells, optimize=True) / weight
        # A second pass over the deviations takes what rounding left in the first mean.
        deviation = cells - mean
        rest = np.einsum("a,b,abc->c", text_share, image_share, deviation, optimize=True) / weight
        np.square(deviation, out=deviation)
        squares = np.einsum("a,b,abc->c", text_share, image_share, deviation, optimize=True)
        return cls(weight, mean + rest, np.maximum(squares - weight * rest**2, 0.0))

    def merge(self, other: Moments) -> Moments:
        """Return the moments of both parts together."""
        weight = self.weight + other.weight
        if weight == 0.0:
            return self
        delta = other.mean - self.mean
        mean = self.mean + delta * (other.weight / weight)
        between = delta**2 * (self.weight * other.weight / weight)
        return Moments(weight, mean, self.squares + other.squares + between)
