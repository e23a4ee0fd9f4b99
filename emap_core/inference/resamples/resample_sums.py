"""What resamples make of a grid: sums and mean squares, from one reading of it.

The grid is an additive part, close to its additive projection, plus a residual. What a resample
makes of the additive part follows from its effects alone, in float64. Only the residual needs
products with all cells. These have the precision of the cells: 32 bits for a grid of 32-bit
numbers. Offsets and large effects cost no digits, because the residual has none. A sum over a
resample is off by far less, for each cell, than the cells themselves.

Everything is a sum over copies rather than a mean, and effects have few binary digits. So the sums
of cells with few digits, such as votes or ranks, are exact, and so are their ties.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from emap_core.decomposition import Decomposition
from emap_core.inference.resamples.items import Items
from emap_core.types import AnyArray, Array, Index

# Cells of one class at a time.
_ELEMENTS_OF_PLANE = 2**21
# Cells whose intermediate results stay in the cache.
_ELEMENTS_IN_CACHE = 2**15
# A unit is at least so small a part of the largest effect, and of the mean: then effects have few
# binary digits even if the residuals are nothing but rounding.
_OF_EFFECT, _OF_MEAN = 2.0**-26, 2.0**-52
# More steps along the diagonal save hardly any more products.
_STEPS = 4


@dataclass(frozen=True, eq=False)
class Additive:
    """The additive part of a grid, classes first.

    Attributes
    ----------
    rows, columns : Items
    mean : ndarray of shape (C,)
    row_effect, column_effect : ndarray of shape (C, U_1) and (C, U_2)
        What each row and each column adds to the mean.
    logits : ndarray of shape (C, N)
        Of the examples.
    unit : ndarray of shape (C,)
        Means and effects are multiples of it: a power of 2, about as large as residuals.
    """

    rows: Items
    columns: Items
    mean: Array
    row_effect: Array
    column_effect: Array
    logits: Array
    unit: Array

    @classmethod
    def of(cls, decomposition: Decomposition) -> Additive:
        """Return the additive part of a decomposition."""
        d = decomposition
        row_effect, column_effect = (d.row_mean - d.mean).T, (d.column_mean - d.mean).T
        largest = np.maximum(abs(row_effect).max(axis=1), abs(column_effect).max(axis=1))
        least = np.maximum(_OF_EFFECT * largest, _OF_MEAN * abs(d.mean))
        size = np.maximum(np.sqrt(d.sums_of_squares[-1]), least)
        unit = 2.0 ** np.floor(np.log2(np.where(size > 0, size, 1.0)))
        return cls(
            Items(d.row_index, len(d.row_share)),
            Items(d.column_index, len(d.column_share)),
            _rounded(d.mean, unit),
            _rounded(row_effect, unit[:, None]),
            _rounded(column_effect, unit[:, None]),
            np.ascontiguousarray(d.logits.T),
            unit,
        )

    def residual(self, cells: AnyArray, rows: Index | slice, c: int) -> AnyArray:
        """Return what some rows, shape (A, U_2, C), have beyond it in a class, shape (A, U_2).

        In units, so that the square of a small residual is not lost in float32.
        """
        found = np.empty(cells.shape[:2], precision_of(cells))
        level = self.row_effect[c, rows, None] + self.mean[c]
        step = max(1, _ELEMENTS_IN_CACHE // cells.shape[1])
        for start in range(0, len(cells), step):
            part = slice(start, start + step)
            values = cells[part, :, c].astype(np.float64)
            values -= level[part]
            values -= self.column_effect[c]
            values *= 1.0 / self.unit[c]
            found[part] = values
        return found

    def common_residual(self, cells: AnyArray, rows: Index | slice) -> AnyArray:
        """Return the mean of `residual` over classes in the largest unit, shape (A, U_2)."""
        found = np.zeros(cells.shape[:2], precision_of(cells))
        for c, factor in enumerate(self.unit / self.unit.max() / len(self.unit)):
            plane = self.residual(cells, rows, c)
            plane *= plane.dtype.type(factor)
            found += plane
        return found


def _rounded(values: Array, unit: Array) -> Array:
    return np.asarray(np.rint(values / unit) * unit)


def precision_of(cells: AnyArray) -> np.dtype[Any]:
    """Return the type of products with cells: float32 or float64."""
    return np.result_type(cells.dtype, np.float32)


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over the copies in B resamples, classes first.

    Attributes
    ----------
    total : ndarray of shape (B,)
        The number of copies.
    row_weight, column_weight : ndarray of shape (B, U_1) and (B, U_2)
        How many have each row and each column.
    row_sum, column_sum : ndarray of shape (C, B, U_1) and (C, B, U_2)
        The sum of the residuals of a row with the column of every copy, and vice versa.
    squares : ndarray of shape (C, B)
        The mean square of the residuals; if centred, minus their mean over classes.
    """

    total: Array
    row_weight: Array
    column_weight: Array
    row_sum: AnyArray
    column_sum: AnyArray
    squares: Array

    def of(self, part: slice) -> Sums:
        """Return the sums of some resamples."""
        return Sums(
            self.total[part],
            self.row_weight[part],
            self.column_weight[part],
            self.row_sum[:, part],
            self.column_sum[:, part],
            self.squares[:, part],
        )

    @classmethod
    def read(cls, grid: Any, additive: Additive, weights: Array, centred: bool) -> Sums:
        """Return the sums of a grid under each of B weightings; see `reproject`."""
        of_rows, of_columns = additive.rows.sums(weights), additive.columns.sums(weights)
        total = weights.sum(axis=1)
        squares = np.zeros((len(additive.unit), len(weights)))
        # What all classes share is as large in each.
        scales = np.full_like(additive.unit, additive.unit.max()) if centred else additive.unit
        row_sum = column_sum = np.empty(0)
        each = np.arange(additive.rows.size)
        for rows, cells in _blocks(grid):
            kind = precision_of(cells)
            if not row_sum.size:
                row_sum = np.empty((len(squares), *of_rows.shape), kind)
                column_sum = np.zeros((len(squares), *of_columns.shape), kind)
            p, q = of_rows[:, rows].astype(kind), of_columns.astype(kind)
            common = additive.common_residual(cells, rows) if centred else None
            same = of_rows is of_columns and np.array_equal(each[rows], each)
            product = np.empty(column_sum.shape[1:], kind)
            for c, unit in enumerate(additive.unit):
                plane = additive.residual(cells, rows, c)
                row_sum[c][:, rows] = q @ plane.T
                column_sum[c] += np.matmul(p, plane, out=product)
                if common is not None:
                    plane *= kind.type(unit / scales[c])
                    plane -= common
                np.square(plane, out=plane)
                squares[c] += _weighed(p, plane, q, same) * (scales[c] / total) ** 2
        return cls(total, of_rows, of_columns, row_sum, column_sum, squares)

    def sums_of_squares(self, additive: Additive, centred: bool) -> Array:
        """Return the variance that row, column and interaction carry, shape (B, 3, C)."""
        row, of_rows, mean = _of_side(
            self.row_weight, self.row_sum, additive.row_effect, additive.unit, centred
        )
        column, of_columns, _ = _of_side(
            self.column_weight, self.column_sum, additive.column_effect, additive.unit, centred
        )
        # The additive part has no interaction.
        interaction = self.squares - of_rows - of_columns + mean**2
        return np.moveaxis(np.maximum([row, column, interaction], 0.0), 2, 0)


