"""The usual protocol for large data: the projection on random sub-samples of the examples.

Source: Hessel & Lee, EMNLP 2020 (arXiv 2010.06572), section 4, for large evaluation sets.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emap_core.decomposition.projection import Decomposition, decompose, item_shares
from emap_core.decomposition.rounding import settle
from emap_core.errors import SettingError
from emap_core.types import Array, Index


@dataclass(frozen=True, eq=False)
class SubsampledDecomposition(Decomposition):
    """Results of R sub-samples of n examples, each projected only on its own grid.

    The projection of an example is its average over the sub-samples that it is in; nothing is known
    about the grid outside them. Scores of the protocol are those of single sub-samples, see
    `subsample`, averaged afterwards.

    Attributes
    ----------
    drawn : ndarray of shape (R, n)
        Numbers of the examples in each sub-sample.
    rows : tuple of str
        Names of the projections that every sub-sample has: the highest order first, then EMAP, EMAP
        without the own cell, and each side on its own.
    subsample_scores : ndarray of shape (R, rows, n, C)
        These projections.
    subsample_sums_of_squares, centred_subsample_sums_of_squares : ndarray of shape (R, 2^M - 1, C)
        Those of each sub-sample's grid, and of its logits minus their mean over classes; the
        decomposition's own are their averages.
    """

    drawn: Index = field(kw_only=True)
    rows: tuple[str, ...] = field(kw_only=True)
    subsample_scores: Array = field(kw_only=True)
    subsample_sums_of_squares: Array = field(kw_only=True)
    centred_subsample_sums_of_squares: Array = field(kw_only=True)

    def only(self, side: str) -> Array:
        """Mean of each example's item over the other cells of its sub-samples, shape (N, C)."""
        return self._over_subsamples(self.rows[self.sides.index(side) - len(self.sides)])

    def projection(self, order: int, *, leave_one_out: bool | Collection[str] = False) -> Array:
        """Projection of an order; see `Decomposition.projection`.

        Those that leave out own items of some sides are averages of what the sub-samples have.
        """
        if isinstance(leave_one_out, bool) or order == len(self.sides):
            return super().projection(order, leave_one_out=leave_one_out)
        return self._over_subsamples(self.rows[len(self.sides) - 1 - order])

    @cached_property
    def emap_leave_one_out(self) -> Array:
        """Projection from the other cells of each example's sub-samples, shape (N, C)."""
        return self._over_subsamples("emap_leave_one_out")

    @cached_property
    def own_weight(self) -> float:
        """Weight of an example's own prediction in its sub-samples' projections, on average."""
        return float(np.mean([self.own_weight_among(rows) for rows in self.drawn]))

    def subsample(self, repeat: int) -> dict[str, Array]:
        """Return the model's scores and the projections of one sub-sample, each (n, C)."""
        logits = self.logits[self.drawn[repeat]]
        settled = settle(self.subsample_scores[repeat], logits, self.noise)
        return {"full": logits} | dict(zip(self.rows, settled, strict=True))

    def class_centred(self) -> SubsampledDecomposition:
        """Return the decomposition of the logits minus their mean over classes."""
        scores, sums = self.subsample_scores, self.centred_subsample_sums_of_squares
        return (
            super()
            .class_centred()
            .as_kind(
                SubsampledDecomposition,
                sums_of_squares=sums.mean(axis=0),
                drawn=self.drawn,
                rows=self.rows,
                subsample_scores=scores - scores.mean(axis=-1, keepdims=True),
                subsample_sums_of_squares=sums,
                centred_subsample_sums_of_squares=sums,
            )
        )

    def _over_subsamples(self, row: str) -> Array:
        scores = self.subsample_scores[:, self.rows.index(row)]
        return self.settled(_over(self.drawn, scores))


def draw_examples(n_examples: int, size: int, repeats: int = 10, seed: int = 0) -> Index:
    """Return numbers of examples drawn without replacement, ascending, shape (repeats, size).

    Raises
    ------
    SettingError
        If `size` is below 2 or above `n_examples`, or `repeats` is below 1.
    """
    if not 2 <= size <= n_examples:
        raise SettingError(
            f"subsample_size is {size}; expected 2 to {n_examples}, the number of examples"
        )
    if repeats < 1:
        raise SettingError(f"repeats is {repeats}; expected at least 1")
    rng = np.random.default_rng(seed)
    drawn = [np.sort(rng.choice(n_examples, size, replace=False)) for _ in range(repeats)]
    return np.array(drawn, dtype=np.intp)


