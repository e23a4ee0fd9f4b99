"""Resamples of data with any number of sides; each computes the projections anew.

Like `resampling` for a text and an image: the weights of the examples give the shares of the items
of every side, and these give the means of all sets of sides, from the whole grid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import combinations
from string import ascii_letters
from typing import Any, TypeVar

import numpy as np

from emap_core.decomposition import Decomposition
from emap_core.decomposition.rounding import settle
from emap_core.decomposition.sets_of_sides import product, projection_weights
from emap_core.inference.resamples.items import Items
from emap_core.inference.table.rows import one_sided_rows, order_rows, projections_of
from emap_core.inference.table.score_table import sides_left_out
from emap_core.types import Array, Index

_BYTES_OF_MEANS = 2**28
_ELEMENTS_OF_SCORES = 2**21
# Only some resamples at a time, so that what is read stays in the cache.
_ELEMENTS_OF_PART = 2**17
# Shares are quotients, so an item that every copy uses may miss 1 by a few roundings.
_NOTHING_LEFT = 1e-12

Axes = tuple[int, ...]
"""Numbers of some sides, in order."""

_Read = TypeVar("_Read")


@dataclass(frozen=True, eq=False)
class ReprojectionOfSides:
    """B resamples of the same N examples.

    Attributes
    ----------
    weights : ndarray of shape (B, N)
    sums_of_squares : ndarray of shape (B, 2^M - 1, C)
        Variance that the terms of all sets of sides carry, in the decomposition's order.
    n_degenerate : int
        Resamples with too few items to leave out own ones.
    """

    weights: Array
    sums_of_squares: Array
    n_degenerate: int
    _decomposition: Decomposition
    _shares: Sequence[Array]
    _means: Mapping[Axes, Array]

    @property
    def scores(self) -> dict[str, Array]:
        """The scores of all resamples by the rows of the table, each of shape (B, N, C).

        If a resample leaves nothing to average over, plain means replace them.
        """
        parts = self.read(lambda scores: scores)
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def read(
        self, reader: Callable[[dict[str, Array]], _Read], pool: Executor | None = None
    ) -> list[_Read]:
        """Apply a function to the scores of a few resamples at a time; return results in order.

        Parameters
        ----------
        reader : callable
            Called with `scores` of some resamples.
        pool : Executor, optional
            Threads that share the work.
        """
        step = max(1, _ELEMENTS_OF_PART // self._decomposition.logits.size)
        parts = [slice(start, start + step) for start in range(0, len(self.weights), step)]

        def read(part: slice) -> _Read:
            shares = [share[part] for share in self._shares]
            means = {some: mean[part] for some, mean in self._means.items()}
            return reader(_scores(self._decomposition, shares, means))

        return list((pool.map if pool else map)(read, parts))


def reproject_sides(
    grid: Any, decomposition: Decomposition, weights: Array, *, centred: bool = False
) -> Iterator[ReprojectionOfSides]:
    """Yield the projections under each of B weightings, a bounded number of them at a time.

    Parameters
    ----------
    grid : ndarray of shape (U_1, …, U_M, C) or (U_1, …, U_M), or an object with ``strips()``
        ``strips()`` yields numbers of items of the first side, shape (A,), and their part of the
        grid, shape (A, U_2, …, U_M, C), so that a grid on disk is never read whole.
    decomposition : Decomposition
        Of the same grid.
    weights : ndarray of shape (B, N)
    centred : bool
        Whether sums of squares are those of the logits minus their mean over classes.
    """
    sizes = [len(share) for share in decomposition.shares]
    n_cells = sum(int(np.prod([sizes[k] for k in some])) for some in _sets(len(sizes)))
    # Average squares over the first side first.
    n_cells += int(np.prod(sizes[1:]))
    outer = max(1, _BYTES_OF_MEANS // (8 * decomposition.logits.shape[1] * n_cells))
    inner = max(8, _ELEMENTS_OF_SCORES // decomposition.logits.size)
    left_out = [decomposition.sides.index(side) for side in sides_left_out(decomposition)]
    for start in range(0, len(weights), outer):
        some = weights[start : start + outer]
        total = some.sum(axis=1, keepdims=True)
        shares = [
            Items(index, size).sums(some) / total
            for index, size in zip(decomposition.index, sizes, strict=True)
        ]
        means, squares = _means(grid, decomposition, shares, centred)
        sums = _sums_of_squares(shares, means, squares, centred)
        single = np.array([share.max(axis=1) > 1.0 - _NOTHING_LEFT for share in shares])
        degenerate = single[left_out].any(axis=0) | (single.sum(axis=0) >= len(sizes) - 1)
        for first in range(0, len(some), inner):
            part = slice(first, first + inner)
            yield ReprojectionOfSides(
                some[part],
                sums[part],
                int(degenerate[part].sum()),
                decomposition,
                [share[part] for share in shares],
                {axes: mean[part] for axes, mean in means.items()},
            )


def _sets(n_sides: int) -> list[Axes]:
    """Return every set of sides except that of all, largest first."""
    sizes = range(n_sides - 1, -1, -1)
    return [some for size in sizes for some in combinations(range(n_sides), size)]


def _means(
    grid: Any, decomposition: Decomposition, shares: Sequence[Array], centred: bool
) -> tuple[dict[Axes, Array], Array]:
    """Return the means of all sets of sides except that of all, and the mean square, (B, C).

    Means have shape (B, U_a, …, C), with the axes of their sides, minus the mean of all
    recombinations, so that sums of squares are exact at any offset.
    """
    n_sides, n_resamples = len(shares), len(shares[0])
    sizes, n_classes = [share.shape[1] for share in shares], len(decomposition.mean)
    means: dict[Axes, Array] = {}
    for some in combinations(range(n_sides), n_sides - 1):
        means[some] = np.zeros((n_resamples, *(sizes[k] for k in some), n_classes))
    of_first = tuple(range(1, n_sides))
    squares = np.zeros_like(means[of_first])
    for rows, cells in _strips(grid, n_sides):
        block = np.asarray(cells, dtype=np.float64) - decomposition.mean
        for k in range(1, n_sides):
            others = (*range(k), *range(k + 1, n_sides))
            moved = np.moveaxis(block, k, 0)
            averaged = shares[k] @ moved.reshape(sizes[k], -1)
            means[others][:, rows] = averaged.reshape(n_resamples, *moved.shape[1:])
        of_rows = shares[0][:, rows]
        means[of_first] += (of_rows @ block.reshape(len(rows), -1)).reshape(squares.shape)
        if centred:
            block -= block.mean(axis=-1, keepdims=True)
        np.square(block, out=block)
        squares += (of_rows @ block.reshape(len(rows), -1)).reshape(squares.shape)
    for some in _sets(n_sides)[n_sides:]:
        # Averaged from the set with one more side.
        missing = next(k for k in range(n_sides) if k not in some)
        above = tuple(sorted((*some, missing)))
        means[some] = _average(means[above], shares[missing], above.index(missing))
    for k in reversed(of_first):
        squares = _average(squares, shares[k], squares.ndim - 3)
    return means, squares


def _strips(grid: Any, n_sides: int) -> Iterator[tuple[Index, Array]]:
    if hasattr(grid, "strips"):
        yield from grid.strips()
        return
    cells = np.asarray(grid)
    cells = cells[..., None] if cells.ndim == n_sides else cells
    step = max(1, _ELEMENTS_OF_SCORES // int(np.prod(cells.shape[1:])))
    for start in range(0, len(cells), step):
        rows = np.arange(start, min(start + step, len(cells)))
        yield rows, cells[rows]


def _average(values: Array, share: Array, axis: int) -> Array:
    """Return the mean over one axis, after that of resamples, by the shares of each resample."""
    letters = ascii_letters[: values.ndim]
    averaged = letters[axis + 1]
    formula = f"{letters},{letters[0]}{averaged}->{letters.replace(averaged, '')}"
    return np.asarray(np.einsum(formula, values, share))


def _sums_of_squares(
    shares: Sequence[Array], means: Mapping[Axes, Array], squares: Array, centred: bool
) -> Array:
    """Return the variance that each term carries, shape (B, 2^M - 1, C), 0 or more.

    The mean square of m_A is the sum of those of all terms within A.
    """
    n_sides = len(shares)
    within: dict[Axes, Array] = {tuple(range(n_sides)): squares}
    for some, mean in means.items():
        centre = mean - mean.mean(axis=-1, keepdims=True) if centred else mean
        found = np.square(centre)
        for place in range(len(some) - 1, -1, -1):
            found = _average(found, shares[some[place]], place)
        within[some] = found
    parts = []
    for size in range(1, n_sides + 1):
        for some in combinations(range(n_sides), size):
            found = np.zeros_like(squares)
            for fewer in range(size + 1):
                for part in combinations(some, fewer):
                    found += (-1.0) ** (size - fewer) * within[part]
            parts.append(np.maximum(found, 0.0))
    return np.stack(parts, axis=1)


def _scores(
    decomposition: Decomposition, shares: Sequence[Array], means: Mapping[Axes, Array]
) -> dict[str, Array]:
    """Return the scores of some resamples by the rows of the table, each of shape (B, N, C)."""
    d = decomposition
    own = [share[:, index] for share, index in zip(shares, d.index, strict=True)]
    weights = _weights_of_rows(d, own)
    logits = d.logits - d.mean
    shape = (*own[0].shape, logits.shape[1])
    scores = {row: np.zeros(shape) for row in weights}
    for some in [*means, tuple(range(len(own)))]:
        at_examples = _at_examples(means[some], some, d) if some in means else logits
        for row, of_sets in weights.items():
            if some in of_sets:
                scores[row] += of_sets[some][..., None] * at_examples
    for values in scores.values():
        values += d.mean
    rows = d.within_rounding
    if len(rows):
        for values in scores.values():
            values[:, rows] = settle(values[:, rows], d.logits[rows], d.noise)
    return scores


def _at_examples(mean: Array, some: Axes, decomposition: Decomposition) -> Array:
    """Return the mean of a set of sides, (B, U_a, …, C), at the examples, (B, N, C)."""
    if not some:
        return mean[:, None]
    shape = mean.shape[1:-1]
    place = np.ravel_multi_index(tuple(decomposition.index[k] for k in some), shape)
    return np.take(mean.reshape(len(mean), -1, mean.shape[-1]), place, axis=1)


def _weights_of_rows(
    decomposition: Decomposition, own: Sequence[Array]
) -> dict[str, dict[Axes, Array]]:
    """Return the weight of each set's mean in each row of the table."""
    d, every = decomposition, tuple(range(len(own)))
    left_out = {d.sides.index(side) for side in sides_left_out(d)}
    found = {"emap": projection_weights(own, 1, ())}
    found["emap_leave_one_out"] = _or_plain(projection_weights(own, 1, every), found["emap"])
    for row, order in order_rows(d.sides).items():
        plain = projection_weights(own, order, ())
        found[row] = _or_plain(projection_weights(own, order, left_out), plain)
    for row, side in one_sided_rows(d.sides).items():
        k = d.sides.index(side)
        share = product([weight for j, weight in enumerate(own) if j != k])
        share = np.where(share < 1.0 - _NOTHING_LEFT, share, 0.0)
        found[row] = {(k,): 1.0 / (1.0 - share), every: -share / (1.0 - share)}
    return {row: found[row] for row in projections_of(d.sides) if row in found}


def _or_plain(weights: Mapping[Axes, Array], plain: Mapping[Axes, Array]) -> dict[Axes, Array]:
    """Return weights; those of the plain projection if nothing would be left."""
    nothing = np.isnan(sum(weights.values()))
    return {some: np.where(nothing, plain[some], weight) for some, weight in weights.items()}
