"""The projection of a large grid of many sides from only some of its cells, with its error.

Like `emap_core.decomposition.incomplete` for two sides: least squares, each cell weighted by
what it stands for (Horvitz & Thompson, JASA 1952), and draws of the error from residuals with
random signs, the wild bootstrap (Liu, Annals of Statistics 16, 1988). What products of two items'
scores predict of other cells is taken off first. Every item is in many cells, but hardly any two
items share more than one: what sets of several sides carry is only known in total, not for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emap_core.decomposition.design_of_sides import DesignOfSides
from emap_core.decomposition.incomplete import (
    SampledFit,
    fit_cells,
    values_of_cells,
    weighted_variances,
)
from emap_core.decomposition.many_way import ManyWayLayout
from emap_core.decomposition.pairs_of_sides import FEWEST_CELLS, ControlsOfPairs
from emap_core.decomposition.projection import Decomposition
from emap_core.decomposition.rounding import noise_of_logits
from emap_core.decomposition.sets_of_sides import Sides, all_sets
from emap_core.types import Array, Index


@dataclass(frozen=True, eq=False)
class SampledSides(Decomposition):
    """A decomposition of many sides whose means are estimates from only some of the cells.

    Sums of squares of single sides are free of the noise in their means. Means of sets of several
    sides, and the variance that each of these sets carries, are NaN.

    Attributes
    ----------
    all_variance : ndarray of shape (C,)
        Variance over all recombinations.
    centred_side_squares : ndarray of shape (M, C)
        Variance of the logits minus their mean over classes that terms of single sides carry.
    """

    all_variance: Array = field(kw_only=True)
    centred_side_squares: Array = field(kw_only=True)

    @classmethod
    def of_known(
        cls,
        sides: Sides,
        *,
        logits: Array,
        mean: Array,
        side_means: tuple[Array, ...],
        shares: tuple[Array, ...],
        index: tuple[Index, ...],
        side_squares: Array,
        centred_side_squares: Array,
        all_variance: Array,
        centred_variance: Array,
        noise: Array | None = None,
    ) -> SampledSides:
        """Return the decomposition, with NaN for what is unknown of sets of several sides.

        Parameters
        ----------
        sides : tuple of str
        side_squares : ndarray of shape (M, C)
            Variance that the terms of single sides carry.
        logits, mean, side_means, shares, index, centred_side_squares, all_variance, \
centred_variance, noise
            See the class.
        """
        joint = [some for some in all_sets(sides)[:-1] if len(some) > 1]
        return cls(
            sides=sides,
            logits=logits,
            mean=mean,
            side_means=side_means,
            shares=shares,
            index=index,
            sums_of_squares=_with_unknown(side_squares),
            centred_variance=centred_variance,
            joint_means={some: np.full_like(logits, np.nan) for some in joint},
            centred_joint_squares={some: np.full_like(mean, np.nan) for some in joint},
            noise=noise_of_logits(logits) if noise is None else noise,
            all_variance=all_variance,
            centred_side_squares=centred_side_squares,
        )

    @property
    def side_squares(self) -> Array:
        """Variance that the terms of single sides carry, shape (M, C)."""
        return np.asarray(self.sums_of_squares[: len(self.sides)])

    @property
    def knows_sets(self) -> bool:
        """No: for sets of several sides, only the total they carry is known."""
        return False

    @property
    def interaction_squares(self) -> Array:
        """Variance that the terms of all sets of several sides carry, shape (C,)."""
        return np.asarray(np.maximum(self.all_variance - self.side_squares.sum(axis=0), 0.0))

    @property
    def variance(self) -> Array:
        """Variance of the logits over all recombinations, shape (C,)."""
        return np.asarray(self.side_squares.sum(axis=0) + self.interaction_squares)

    @cached_property
    def pooled_terms(self) -> dict[Sides, float]:
        """Shares of single sides in the variance summed over classes; NaN for other sets."""
        known = [*map(float, self.pooled_shares[:-1]), *self._n_unknown * [np.nan]]
        return dict(zip(all_sets(self.sides), known, strict=True))

    @property
    def _n_unknown(self) -> int:
        return len(self.sums_of_squares) - len(self.sides)

    def class_centred(self) -> SampledSides:
        """Return the decomposition of the logits minus their mean over classes."""
        return replace(
            self,
            logits=_centre(self.logits),
            mean=_centre(self.mean),
            side_means=tuple(map(_centre, self.side_means)),
            sums_of_squares=_with_unknown(self.centred_side_squares),
            all_variance=self.centred_variance,
            # Centred logits carry the rounding of all classes.
            noise=np.full_like(self.noise, self.noise.max()),
        )


def fit_sides(
    design: DesignOfSides,
    sides: Sides,
    values: ArrayLike,
    *,
    low_rank: bool = True,
    seed: int = 0,
) -> SampledFit:
    """Fit the projection to the evaluated cells of a design of many sides.

    Parameters
    ----------
    design : DesignOfSides
    sides : tuple of str
        Names of the sides.
    values : array of shape (K, C)
        The model's output for each cell of the design, in its order; it may be a memory map.
    low_rank : bool
        Whether products of free scores of two items are taken off before the additive fit, where
        they predict cells that they were not fitted to and items are in at least 48 cells.
    seed : int
        Of the draws of the error.

    Raises
    ------
    DatasetError
        If `values` does not fit the design or holds a value that is not finite.
    """
    cells = values_of_cells(design, values)
    layout = ManyWayLayout(design.items, design.shares, design.weights)
    controls = None
    if low_rank and design.fraction < 1 and design.cells_per_item >= FEWEST_CELLS:
        controls = ControlsOfPairs(design)
    side_means, mean, noise, explained = fit_cells(design, layout, cells, sides, controls, seed)
    rest = 1.0 - design.fraction
    variance, centred_variance = weighted_variances(layout.weights, cells, mean)
    # A constant logit leaves only rounding errors of its own size; their shares make no sense.
    size = np.max([np.abs(one).max(axis=0) for one in side_means], axis=0)
    varies = variance > (16 * np.finfo(np.float64).eps * size) ** 2
    return SampledFit(
        SampledSides.of_known(
            sides,
            logits=np.asarray(cells[design.example_cells], dtype=np.float64),
            mean=mean,
            side_means=side_means,
            shares=design.shares,
            index=design.index,
            side_squares=varies * _side_squares(design.shares, side_means, mean, noise, rest),
            centred_side_squares=_side_squares(
                design.shares,
                tuple(map(_centre, side_means)),
                _centre(mean),
                [_centre(draws) for draws in noise],
                rest,
            ),
            all_variance=varies * variance,
            centred_variance=centred_variance,
        ),
        noise,
        design.fraction,
        explained,
    )


def _side_squares(
    shares: Sequence[Array],
    means: Sequence[Array],
    mean: Array,
    noise: Sequence[NDArray[np.floating]],
    rest: float,
) -> Array:
    """Return the variance that the terms of single sides carry, free of noise, shape (M, C)."""
    found = [
        share @ (one - mean) ** 2
        - rest * np.mean([share @ np.square(draw, dtype=np.float64) for draw in draws], axis=0)
        for share, one, draws in zip(shares, means, noise, strict=True)
    ]
    return np.maximum(found, 0.0)


def _with_unknown(side_squares: Array) -> Array:
    """Return sums of squares of all sets of sides; NaN for those of several."""
    m, n_classes = side_squares.shape
    return np.vstack([side_squares, np.full((2**m - 1 - m, n_classes), np.nan)])


def _centre(values: NDArray[np.floating]) -> Array:
    return np.asarray(values - values.mean(axis=-1, keepdims=True))
