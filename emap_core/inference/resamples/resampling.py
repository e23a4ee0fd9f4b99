"""Resamples of data; each computes the projection anew.

An example drawn twice weighs 2. The weights give the shares of rows and columns, and these give
every mean of the grid. All copies of an example are in its cell, so leaving out the cell leaves out
all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from emap_core.decomposition import Decomposition
from emap_core.decomposition.rounding import settle
from emap_core.inference.resamples.many_sides import ReprojectionOfSides, reproject_sides
from emap_core.inference.resamples.resample_sums import Additive, Sums
from emap_core.types import Array

_BYTES_OF_MEANS = 2**28
_ELEMENTS_OF_SCORES = 2**21
# Some resamples at a time: many enough that calls take no time, few enough for the cache.
_ELEMENTS_OF_PART, _ELEMENTS_OF_PLANE = 2**19, 2**15
# Shares are quotients, so a row that every copy uses may miss 1 by a few roundings.
_NOTHING_LEFT = 1e-12


_PROJECTIONS = ("emap", "emap_leave_one_out", "text_only", "image_only")

_Read = TypeVar("_Read")


@dataclass(frozen=True, eq=False)
class Reprojection:
    """B resamples of the same N examples.

    Attributes
    ----------
    weights : ndarray of shape (B, N)
    sums_of_squares : ndarray of shape (B, 3, C)
        Variance that row, column and interaction carry.
    n_degenerate : int
        Resamples with a single row or column.
    """

    weights: Array
    sums_of_squares: Array
    n_degenerate: int
    _decomposition: Decomposition
    _additive: Additive
    _sums: Sums

    @property
    def scores(self) -> dict[str, Array]:
        """The scores of all resamples, each of shape (B, N, C).

        Under ``emap``, ``emap_leave_one_out``, ``text_only`` and ``image_only``. If a resample has
        a single row or column, nothing can be left out, and plain means replace them.
        """
        parts = self.read(lambda scores: scores)
        return {name: np.concatenate([part[name] for part in parts]) for name in _PROJECTIONS}

    def read(
        self, reader: Callable[[dict[str, Array]], _Read], pool: Executor | None = None
    ) -> list[_Read]:
        """Apply a function to the scores of a few resamples at a time; return results in order.

        So the scores of all resamples, which are large, need not be in memory at once.

        Parameters
        ----------
        reader : callable
            Called with `scores` of some resamples; in memory, the scores of a class are contiguous.
        pool : Executor, optional
            Threads that share the work.
        """
        n_examples, n_classes = self._decomposition.logits.shape
        step = max(1, min(_ELEMENTS_OF_PLANE, _ELEMENTS_OF_PART // n_classes) // n_examples)
        parts = [slice(start, start + step) for start in range(0, len(self.weights), step)]

        def read(part: slice) -> _Read:
            return reader(_scores(self._decomposition, self._additive, self._sums.of(part)))

        return list((pool.map if pool else map)(read, parts))


def reproject(
    grid: Any,
    decomposition: Decomposition,
    weights: Array,
    *,
    centred: bool = False,
) -> Iterator[Reprojection | ReprojectionOfSides]:
    """Yield the projections under each of B weightings, a bounded number of them at a time.

    For more than two sides, see `reproject_sides`.

    Parameters
    ----------
    grid : ndarray of shape (U_1, U_2, C), or an object with ``strips()``
        ``strips()`` yields numbers of rows, shape (A,), and their rows, shape (A, U_2, C), so
        that a grid on disk is never read whole. It is read once for some hundreds of resamples.
    decomposition : Decomposition
        Of the same grid.
    weights : ndarray of shape (B, N)
    centred : bool
        Whether sums of squares are those of the logits minus their mean over classes.
    """
    if len(decomposition.sides) != 2:
        yield from reproject_sides(grid, decomposition, weights, centred=centred)
        return
    additive = Additive.of(decomposition)
    n_examples, n_classes = decomposition.logits.shape
    n_items = additive.rows.size + additive.columns.size
    outer = max(1, _BYTES_OF_MEANS // (8 * n_classes * n_items))
    # Several at a time even if one alone is large, so that they can be compared.
    inner = max(8, _ELEMENTS_OF_SCORES // (n_examples * n_classes))
    for start in range(0, len(weights), outer):
        some = weights[start : start + outer]
        sums = Sums.read(grid, additive, some, centred)
        for first in range(0, len(some), inner):
            part = slice(first, first + inner)
            of_part = sums.of(part)
            yield Reprojection(
                some[part],
                of_part.sums_of_squares(additive, centred),
                int(_is_single(of_part).sum()),
                decomposition,
                additive,
                of_part,
            )


def _is_single(sums: Sums) -> NDArray[np.bool_]:
    """Return which resamples have a single row or column, shape (B,)."""
    highest = np.maximum(sums.row_weight.max(axis=1), sums.column_weight.max(axis=1))
    return np.asarray(highest > sums.total * (1.0 - _NOTHING_LEFT))


def _scores(decomposition: Decomposition, additive: Additive, sums: Sums) -> dict[str, Array]:
    """Return the scores of some resamples, each of shape (B, N, C), one class after the other.

    Each is a quotient of sums over copies, so that the same sum is the same score.
    """
    rows, columns, total = additive.rows, additive.columns, sums.total[:, None]
    same_row = rows.at_examples(sums.row_weight)
    same_column = columns.at_examples(sums.column_weight)
    of_row, of_column = _LeftOut(same_row, total), _LeftOut(same_column, total)
    # r⁻ + c⁻ − μ⁻ is the plain projection without its share of the own cell.
    of_cell = _LeftOut(total * (same_row + same_column) - same_row * same_column, total**2)
    of_rows = sums.row_weight @ additive.row_effect.T
    of_columns = sums.column_weight @ additive.column_effect.T
    planes = np.empty((len(_PROJECTIONS), len(additive.mean), *same_row.shape))
    emap, leave_one_out, text_only, image_only = planes
    for c, mean in enumerate(additive.mean):
        logits = additive.logits[c]
        row_level = rows.at_examples(additive.row_effect[c]) + mean
        column_level = columns.at_examples(additive.column_effect[c]) + mean
        row = np.multiply(sums.row_sum[c], additive.unit[c], dtype=np.float64)
        column = np.multiply(sums.column_sum[c], additive.unit[c], dtype=np.float64)
        of_all = np.einsum("bu,bu->b", sums.row_weight, row)
        row, column = rows.at_examples(row), columns.at_examples(column)
        both = row + column
        both *= total
        both += _levels(total**2, row_level + column_level - mean, -of_all)
        np.divide(both, total**2, out=emap[c])
        of_cell.leave_out(both, logits, leave_one_out[c])
        row += _levels(total, row_level, of_columns[:, c])
        of_column.leave_out(row, logits, text_only[c])
        column += _levels(total, column_level, of_rows[:, c])
        of_row.leave_out(column, logits, image_only[c])
    scores = dict(zip(_PROJECTIONS, np.moveaxis(planes, 1, 3), strict=True))
    near = decomposition.within_rounding
    if len(near):
        logits, noise = decomposition.logits[near], decomposition.noise
        for values in scores.values():
            values[:, near] = settle(values[:, near], logits, noise)
    return scores


def _levels(total: Array, level: Array, further: Array) -> Array:
    """Return the sums of a level, (N,), and of further numbers, (B,), over copies, (B, N)."""
    # A product of matrices takes a third of the time of two sums.
    return np.column_stack([total, further]) @ np.stack([level, np.ones_like(level)])


class _LeftOut:
    """How many copies of a sum are of the own cell, in each of B resamples, shape (B, N)."""

    def __init__(self, own: Array, total: Array) -> None:
        self._own = np.where(own < total * (1.0 - _NOTHING_LEFT), own, 0.0)
        self._rest = total - self._own

    def leave_out(self, sums: Array, logits: Array, into: Array) -> None:
        """Write means without the own cell, or the means themselves if nothing would be left."""
        np.multiply(self._own, logits, out=into)
        np.subtract(sums, into, out=into)
        into /= self._rest
