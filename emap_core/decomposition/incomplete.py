"""The projection of a large grid from only some of its cells, with the error this leaves.

Least squares of a(row) + b(column) on an incomplete two-way layout, each cell weighted by what it
stands for (Horvitz & Thompson, JASA 1952). What other cells predict is subtracted first: control
variates, cross-fitted. Draws of the error come from splitting the residuals at random into two
halves, which is the wild bootstrap (Liu, Annals of Statistics 16, 1988).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emap_core.decomposition.design import MATCHED, Design
from emap_core.decomposition.design_of_sides import DesignOfSides
from emap_core.decomposition.low_rank import fit_products
from emap_core.decomposition.predicted_interactions import (
    EncodingProducts,
    EncodingVectors,
    leading_components,
)
from emap_core.decomposition.projection import Decomposition, decompose_sums
from emap_core.decomposition.recombined import Recombined
from emap_core.decomposition.two_way import TwoWayLayout
from emap_core.errors import DatasetError
from emap_core.types import Array

DRAWS = 16
_CLASS_ELEMENTS = 2**25
_CELLS = 2**14
_WORTH = 0.05
_LEAST_LEFT = 0.1
_ROUNDS = 3
_FOLDS = 5
# With fewer, the scores of a row or column cannot be distinguished from noise.
_FEWEST_PARTNERS = 24

_Scores = NDArray[np.floating]
_Items = tuple[NDArray[np.int32], NDArray[np.int32]]
Noise = tuple[NDArray[np.float32], ...]
"""Draws of errors, one array per side."""


@dataclass(frozen=True, eq=False)
class SampledDecomposition(Decomposition):
    """A decomposition whose means are estimates; sums of squares are free of their noise.

    Attributes
    ----------
    noise_variance, centred_noise_variance : ndarray of shape (2, C)
        What the errors of the row means and column means add to the sums of squares of the logits,
        and of the logits minus their mean over classes.
    """

    noise_variance: Array = field(kw_only=True)
    centred_noise_variance: Array = field(kw_only=True)

    def class_centred(self) -> Decomposition:
        """Return the decomposition of the logits minus their mean over classes."""
        plain = super().class_centred()
        sums = plain.sums_of_squares
        effects = np.maximum(sums[:2] - self.centred_noise_variance, 0.0)
        return replace(plain, sums_of_squares=_with_rest(effects, self.centred_variance))


@dataclass(frozen=True, eq=False)
class SampledFit:
    """A projection estimated from a design, with draws of its error.

    Attributes
    ----------
    decomposition : Decomposition
        A `SampledDecomposition`, or `SampledSides` with more than two sides; from the whole grid it
        is the exact one.
    noise : tuple of ndarray of shape (B, U_m, C), float32
        Draws of the error of the means of each side if cells were drawn with replacement: what one
        half of the cells, split at random, differs by from all of them.
    fraction : float
        Share of the grid that was evaluated.
    explained : ndarray of shape (C,)
        Share of the variance beyond the additive fit that predictions from other cells removed.
    recombined : Recombined or None
        The model's answers over all recombinations, estimated from the same cells.
    """

    decomposition: Decomposition
    noise: Noise
    fraction: float
    explained: Array
    recombined: Recombined | None = None

    @property
    def standard_errors(self) -> tuple[Array, ...]:
        """Standard errors of the means of each side from the choice of cells, shape (U_m, C)."""
        return tuple(_spread(draws, self.fraction) for draws in self.noise)


def fit(
    design: Design,
    values: ArrayLike,
    encodings: EncodingVectors | None = None,
    *,
    low_rank: bool = True,
    seed: int = 0,
) -> SampledFit:
    """Fit the projection to the evaluated cells of a design.

    Parameters
    ----------
    design : Design
    values : array of shape (M, C)
        The model's output for each cell of the design, in its order; it may be a memory map.
    encodings : EncodingVectors, optional
        Of the rows and columns. A bilinear form of their components is subtracted before the
        additive fit if it predicts cells that it was not fitted to.
    low_rank : bool
        Whether products of free row and column scores are also subtracted, if either side meets at
        least 24 of the other.
    seed : int
        Of the draws of the error.

    Raises
    ------
    DatasetError
        If `values` does not fit the design or holds a value that is not finite.
    """
    cells = values_of_cells(design, values)
    layout = TwoWayLayout(design, design.weights)
    controls = None if design.fraction >= 1 else _Controls(design, encodings, low_rank)
    (row_mean, column_mean), _, (row_noise, column_noise), explained = fit_cells(
        design, layout, cells, ("row", "column"), controls, seed
    )
    mean = design.row_share @ row_mean
    variance, centred_variance = weighted_variances(layout.weights, cells, mean)
    rest = 1.0 - design.fraction
    noise = _noise_variance(design, row_noise, column_noise) * rest
    centred = _noise_variance(design, _centre(row_noise), _centre(column_noise)) * rest
    effects = np.stack(
        [
            design.row_share @ (row_mean - mean) ** 2,
            design.column_share @ (column_mean - mean) ** 2,
        ]
    )
    raw = decompose_sums(
        logits=np.asarray(cells[design.example_cells], dtype=np.float64),
        mean=mean,
        row_mean=row_mean,
        column_mean=column_mean,
        variance=variance,
        centred_variance=centred_variance,
        row_index=design.row_index,
        column_index=design.column_index,
    )
    decomposition = raw.as_kind(
        SampledDecomposition,
        sums_of_squares=_with_rest(np.maximum(effects - noise, 0.0), variance),
        noise_variance=noise,
        centred_noise_variance=centred,
    )
    return SampledFit(decomposition, (row_noise, column_noise), design.fraction, explained)


class _Layout(Protocol):
    """Least squares of one function per side on the cells of a design."""

    @property
    def leverage(self) -> Array: ...

    def project(
        self, values: Array, tolerance: float = ..., signs: Array | None = ...
    ) -> tuple[tuple[Array, ...], Array]: ...

    def at(self, means: Sequence[Array], mean: Array) -> Array: ...


class _Predicts(Protocol):
    """Control variates: predictions of cells from others, see `_Controls`."""

    def predict(self, design: Any, values: Array, seed: int) -> list[Array]:
        """Return what each control predicts at each cell."""


Fitted = tuple[tuple[Array, ...], Array, Noise, Array]
"""Means of each side, the total mean, draws of errors, and what controls explain."""


def values_of_cells(design: Design | DesignOfSides, values: ArrayLike) -> NDArray[Any]:
    """Return the model's output for each cell of a design, shape (K, C).

    Raises
    ------
    DatasetError
        If `values` does not fit the design.
    """
    cells = np.asarray(values)
    if cells.ndim == 1:
        cells = cells[:, None]
    if cells.ndim != 2 or len(cells) != len(design):
        raise DatasetError(
            f"values have shape {cells.shape}; the design has {len(design)} cells, "
            "expected one row each"
        )
    return cells


def fit_cells(
    design: Design | DesignOfSides,
    layout: _Layout,
    cells: NDArray[Any],
    sides: Sequence[str],
    controls: _Predicts | None,
    seed: int,
) -> Fitted:
    """Fit the means of every side to the values of a design, and draw their errors.

    Parameters
    ----------
    design : Design or DesignOfSides
    layout : TwoWayLayout or ManyWayLayout
        Of all cells of the design.
    cells : ndarray of shape (K, C)
        From `values_of_cells`.
    sides : sequence of str
        What messages call an item of each side.
    controls : object with ``predict``, optional
        What it predicts is taken off first.
    seed : int
        Of the draws.

    Raises
    ------
    DatasetError
        If a value is not finite.
    """
    step = max(1, _CLASS_ELEMENTS // len(design))
    parts = [
        _fit_classes(design, layout, cells[:, c : c + step], sides, controls, seed)
        for c in range(0, cells.shape[1], step)
    ]
    means, mean, noise, explained = zip(*parts, strict=True)
    return (
        tuple(np.concatenate(side, axis=-1) for side in zip(*means, strict=True)),
        np.asarray(np.concatenate(mean)),
        tuple(np.concatenate(side, axis=-1) for side in zip(*noise, strict=True)),
        np.asarray(np.concatenate(explained)),
    )


def _fit_classes(
    design: Design | DesignOfSides,
    layout: _Layout,
    values: NDArray[Any],
    sides: Sequence[str],
    controls: _Predicts | None,
    seed: int,
) -> Fitted:
    offset = np.asarray(values[0], dtype=np.float64)
    centred = np.asarray(values, dtype=np.float64) - offset
    if not np.isfinite(centred).all():
        cell = int(np.argwhere(~np.isfinite(centred))[0][0])
        items: Sequence[NDArray[Any]] = design.items
        where = [f"{side} {one[cell]}" for side, one in zip(sides, items, strict=True)]
        raise DatasetError(f"values hold a number that is not finite for {' with '.join(where)}")
    means, mean = layout.project(centred)
    explained = np.zeros(centred.shape[1])
    if controls is not None:
        residuals = layout.at(means, mean)
        np.subtract(centred, residuals, out=residuals)
        products, explained = predicted(design, centred, residuals, controls, seed)
        centred -= products
        del residuals, products
        means, mean = layout.project(centred)
    noise = tuple(np.zeros((DRAWS, len(one), centred.shape[1]), dtype=np.float32) for one in means)
    if design.fraction < 1:
        centred -= layout.at(means, mean)
        # Residuals are smaller than errors by a cell's influence on its own fit, which is large if
        # an item is in few cells.
        drawn = design.rounds != MATCHED
        centred *= (drawn / np.sqrt(np.maximum(1.0 - layout.leverage, _LEAST_LEFT)))[:, None]
        rng = np.random.default_rng(seed)
        for b in range(DRAWS):
            signs = np.where(rng.integers(0, 2, len(design)) > 0, 1.0, -1.0)
            for one, found in zip(noise, layout.project(centred, 1e-3, signs)[0], strict=True):
                one[b] = found
    return tuple(one + offset for one in means), mean + offset, noise, explained


def predicted(
    design: Design | DesignOfSides, values: Array, residuals: Array, controls: _Predicts, seed: int
) -> tuple[Array, Array]:
    """Return what the controls predict at each cell, and what they explain of each class."""
    drawn = design.rounds != MATCHED
    left = residuals[drawn]
    total = np.einsum("mc,mc->c", left, left)
    products, explained = np.zeros_like(residuals), np.zeros_like(total)
    for one in controls.predict(design, values, seed):
        of_drawn = one[drawn]
        size = np.einsum("mc,mc->c", of_drawn, of_drawn)
        match = np.einsum("mc,mc->c", of_drawn, left)
        scale = np.clip(match / np.where(size > 0, size, 1.0), 0.0, 1.0)
        gain = scale * (2 * match - scale * size) / np.where(total > 0, total, 1.0)
        scale[gain < _WORTH] = 0.0
        of_drawn *= scale
        left -= of_drawn
        one *= scale
        products += one
        explained += np.where(scale > 0, gain, 0.0)
    return products, explained


class _Controls:
    """Fits to a part of the cells that predict the interaction in the others.

    A drawn cell is predicted by a fit that did not use its value. The examples' own cells are
    always evaluated: every fit reads them, and they get the mean of all fits. Predictions are
    centred over all recombinations, so that subtracting them keeps the means.
    """

    def __init__(self, design: Design, encodings: EncodingVectors | None, low_rank: bool) -> None:
        self._low_rank = low_rank and _meets_enough(design)
        # The low-rank fit is the expensive one, so it is made on halves.
        n_folds = 2 if self._low_rank else _FOLDS
        drawn = design.rounds != MATCHED
        own = [drawn & (design.rounds % n_folds == f) for f in range(n_folds)]
        self._own = [cells for cells in own if cells.any()]
        self._matched = ~drawn
        self._layouts = [
            TwoWayLayout(design, np.ones(np.count_nonzero(~cells)), ~cells) for cells in self._own
        ]
        self._sides: tuple[Array, Array] | None = None
        self._bilinear: list[EncodingProducts] = []
        if encodings is not None:
            rows = leading_components(encodings.rows, design.row_share, len(design))
            columns = leading_components(encodings.columns, design.column_share, len(design))
            self._sides = rows, columns
            self._bilinear = [EncodingProducts(one, rows, columns) for one in self._layouts]

    def predict(self, design: Design, values: Array, seed: int) -> list[Array]:
        """Return what each control predicts at each cell, of shape (M, C)."""
        n_controls = (self._sides is not None) + self._low_rank
        found = [np.zeros_like(values) for _ in range(n_controls)]
        n_classes = values.shape[1]
        for f, (own, layout) in enumerate(zip(self._own, self._layouts, strict=True)):
            rest, fits = values[~own], list[tuple[_Scores, _Scores]]()
            if self._sides is not None:
                x, columns = self._bilinear[f].fit(rest), self._sides[1]
                y = np.broadcast_to(columns[:, None], (len(columns), n_classes, columns.shape[1]))
                fits.append((x, y))
                if self._low_rank:
                    rest -= _at_cells(layout.items, x, y)
            if self._low_rank:
                fits.append(_low_rank_fit(layout, rest, seed))
            for predicted, scores in zip(found, fits, strict=True):
                predicted[own] = _at_cells(_kept(design, own), *scores)
                of_matched = _at_cells(_kept(design, self._matched), *scores)
                predicted[self._matched] += of_matched / len(self._own)
        return found


def _meets_enough(design: Design) -> bool:
    """Whether one side meets enough of the other for scores without any other information."""
    partners = max(design.columns_per_row, len(design) / design.shape[1])
    return partners >= _FEWEST_PARTNERS


def _low_rank_fit(layout: TwoWayLayout, values: Array, seed: int) -> tuple[_Scores, _Scores]:
    """Return row and column scores fitted to the cells of a layout.

    Means that use other cells would carry their errors into the fit, and the fit would carry
    them back, where no draw of the error shows it: the standard errors of columns that meet few
    rows would be a sixth too small. Means and products are therefore fitted in turns.
    """

    def fitted_beside(products: Array | float) -> tuple[_Scores, _Scores]:
        left = layout.at(*layout.project(values - products, 1e-6))
        np.subtract(values, left, out=left)
        return fit_products(layout.pattern, left, seed)

    x, y = fitted_beside(0.0)
    for _ in range(_ROUNDS - 1):
        x, y = fitted_beside(_at_cells(layout.items, x, y))
    x -= np.einsum("u,uck->ck", layout.p, x)
    y -= np.einsum("w,wck->ck", layout.q, y)
    return x, y


def _kept(design: Design, cells: NDArray[np.bool_]) -> _Items:
    return design.rows[cells], design.columns[cells]


def _at_cells(items: _Items, x: _Scores, y: _Scores) -> Array:
    rows, columns = items
    found = np.empty((len(rows), x.shape[1]))
    for c in range(x.shape[1]):
        of_rows, of_columns = (np.ascontiguousarray(side[:, c]) for side in (x, y))
        # A few at a time, so that what was gathered is still in the cache when multiplied.
        for start in range(0, len(rows), _CELLS):
            part = slice(start, start + _CELLS)
            gathered = of_rows.take(rows[part], axis=0), of_columns.take(columns[part], axis=0)
            found[part, c] = np.einsum("mk,mk->m", *gathered)
    return found


def weighted_variances(
    weights: Array, cells: NDArray[np.floating], mean: Array
) -> tuple[Array, Array]:
    """Return the variance over all recombinations, and that of centred logits, shape (C,) each."""
    variance, centred = np.zeros((2, len(mean)))
    step = max(1, _CLASS_ELEMENTS // (8 * len(mean)))
    for start in range(0, len(cells), step):
        part = slice(start, start + step)
        off = np.asarray(cells[part], dtype=np.float64) - mean
        variance += weights[part] @ off**2
        off -= off.mean(axis=1, keepdims=True)
        centred += weights[part] @ off**2
    return variance / weights.sum(), centred / weights.sum()


def _noise_variance(
    design: Design, row_noise: NDArray[np.float32], column_noise: NDArray[np.float32]
) -> Array:
    return np.stack(
        [
            np.mean([share @ np.square(draw, dtype=np.float64) for draw in noise], axis=0)
            for share, noise in (
                (design.row_share, row_noise),
                (design.column_share, column_noise),
            )
        ]
    )


def _with_rest(effects: Array, variance: Array) -> Array:
    return np.vstack([effects, np.maximum(variance - effects.sum(axis=0), 0.0)])


def _centre(noise: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(noise - noise.mean(axis=-1, keepdims=True))


def _spread(noise: NDArray[np.float32], fraction: float) -> Array:
    squares = np.mean([np.square(draw, dtype=np.float64) for draw in noise], axis=0)
    return np.asarray(np.sqrt(squares * (1.0 - fraction)))
