"""How much one set of scores, or one model's gap, exceeds another on the same examples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from emap_core.decomposition import Decomposition
from emap_core.errors import SettingError
from emap_core.inference.gap import Projection
from emap_core.inference.metrics import Metric, check, evaluate_scored, metric
from emap_core.inference.predictions.scores import Scored
from emap_core.inference.resamples.limits import (
    CONFIDENCE,
    ValueWithLimits,
    estimate,
    paired_estimate,
)
from emap_core.inference.resamples.population import N_RESAMPLES, Population, population_of
from emap_core.inference.resamples.replicates import Mixtures, Replicates
from emap_core.inference.resamples.resampling import reproject
from emap_core.types import Array, Cluster, Space, Task


@dataclass(frozen=True)
class GapDifference:
    """How much the gap of one model exceeds that of another.

    Attributes
    ----------
    metric, projection : str
    first, second : float
        The two gaps; positive means that interactions help.
    difference : float
        `first` minus `second`.
    low, high : float
        95% interval of `difference`, with the same examples drawn for both; NaN if there is none.
    p_value : float
        For the hypothesis that both gaps are the same; NaN if not tested. It is below .05 exactly
        when the interval excludes 0.
    method : str
        How interval and p-value were computed, in words.
    population : str
        Whom the interval speaks of, for use after a number: "for new texts and new images".
    """

    metric: str
    projection: Projection
    first: float
    second: float
    difference: float
    low: float
    high: float
    p_value: float
    method: str
    population: str


def paired_difference(
    name: str,
    labels: ArrayLike,
    scores: ArrayLike,
    other: ArrayLike,
    task: Task,
    space: Space,
    population: Population,
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> ValueWithLimits:
    """Return how much better `scores` do than `other` on the same examples, with limits.

    Positive is better, for every metric. Both sets of scores, of shape (N, C), stay the same in
    every resample.

    Parameters
    ----------
    name : str
        Name of a metric.
    labels, task, space
        As for `evaluate`.
    population : Population
        Of the examples.
    n_resamples : int
        In total; shared between several ways to draw.
    seed : int
    confidence : float
        How often the limits hold the difference.
    """
    which = metric(name)
    pair = [Scored(np.asarray(labels), np.asarray(s), task, space) for s in (scores, other)]
    for scored in pair:
        check(which, scored)
    sign = 1.0 if which.higher_is_better else -1.0

    def differences(weights: Array) -> Array:
        first, second = (evaluate_scored(which, scored, weights) for scored in pair)
        return np.asarray(sign * (first - second))

    rng = np.random.default_rng(seed)
    each = population.share_out(n_resamples)
    found = [Replicates(units.size) for units in population.draws]
    for replicates, units in zip(found, population.draws, strict=True):
        for weights in units.resamples(each, rng):
            replicates.add(differences(weights))
    value = float(differences(np.ones((1, len(pair[0].labels))))[0])
    return paired_estimate(
        which,
        value,
        pair[0],
        pair[1],
        [replicates.variance for replicates in found],
        population,
        confidence,
        thirds=[replicates.third_moment for replicates in found],
    )


def gap_difference(
    first: Decomposition,
    second: Decomposition,
    labels: ArrayLike,
    task: Task,
    name: str,
    *,
    space: Space = "logits",
    projection: Projection = "emap_leave_one_out",
    grids: tuple[Any, Any] | None = None,
    cluster: Cluster = "auto",
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> GapDifference:
    """Return the difference of two models' gaps, paired by example.

    Every resample draws the same examples for both models, and computes both projections anew if
    both grids are given.

    Parameters
    ----------
    first, second : Decomposition
        Both of the same examples, with the same classes.
    labels : array
        As for `evaluate`, also `task`, `name` (of a metric) and `space`.
    projection : {"emap_leave_one_out", "emap"}
    grids : pair of ndarray or of objects with ``strips()``, optional
        See `emap_core.inference.resamples.resampling.reproject`.
    cluster, n_resamples, seed
        As for `emap_core.inference.intervals.table_intervals.intervals`.

    Raises
    ------
    SettingError
        If the two are not about the same examples and classes, or a setting is unknown.
    """
    if (
        first.logits.shape != second.logits.shape
        or len(first.sides) != len(second.sides)
        or not all(map(np.array_equal, first.index, second.index))
    ):
        raise SettingError("gaps can only be compared on the same examples and the same classes")
    which = metric(name)
    population = population_of(first, cluster)
    sides = [_Side(d, np.asarray(labels), task, space, which, projection) for d in (first, second)]
    rng = np.random.default_rng(seed)
    each = population.share_out(n_resamples)
    found = [Replicates(units.size) for units in population.draws]
    for replicates, units in zip(found, population.draws, strict=True):
        for weights in units.resamples(each, rng):
            for some, (one, other) in _projected(sides, grids, weights):
                replicates.add(sides[0].gaps(some, one) - sides[1].gaps(some, other))
                if grids is not None and len(some) > 1:
                    mixtures = Mixtures.drawn(units, len(some), rng)
                    replicates.add_mixed(
                        mixtures.evaluate(which, one) - mixtures.evaluate(which, other)
                    )
    ones = np.ones((1, len(first.logits)))
    gaps = [float(side.gaps(ones, side.projected)[0]) for side in sides]
    difference = estimate(
        gaps[0] - gaps[1],
        [replicates.variance for replicates in found],
        population,
        thirds=[replicates.third_moment for replicates in found],
    )
    how = "both projections computed anew" if grids is not None else "of the scores alone"
    return GapDifference(
        metric=name,
        projection=projection,
        first=gaps[0],
        second=gaps[1],
        difference=difference.value,
        low=difference.low,
        high=difference.high,
        p_value=difference.p_value,
        method=f"{each:,} paired bootstrap resamples of {population.drawn_words}, {how}; t test",
        population=population.words,
    )


class _Side:
    """One of the two models: its own scores and those of its projection."""

    def __init__(
        self,
        decomposition: Decomposition,
        labels: Array,
        task: Task,
        space: Space,
        which: Metric,
        projection: Projection,
    ) -> None:
        self.decomposition = decomposition
        self.which = which
        self.projection = projection
        self._about = (labels, task, space)
        self.full = self.scored(decomposition.logits)
        self.projected = self.scored(getattr(decomposition, projection))
        check(which, self.full)

    def scored(self, scores: Array) -> Scored:
        labels, task, space = self._about
        return Scored(labels, scores, task, space)

    def gaps(self, weights: Array, projected: Scored) -> Array:
        """Return the gap under each of B weightings, shape (B,); positive: interactions help."""
        sign = 1.0 if self.which.higher_is_better else -1.0
        full = evaluate_scored(self.which, self.full, weights)
        return np.asarray(sign * (full - evaluate_scored(self.which, projected, weights)))


def _projected(
    sides: list[_Side], grids: tuple[Any, Any] | None, weights: Array
) -> Iterator[tuple[Array, list[Scored]]]:
    if grids is None:
        yield weights, [side.projected for side in sides]
        return
    resampled = [
        reproject(grid, side.decomposition, weights)
        for grid, side in zip(grids, sides, strict=True)
    ]
    for parts in zip(*resampled, strict=True):
        yield (
            parts[0].weights,
            [
                side.scored(part.scores[side.projection])
                for side, part in zip(sides, parts, strict=True)
            ],
        )
