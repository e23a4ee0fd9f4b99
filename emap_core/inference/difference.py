"""Whether one model's gap is larger than another's, on the same examples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emap_core.decomposition import Decomposition
from emap_core.errors import SettingError
from emap_core.inference.gap import Projection
from emap_core.inference.limits import interval_from_resamples
from emap_core.inference.metrics import Metric, check, evaluate_scored, evaluate_shuffled, metric
from emap_core.inference.resampling import (
    Cluster,
    clusters_of,
    draw_weights,
    reproject,
    resolve_cluster,
)
from emap_core.inference.scores import Array, Scored, Space, Task

_AT_A_TIME = 128


@dataclass(frozen=True)
class GapDifference:
    """By how much the gap of a first model is larger than that of a second one.

    Attributes
    ----------
    metric, projection : str
    first, second : float
        The two gaps; positive means that interactions help.
    difference : float
        `first` minus `second`.
    low, high : float
        95% interval of `difference`, the same examples drawn for both; NaN where there is none.
    p_value : float
        Of the hypothesis that both gaps are the same; NaN where not tested.
    method : str
        How interval and p-value came to be, in words.
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
    n_resamples: int = 1000,
    seed: int = 0,
) -> GapDifference:
    """Return the difference of two models' gaps, paired by example.

    Every resample draws the same examples for both models, and computes both projections anew
    where both grids are given. The test swaps the two models, each with its projection, example by
    example or cluster by cluster (see `emap_core.inference.randomisation_test`).

    Parameters
    ----------
    first, second : Decomposition
        Of the same examples, with the same classes.
    labels : array
        As for `evaluate`, also `task`, `name` (of a metric) and `space`.
    projection : {"emap_leave_one_out", "emap"}
    grids : pair of ndarray or of objects with ``blocks()``, optional
        See `emap_core.inference.resampling.reproject`.
    cluster, n_resamples, seed
        As for `emap_core.inference.intervals`.

    Raises
    ------
    SettingError
        If the two are not about the same examples and classes, or a setting is unknown.
    """
    if first.logits.shape != second.logits.shape or not all(
        np.array_equal(getattr(first, index), getattr(second, index))
        for index in ("text_index", "image_index")
    ):
        raise SettingError("gaps are compared on the same examples with the same classes")
    which = metric(name)
    cluster = resolve_cluster(cluster, first)
    sides = [_Side(d, np.asarray(labels), task, space, which, projection) for d in (first, second)]
    clusters = clusters_of(first, cluster)
    n_clusters = len(first.logits) if clusters is None else len(np.unique(clusters))
    if cluster == "both":
        n_clusters = min(n_clusters, len(np.unique(first.text_index)))
    rng = np.random.default_rng(seed)
    replicates, flips = [], []
    for start in range(0, n_resamples, _AT_A_TIME):
        weights = draw_weights(first, cluster, min(_AT_A_TIME, n_resamples - start), rng)
        for part, (one, other) in _projected(sides, grids, weights):
            replicates.append(sides[0].gaps(part, one) - sides[1].gaps(part, other))
            if grids is not None and len(part) > 1 and cluster != "both":
                places = _places(len(part), clusters, len(first.logits), rng)
                mixed = evaluate_shuffled(which, one, places) - evaluate_shuffled(
                    which, other, places
                )
                flips.append(float(np.var(mixed, ddof=1)))
    ones = np.ones((1, len(first.logits)))
    gaps = [float(side.gaps(ones, side.projected)[0]) for side in sides]
    found = interval_from_resamples(
        gaps[0] - gaps[1],
        np.concatenate(replicates),
        n_clusters=n_clusters,
        flips=float(np.mean(flips)) if flips else 0.0,
    )
    p_value = _randomisation(which, sides, clusters, n_resamples, seed)
    how = "both projections computed anew" if grids is not None else "of the scores alone"
    return GapDifference(
        metric=name,
        projection=projection,
        first=gaps[0],
        second=gaps[1],
        difference=found.value,
        low=found.low,
        high=found.high,
        p_value=p_value,
        method=f"paired bootstrap of {n_resamples:,} resamples, {how}; paired randomisation test",
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


def _places(
    size: int, clusters: NDArray[np.intp] | None, n_examples: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    n = n_examples if clusters is None else int(clusters.max()) + 1
    places = rng.permuted(np.tile(np.arange(size)[:, None], (1, n)), axis=0)
    return places if clusters is None else places[:, clusters]


def _randomisation(
    which: Metric,
    sides: list[_Side],
    clusters: NDArray[np.intp] | None,
    n_resamples: int,
    seed: int,
) -> float:
    full, projected = (
        sides[0].scored(np.stack([getattr(side, part).scores for side in sides]))
        for part in ("full", "projected")
    )
    n_examples = full.scores.shape[1]
    groups = np.arange(n_examples) if clusters is None else clusters
    rng = np.random.default_rng(seed)

    def differences(places: NDArray[np.intp]) -> Array:
        gap, other = (
            evaluate_shuffled(which, full, at) - evaluate_shuffled(which, projected, at)
            for at in (places, 1 - places)
        )
        return np.asarray(gap - other)

    seen = abs(float(differences(np.zeros((1, n_examples), dtype=np.intp))[0]))
    if not np.isfinite(seen):
        return float("nan")
    as_large = 0
    for start in range(0, n_resamples, _AT_A_TIME):
        size = min(_AT_A_TIME, n_resamples - start)
        places = rng.integers(0, 2, (size, int(groups.max()) + 1))[:, groups]
        # Arrangements of the same differences may miss each other by a rounding.
        as_large += int((np.abs(differences(places)) >= seen - 1e-12 * max(seen, 1.0)).sum())
    return (1 + as_large) / (1 + n_resamples)
