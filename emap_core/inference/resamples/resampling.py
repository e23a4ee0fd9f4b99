"""Resamples of data; each computes the projection anew.

An example drawn twice weighs 2. The weights give the shares of rows and columns, and these give
every mean of the grid. All copies of an example are in its cell, so leaving out the cell leaves out
all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from emap_core.decomposition import Decomposition
from emap_core.decomposition.rounding import settle
from emap_core.inference.resamples.many_sides import ReprojectionOfSides, reproject_sides
from emap_core.types import Array

_BYTES_OF_MEANS = 2**28
_ELEMENTS_OF_SCORES = 2**21
# One class in some resamples at a time, so that intermediate results stay in the cache.
_ELEMENTS_OF_PLANE = 2**14
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
    _logits: Array
    _means: _Means

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
        step = max(1, _ELEMENTS_OF_PLANE // self.weights.shape[1])
        parts = [slice(start, start + step) for start in range(0, len(self.weights), step)]

        def read(part: slice) -> _Read:
            return reader(_scores(self._decomposition, self._logits, self._means.of(part)))

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
    n_rows, n_columns = len(decomposition.row_share), len(decomposition.column_share)
    n_examples, n_classes = decomposition.logits.shape
    # Classes first, like the scores.
    logits = np.ascontiguousarray((decomposition.logits - decomposition.mean).T)
    outer = max(1, _BYTES_OF_MEANS // (8 * n_classes * (n_rows + n_columns)))
    # Several at a time even if one alone is large, so that they can be compared.
    inner = max(8, _ELEMENTS_OF_SCORES // (n_examples * n_classes))
    for start in range(0, len(weights), outer):
        some = weights[start : start + outer]
        means = _means(grid, decomposition, some, centred)
        for first in range(0, len(some), inner):
            part = slice(first, first + inner)
            of_part = (mean[part] for mean in means)
            yield _reprojection(decomposition, logits, some[part], *of_part)


def _means(
    grid: Any, decomposition: Decomposition, weights: Array, centred: bool
) -> tuple[Array, Array, Array, Array, Array]:
    """Return shares, row and column means and sums of squares for each of B weightings."""
    n_resamples = len(weights)
    n_rows, n_columns = len(decomposition.row_share), len(decomposition.column_share)
    n_classes = decomposition.logits.shape[1]
    p = _summed(weights, decomposition.row_index, n_rows)
    q = _summed(weights, decomposition.column_index, n_columns)
    row_mean = np.empty((n_resamples, n_rows, n_classes))
    column_mean = np.zeros((n_resamples, n_columns * n_classes))
    squares = np.zeros((n_resamples, n_classes))
    for rows, cells in _blocks(grid):
        # Deviations from the overall mean keep the sums of squares exact at any offset.
        block = np.asarray(cells, dtype=np.float64) - decomposition.mean
        flat = block.reshape(len(rows), -1)
        of_rows = q @ block.transpose(1, 0, 2).reshape(n_columns, -1)
        row_mean[:, rows] = of_rows.reshape(n_resamples, len(rows), n_classes)
        column_mean += p[:, rows] @ flat
        if centred:
            block -= block.mean(axis=2, keepdims=True)
        np.square(block, out=block)
        weighed = (p[:, rows] @ block.reshape(len(rows), -1)).reshape(n_resamples, n_columns, -1)
        squares += np.einsum("bw,bwc->bc", q, weighed)
    columns = column_mean.reshape(n_resamples, n_columns, n_classes)
    return p, q, row_mean, columns, _split(p, q, row_mean, columns, squares, centred)


def _blocks(grid: Any) -> Iterable[tuple[NDArray[np.intp], Array]]:
    if hasattr(grid, "strips"):
        yield from grid.strips()
        return
    cells = grid if np.ndim(grid) == 3 else np.asarray(grid)[:, :, None]
    step = max(1, _ELEMENTS_OF_SCORES // (cells.shape[1] * cells.shape[2]))
    for start in range(0, cells.shape[0], step):
        stop = min(start + step, cells.shape[0])
        yield np.arange(start, stop), cells[start:stop]


def _summed(weights: Array, index: NDArray[np.intp], size: int) -> Array:
    place = index + size * np.arange(len(weights))[:, None]
    sums = np.bincount(place.ravel(), weights.ravel(), len(weights) * size)
    return np.asarray(sums.reshape(len(weights), size) / weights.sum(axis=1, keepdims=True))


def _split(
    p: Array, q: Array, row_mean: Array, column_mean: Array, squares: Array, centred: bool
) -> Array:
    if centred:
        row_mean = row_mean - row_mean.mean(axis=2, keepdims=True)
        column_mean = column_mean - column_mean.mean(axis=2, keepdims=True)
    mean = np.einsum("bu,buc->bc", p, row_mean)
    row = np.einsum("bu,buc->bc", p, (row_mean - mean[:, None]) ** 2)
    column = np.einsum("bw,bwc->bc", q, (column_mean - mean[:, None]) ** 2)
    rest = np.maximum(squares - mean**2 - row - column, 0.0)
    return np.stack([row, column, rest], axis=1)


def _reprojection(
    decomposition: Decomposition,
    logits: Array,
    weights: Array,
    p: Array,
    q: Array,
    row_mean: Array,
    column_mean: Array,
    sums_of_squares: Array,
) -> Reprojection:
    means = _Means(
        p,
        q,
        np.ascontiguousarray(np.moveaxis(row_mean, 2, 0)),
        np.ascontiguousarray(np.moveaxis(column_mean, 2, 0)),
        np.einsum("bu,buc->cb", p, row_mean),
    )
    single = (p.max(axis=1) > 1.0 - _NOTHING_LEFT) | (q.max(axis=1) > 1.0 - _NOTHING_LEFT)
    return Reprojection(weights, sums_of_squares, int(single.sum()), decomposition, logits, means)


@dataclass(frozen=True, eq=False)
class _Means:
    """Shares and means of B resamples, classes first: (B, U_1), (C, B, U_1), (C, B) and so on."""

    row_share: Array
    column_share: Array
    row_mean: Array
    column_mean: Array
    mean: Array

    def of(self, part: slice) -> _Means:
        """Return the shares and means of some resamples."""
        return _Means(
            self.row_share[part],
            self.column_share[part],
            self.row_mean[:, part],
            self.column_mean[:, part],
            self.mean[:, part],
        )


def _scores(decomposition: Decomposition, logits: Array, means: _Means) -> dict[str, Array]:
    """Return the scores of some resamples, each of shape (B, N, C), one class after the other.

    `logits`, of shape (C, N), are minus the mean over all recombinations, like the means.
    """
    rows, columns = decomposition.row_index, decomposition.column_index
    own_row = np.take(means.row_share, rows, axis=1)
    own_column = np.take(means.column_share, columns, axis=1)
    of_row, of_column = _Share(own_row), _Share(own_column)
    # r⁻ + c⁻ − μ⁻ is the plain projection without its share of the own cell.
    of_cell = _Share(own_row + own_column - own_row * own_column)
    shape = (len(decomposition.mean), *own_row.shape)
    planes = {name: np.empty(shape) for name in _PROJECTIONS}
    for c, offset in enumerate(decomposition.mean):
        row = np.take(means.row_mean[c], rows, axis=1)
        column = np.take(means.column_mean[c], columns, axis=1)
        plain = np.add(row, column, out=planes["emap"][c])
        plain -= means.mean[c, :, None]
        of_cell.leave_out(plain, logits[c], planes["emap_leave_one_out"][c])
        of_column.leave_out(row, logits[c], planes["text_only"][c])
        of_row.leave_out(column, logits[c], planes["image_only"][c])
        for values in planes.values():
            values[c] += offset
    scores = {name: np.moveaxis(values, 0, 2) for name, values in planes.items()}
    rows = decomposition.within_rounding
    if len(rows):
        own, noise = decomposition.logits[rows], decomposition.noise
        for values in scores.values():
            values[:, rows] = settle(values[:, rows], own, noise)
    return scores


class _Share:
    """The own cell's share of a mean, in each of B resamples, shape (B, N)."""

    def __init__(self, own: Array) -> None:
        left = 1.0 - own > _NOTHING_LEFT
        self._own, self._rest = np.where(left, own, 0.0), np.where(left, 1.0 - own, 1.0)

    def leave_out(self, values: Array, logits: Array, into: Array) -> None:
        """Write means without the own cell, or the means themselves if nothing would be left."""
        np.multiply(self._own, logits, out=into)
        np.subtract(values, into, out=into)
        np.divide(into, self._rest, out=into)
