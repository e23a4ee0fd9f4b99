"""Intervals and tests of everything in the table and of the variance shares, in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from emap_core.decomposition import Decomposition
from emap_core.decomposition.projection import PARTS
from emap_core.inference.gap import Gap, Interval, Intervals, Projection
from emap_core.inference.limits import (
    Estimate,
    estimate,
    paired_estimate,
    share_estimate,
    third_moment_of,
    variance_of,
)
from emap_core.inference.metrics import (
    Metric,
    check,
    default_metrics,
    evaluate_scored,
    evaluate_shuffled,
    metric,
    read_for,
)
from emap_core.inference.population import N_RESAMPLES, Units, population_of
from emap_core.inference.resampling import Reprojection, reproject
from emap_core.inference.rows import PROJECTIONS
from emap_core.inference.score_table import best_constant, projections
from emap_core.inference.scores import Scored
from emap_core.types import Array, Cluster, Space, Task

__all__ = ["Intervals", "intervals"]

_PROJECTED: tuple[Projection, ...] = ("emap", "emap_leave_one_out")
_SHUFFLED = ("emap", "emap_leave_one_out", "text_only", "image_only")
# So many tell their variance to a tenth, and it is a part of the whole.
_RESAMPLES_TO_SHUFFLE = 250
# A share of the variance that is rounding: the projection is the model, in every sample.
_NO_INTERACTION = 1e-12


def intervals(
    decomposition: Decomposition,
    labels: ArrayLike | None,
    task: Task,
    metrics: Sequence[str] | None = None,
    *,
    space: Space = "logits",
    grid: Any = None,
    centred: bool = False,
    cluster: Cluster = "auto",
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
    linear_probes: Mapping[str, Array] | None = None,
) -> Intervals:
    """Return 95% intervals and tests of the table, the gaps and the variance shares.

    The projection is computed anew in every resample from the grid. Without the grid the scores
    stay as they are, which the method of each gap says.

    Parameters
    ----------
    decomposition : Decomposition
    labels : array or None
        As for `evaluate`; None gives the variance shares alone.
    task : str
    metrics : sequence of str, optional
        `default_metrics` of the task unless given.
    space : str
        What was projected.
    grid : ndarray of shape (U_t, U_v, C), or an object with ``strips()``, optional
        See `reproject`.
    centred : bool
        Whether shares are those of the logits minus their mean over classes.
    cluster : {"auto", "none", "image", "text", "both"}
        What is drawn; see `emap_core.inference.population.population_of_items`.
    n_resamples : int
        In all; shared out where there are several ways to draw.
    seed : int
    linear_probes : mapping, optional
        Further rows of the table: scores of shape (N, C) that do not change with the resample.

    Raises
    ------
    SettingError, LabelError
        If a setting is unknown or labels do not fit.
    """
    names = (
        [] if labels is None else list(metrics if metrics is not None else default_metrics(task))
    )
    truth = np.zeros(len(decomposition.logits), dtype=int) if labels is None else np.asarray(labels)
    sample = _Sample(
        decomposition,
        truth,
        task,
        space,
        [metric(name) for name in names],
        cluster,
        linear_probes or {},
    )
    rng = np.random.default_rng(seed)
    each = sample.population.share_out(n_resamples)
    found = [_Replicates(sample, units) for units in sample.population.draws]
    with ThreadPoolExecutor(len(_SHUFFLED)) as pool:
        for replicates in found:
            for weights in replicates.units.resamples(each, rng):
                if grid is None:
                    replicates.add_scores(weights)
                else:
                    for part in reproject(grid, decomposition, weights, centred=centred):
                        replicates.add(part, rng, pool)
    return _Summary(sample, found, grid is not None, each, seed).intervals(centred)


class _Sample:
    """The data at hand: scores, labels, metrics and how examples hang together."""

    def __init__(
        self,
        decomposition: Decomposition,
        labels: Array,
        task: Task,
        space: Space,
        metrics: list[Metric],
        cluster: Cluster,
        linear_probes: Mapping[str, Array],
    ) -> None:
        self.fixed = ("full", *linear_probes)
        self.rows = (*PROJECTIONS, *linear_probes)
        self.decomposition = decomposition
        self.labels = labels
        self.task: Task = task
        self.space: Space = space
        self.metrics = metrics
        self.population = population_of(decomposition, cluster)
        self.n_examples, self.n_classes = map(int, decomposition.logits.shape)
        scores = projections(decomposition, labels if metrics else None, task, space)
        self.scored = {row: self.score({**scores, **linear_probes}[row]) for row in self.rows}
        for which in metrics:
            check(which, self.scored["full"])

    def score(self, scores: Array) -> Scored:
        return Scored(self.labels, scores, self.task, self.space)

    def value(self, which: Metric, row: str) -> float:
        ones = np.ones((1, self.n_examples))
        return float(evaluate_scored(which, self.scored[row], ones)[0])

    def constant(self, weights: Array) -> tuple[Scored, Array]:
        """Return the best constant scores in each of B resamples, with weights to score them."""
        labels = self.labels
        best = best_constant(labels, weights, self.n_classes, self.task, self.space)
        if labels.ndim == 1:
            # The same scores for all: one example a class, with the weight of them all, will do.
            labels, place = np.unique(labels, return_inverse=True)
            weights = weights @ (place[:, None] == np.arange(len(labels)))
        scores = np.broadcast_to(best[:, None], (len(weights), len(labels), self.n_classes))
        return Scored(labels, scores, self.task, self.space), weights


class _Replicates:
    """What the resamples of one way to draw gave so far."""

    def __init__(self, sample: _Sample, units: Units) -> None:
        self.sample = sample
        self.units = units
        self.values: dict[tuple[str, str], list[Array]] = {
            (m.name, row): [] for m in sample.metrics for row in sample.rows
        }
        self.flips: dict[tuple[str, str], list[float]] = {
            (m.name, row): [] for m in sample.metrics for row in _SHUFFLED
        }
        self.sums_of_squares: list[Array] = []
        self.n_degenerate = 0
        self.n_shuffled = 0

    def add_scores(self, weights: Array) -> None:
        """Add resamples of the scores alone."""
        for row in self.sample.rows:
            if row != "constant":
                self._evaluate(row, self.sample.scored[row], weights)
        self._evaluate_constant(weights)

    def add(self, part: Reprojection, rng: np.random.Generator, pool: Executor) -> None:
        """Add resamples with their own projections."""
        self.n_degenerate += part.n_degenerate
        self.sums_of_squares.append(part.sums_of_squares)
        for row in self.sample.fixed:
            self._evaluate(row, self.sample.scored[row], part.weights)
        self._evaluate_constant(part.weights)
        size, places = len(part.weights), None
        if size > 1 and self.n_shuffled < _RESAMPLES_TO_SHUFFLE:
            self.n_shuffled += size
            places = self.units.places(size, rng)

        def read(scores: dict[str, Array]) -> dict[str, Scored]:
            metrics = self.sample.metrics
            return {row: read_for(metrics, self.sample.score(s)) for row, s in scores.items()}

        def add_row(row: str) -> None:
            scored = Scored.joined([block[row] for block in blocks])
            self._evaluate(row, scored, part.weights)
            if places is not None:
                for which in self.sample.metrics:
                    mixed = evaluate_shuffled(which, scored, places)
                    self.flips[which.name, row].append(float(mixed.var(ddof=1)))

        if self.sample.metrics:
            blocks = part.read(read, pool)
            list(pool.map(add_row, _SHUFFLED))

    def of(self, name: str, row: str) -> Array:
        """Return the values of a metric of one row, shape (B,)."""
        return np.concatenate(self.values[name, row])

    def variance(self, replicates: Array, name: str = "", row: str = "") -> float:
        """Return the variance of a value that depends on the projection of one row, if on any."""
        flips = self.flips.get((name, row), [])
        return variance_of(replicates, self.units.size, float(np.mean(flips)) if flips else 0.0)

    def shares(self) -> tuple[Array, Array]:
        """Return shares of the variance, shape (B, 3, C), and pooled over classes, (B, 3)."""
        if not self.sums_of_squares:
            n_classes = self.sample.n_classes
            return np.full((1, 3, n_classes), np.nan), np.full((1, 3), np.nan)
        sums = np.concatenate(self.sums_of_squares)
        return _shares_of(sums), _shares_of(sums.sum(axis=2))

    def _evaluate(self, row: str, scored: Scored, weights: Array) -> None:
        for which in self.sample.metrics:
            self.values[which.name, row].append(evaluate_scored(which, scored, weights))

    def _evaluate_constant(self, weights: Array) -> None:
        if self.sample.metrics:
            self._evaluate("constant", *self.sample.constant(weights))


class _Summary:
    """Intervals from the resamples of every way to draw."""

    def __init__(
        self,
        sample: _Sample,
        found: list[_Replicates],
        reprojected: bool,
        n_resamples: int,
        seed: int,
    ) -> None:
        self.sample = sample
        self.found = found
        self.reprojected = reprojected
        self.n_resamples = n_resamples
        self.seed = seed

    def intervals(self, centred: bool) -> Intervals:
        """Return the intervals."""
        sample = self.sample
        shares, pooled = self._shares(centred)
        return Intervals(
            rows={m.name: {row: self._row(m, row) for row in sample.rows} for m in sample.metrics},
            gaps={m.name: {row: self._gap(m, row) for row in _PROJECTED} for m in sample.metrics},
            shares=shares,
            pooled_shares=pooled,
            cluster=sample.population.cluster,
            population=sample.population.words,
            n_resamples=self.n_resamples,
            seed=self.seed,
            notes=self._notes(),
        )

    def _row(self, which: Metric, row: str) -> Interval:
        population = self.sample.population
        value, values = self.sample.value(which, row), which.values(self.sample.scored[row])
        replicates = [r.of(which.name, row) for r in self.found]
        variances = self._variances(which, row, replicates)
        if which.unit == "points" and values is not None and np.isfinite(value):
            return share_estimate(values, population.variance(variances), population)
        # Errors, the metrics of which less is better, end at 0.
        lowest = -np.inf if which.higher_is_better else 0.0
        bounds = (0.0, 1.0) if which.unit == "points" else (lowest, np.inf)
        thirds = [third_moment_of(values) for values in replicates]
        return estimate(value, variances, population, thirds=thirds).interval(bounds)

    def _variances(self, which: Metric, row: str, replicates: list[Array]) -> list[float]:
        drawn = zip(self.found, replicates, strict=True)
        return [r.variance(values, which.name, row) for r, values in drawn]

    def _gap(self, which: Metric, row: Projection) -> Gap:
        sample, population = self.sample, self.sample.population
        sign = 1.0 if which.higher_is_better else -1.0
        full, projected = sample.value(which, "full"), sample.value(which, row)
        gap = sign * (full - projected)
        replicates = [sign * (r.of(which.name, "full") - r.of(which.name, row)) for r in self.found]
        variances = self._variances(which, row, replicates)
        if self._is_additive():
            found = estimate(gap, variances, population)
        else:
            sides = sample.scored["full"], sample.scored[row]
            found = paired_estimate(
                which,
                gap,
                *sides,
                variances,
                population,
                thirds=[third_moment_of(values) for values in replicates],
            )
        return found.gap(
            population,
            metric=which.name,
            projection=row,
            full=full,
            projected=projected,
            method=self._method(found),
            n_examples=sample.n_examples,
            n_resamples=self.n_resamples,
            seed=self.seed,
        )

    def _method(self, found: Estimate) -> str:
        how = (
            "the projection computed anew in each"
            if self.reprojected
            else "of the scores alone, since the grid was not kept"
        )
        drawn = self.sample.population.drawn_words
        if np.isnan(found.value):
            test = "no test, since the projection is undefined"
        elif np.isnan(found.p_value):
            test = "no test"
        else:
            test = f"test of the same limits on {found.degrees_of_freedom:,} degrees of freedom"
        return f"{self.n_resamples:,} bootstrap resamples of {drawn}, {how}; {test}"

    def _is_additive(self) -> bool:
        d = self.sample.decomposition
        share = (d.class_centred() if self.sample.task == "multiclass" else d).pooled_shares[2]
        return not share > _NO_INTERACTION

    def _shares(self, centred: bool) -> tuple[dict[str, list[Interval]], dict[str, Interval]]:
        d = self.sample.decomposition.class_centred() if centred else self.sample.decomposition
        each, together = zip(*(r.shares() for r in self.found), strict=True)

        def share(value: float, of_draws: list[Array]) -> Interval:
            drawn = zip(self.found, of_draws, strict=True)
            variances = [replicates.variance(values) for replicates, values in drawn]
            return estimate(value, variances, self.sample.population).interval((0.0, 1.0))

        shares = {
            part: [
                share(float(d.variance_shares[k, c]), [values[:, k, c] for values in each])
                for c in range(self.sample.n_classes)
            ]
            for k, part in enumerate(PARTS)
        }
        pooled = {
            part: share(float(d.pooled_shares[k]), [values[:, k] for values in together])
            for k, part in enumerate(PARTS)
        }
        return shares, pooled

    def _notes(self) -> list[str]:
        notes = []
        drawn = self.n_resamples * len(self.found)
        if not self.reprojected:
            notes.append(
                "The grid was not kept: intervals come from the scores alone, which is a little "
                "too narrow, and variance shares have none."
            )
        n_degenerate = sum(r.n_degenerate for r in self.found)
        if n_degenerate:
            notes.append(
                f"{n_degenerate:,} of {drawn:,} resamples held a single text or image; "
                "there the plain projection stands in for the leave-one-out one."
            )
        for which in self.sample.metrics:
            undefined = sum(int(np.isnan(r.of(which.name, "full")).sum()) for r in self.found)
            if undefined and not np.isnan(self.sample.value(which, "full")):
                notes.append(
                    f"{which.label} is undefined in {undefined:,} of {drawn:,} "
                    "resamples, which hold one class only; its limits are those of the others."
                )
        return notes


def _shares_of(sums: Array) -> Array:
    total = sums.sum(axis=1, keepdims=True)
    shares = np.divide(sums, total, out=np.full(sums.shape, np.nan), where=total > 0)
    return np.asarray(shares)