def subsamples(
    cells: Callable[[Index, Index], NDArray[np.floating]],
    row_index: ArrayLike,
    column_index: ArrayLike,
    size: int,
    repeats: int = 10,
    seed: int = 0,
) -> Iterator[tuple[Index, Decomposition]]:
    """Yield the examples of each sub-sample and the decomposition of their grid alone.

    A metric of the projection is averaged over the repeats.

    Parameters
    ----------
    cells : callable
        From numbers of rows, shape (A,), and of columns, shape (B,), to the grid of
        all their recombinations, shape (A, B, C).
    row_index, column_index : array of shape (N,)
        The cell of each example.
    size, repeats, seed : int
        See `draw_examples`, also for what is raised.
    """
    rows, columns = np.asarray(row_index, dtype=np.intp), np.asarray(column_index, dtype=np.intp)
    for examples in draw_examples(len(rows), size, repeats, seed):
        some_rows, row_place = np.unique(rows[examples], return_inverse=True)
        some_columns, column_place = np.unique(columns[examples], return_inverse=True)
        yield examples, decompose(cells(some_rows, some_columns), row_place, column_place)


def combine(
    subsamples: Sequence[tuple[Index, Decomposition]],
    index: Sequence[Index],
    scores: Mapping[str, Sequence[Array]],
) -> SubsampledDecomposition:
    """Return what the sub-samples say about all examples in them.

    Parameters
    ----------
    subsamples : sequence of (examples, decomposition)
        Like those from `subsamples`; together they hold every example.
    index : sequence of ndarray of shape (N,)
        The cell of each example, one array per side.
    scores : mapping of str to sequence of ndarray of shape (n, C)
        Each projection in `SubsampledDecomposition.rows`, for every sub-sample.
    """
    parts = [d for _, d in subsamples]
    mean = np.mean([d.mean for d in parts], axis=0)
    logits = np.empty((len(index[0]), len(mean)))
    for examples, d in subsamples:
        logits[examples] = d.logits
    drawn = np.array([examples for examples, _ in subsamples], dtype=np.intp)
    sums = np.array([d.sums_of_squares for d in parts])
    joint = {some: [d.joint_means[some] - d.mean for d in parts] for some in parts[0].joint_means}
    return SubsampledDecomposition(
        sides=parts[0].sides,
        logits=logits,
        mean=mean,
        side_means=tuple(
            mean + _side_mean(subsamples, place, numbers) for place, numbers in enumerate(index)
        ),
        shares=item_shares(index, [int(numbers.max()) + 1 for numbers in index]),
        index=tuple(index),
        sums_of_squares=sums.mean(axis=0),
        centred_variance=np.mean([d.centred_variance for d in parts], axis=0),
        joint_means={some: mean + _over(drawn, np.array(found)) for some, found in joint.items()},
        centred_joint_squares={
            some: np.mean([d.centred_joint_squares[some] for d in parts], axis=0) for some in joint
        },
        noise=np.max([d.noise for d in parts], axis=0),
        drawn=drawn,
        rows=tuple(scores),
        subsample_scores=np.stack([np.array(found) for found in scores.values()], axis=1),
        subsample_sums_of_squares=sums,
        centred_subsample_sums_of_squares=np.array(
            [d.class_centred().sums_of_squares for d in parts]
        ),
    )


def _side_mean(
    subsamples: Sequence[tuple[Index, Decomposition]], place: int, numbers: Index
) -> Array:
    """Return what each item of a side adds to the mean, over the sub-samples that it is in."""
    n_classes = len(subsamples[0][1].mean)
    found, count = np.zeros((int(numbers.max()) + 1, n_classes)), np.zeros((numbers.max() + 1, 1))
    for examples, d in subsamples:
        some = np.unique(numbers[examples])
        found[some] += d.side_means[place] - d.mean
        count[some] += 1
    return np.asarray(found / count)


def _over(drawn: Index, values: Array) -> Array:
    """Return the mean of each example's values over the sub-samples that it is in, shape (N, C).

    Parameters
    ----------
    drawn : ndarray of shape (R, n)
    values : ndarray of shape (R, n, C)
    """
    sums = np.zeros((int(drawn.max()) + 1, values.shape[-1]))
    np.add.at(sums, drawn.ravel(), values.reshape(-1, sums.shape[1]))
    return np.asarray(sums / np.bincount(drawn.ravel(), minlength=len(sums))[:, None])
