"""The protocol in use for large data: the projection on random sub-samples of the examples.

Source: Hessel & Lee, EMNLP 2020 (arXiv 2010.06572), section 4, for large evaluation sets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emap_core.decomposition.projection import Decomposition, decompose, decompose_sums
from emap_core.decomposition.rounding import settle
from emap_core.errors import SettingError
from emap_core.types import Array, Index

SUBSAMPLE_ROWS = ("emap", "emap_leave_one_out", "text_only", "image_only")
"""The projections that every sub-sample has of its own."""


@dataclass(frozen=True, eq=False)
class SubsampledDecomposition(Decomposition):
    """What R sub-samples of n examples say, each projected on its own grid alone.

    The projection of an example is its average over the sub-samples that it is in; nothing is
    known of the grid outside of them. Scores of the protocol are those of single sub-samples, see
    `subsample`, averaged afterwards.

    Attributes
    ----------
    drawn : ndarray of shape (R, n)
        Numbers of the examples in each sub-sample.
    subsample_scores : ndarray of shape (R, 4, n, C)
        Their projections, in the order of `SUBSAMPLE_ROWS`.
    subsample_sums_of_squares, centred_subsample_sums_of_squares : ndarray of shape (R, 3, C)
        Those of each sub-sample's grid, and of its logits minus their mean over classes; the
        decomposition's own are their averages.
    """

    drawn: Index = field(kw_only=True)
    subsample_scores: Array = field(kw_only=True)
    subsample_sums_of_squares: Array = field(kw_only=True)
    centred_subsample_sums_of_squares: Array = field(kw_only=True)

    def only(self, side: str) -> Array:
        """Mean of each example's item over the other cells of its sub-samples, shape (N, C)."""
        return self._over_subsamples(("text_only", "image_only")[self.sides.index(side)])

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
        return {"full": logits} | dict(zip(SUBSAMPLE_ROWS, settled, strict=True))

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
                subsample_scores=scores - scores.mean(axis=-1, keepdims=True),
                subsample_sums_of_squares=sums,
                centred_subsample_sums_of_squares=sums,
            )
        )

    def _over_subsamples(self, row: str) -> Array:
        sums = np.zeros_like(self.logits)
        scores = self.subsample_scores[:, SUBSAMPLE_ROWS.index(row)]
        np.add.at(sums, self.drawn.ravel(), scores.reshape(-1, sums.shape[1]))
        return self.settled(sums / np.bincount(self.drawn.ravel(), minlength=len(sums))[:, None])


def draw_examples(n_examples: int, size: int, repeats: int = 10, seed: int = 0) -> Index:
    """Return numbers of examples drawn without replacement, ascending, shape (repeats, size).

    Raises
    ------
    SettingError
        If `size` is under 2 or over `n_examples`, or `repeats` is under 1.
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
    subsamples: Sequence[tuple[Index, Decomposition]], row_index: Index, column_index: Index
) -> SubsampledDecomposition:
    """Return what the sub-samples say about all examples in them.

    Parameters
    ----------
    subsamples : sequence of (examples, decomposition)
        As from `subsamples`; together they hold every example.
    row_index, column_index : array of shape (N,)
        The cell of each example.
    """
    drawn = np.array([examples for examples, _ in subsamples], dtype=np.intp)
    parts = [d for _, d in subsamples]
    n_rows, n_columns = int(row_index.max()) + 1, int(column_index.max()) + 1
    mean = np.mean([d.mean for d in parts], axis=0)
    logits = np.empty((len(row_index), len(mean)))
    row_mean, column_mean = np.zeros((n_rows, len(mean))), np.zeros((n_columns, len(mean)))
    row_count, column_count = np.zeros((n_rows, 1)), np.zeros((n_columns, 1))
    for examples, d in subsamples:
        logits[examples] = d.logits
        some_rows, some_columns = np.unique(row_index[examples]), np.unique(column_index[examples])
        row_mean[some_rows] += d.row_mean - d.mean
        column_mean[some_columns] += d.column_mean - d.mean
        row_count[some_rows] += 1
        column_count[some_columns] += 1
    sums = np.array([d.sums_of_squares for d in parts])
    together = decompose_sums(
        logits=logits,
        mean=mean,
        row_mean=mean + row_mean / row_count,
        column_mean=mean + column_mean / column_count,
        variance=sums.mean(axis=0).sum(axis=0),
        centred_variance=np.mean([d.centred_variance for d in parts], axis=0),
        row_index=row_index,
        column_index=column_index,
    )
    return together.as_kind(
        SubsampledDecomposition,
        sums_of_squares=sums.mean(axis=0),
        drawn=drawn,
        subsample_scores=np.array([[getattr(d, row) for row in SUBSAMPLE_ROWS] for d in parts]),
        subsample_sums_of_squares=sums,
        centred_subsample_sums_of_squares=np.array(
            [d.class_centred().sums_of_squares for d in parts]
        ),
        noise=np.max([d.noise for d in parts], axis=0),
    )