def _weighed(p: AnyArray, cells: AnyArray, q: AnyArray, same: bool) -> AnyArray:
    """Return the sum of p_u q_w times cell (u, w), shape (B,), for weights of shape (B, U).

    If both weights are the `same`, so are those of cells on both sides of the diagonal, which are
    added first: that saves almost half of the products.
    """
    found = np.zeros(len(p))
    step = -(-len(cells) // _STEPS) if same else cells.shape[1]
    for start in range(0, cells.shape[1], step):
        part, rows = slice(start, start + step), slice(start + step) if same else slice(None)
        some = cells[rows, part]
        if start and same:
            some = some.copy()
            some[:start] += cells[part, :start].T
        found += np.einsum("bw,bw->b", p[:, rows] @ some, q[:, part])
    return found


def _of_side(
    weight: Array, sums: AnyArray, effect: Array, units: Array, centred: bool
) -> tuple[Array, Array, Array]:
    """Return the variance of a side's means, and mean square and mean of those of the residuals.

    Each has shape (C, B).
    """
    total, kind = weight.sum(axis=1), sums.dtype
    scales, common = units, None
    if centred:
        scales = np.full_like(units, units.max())
        common = np.einsum("c,cbu->bu", (units / scales / len(units)).astype(kind), sums)
        effect = effect - effect.mean(axis=0)
    effect = effect / scales[:, None]
    levels, squares = effect @ weight.T / total, effect**2 @ weight.T / total
    of_each = weight.astype(kind)
    found = np.empty((3, len(units), len(total)))
    for c, scale in enumerate(scales):
        own = sums[c] if common is None else sums[c] * kind.type(units[c] / scale) - common
        weighed = of_each * own
        square = np.einsum("bu,bu->b", weighed, own) / total**3
        factors = np.array([np.ones_like(effect[c]), effect[c]], kind)
        mean, product = (weighed @ factors.T).T / total**2
        variance = squares[c] + 2.0 * product + square - (levels[c] + mean) ** 2
        found[:, c] = variance * scale**2, square * scale**2, mean * scale
    return found[0], found[1], found[2]


def _blocks(grid: Any) -> Iterable[tuple[Index | slice, AnyArray]]:
    if hasattr(grid, "strips"):
        yield from grid.strips()
        return
    cells = grid if np.ndim(grid) == 3 else np.asarray(grid)[:, :, None]
    step = max(1, _ELEMENTS_OF_PLANE // cells.shape[1])
    for start in range(0, cells.shape[0], step):
        stop = min(start + step, cells.shape[0])
        yield slice(start, stop), cells[start:stop]
