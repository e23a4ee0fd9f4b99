"""The table and the variance shares, evaluated in resamples of the examples."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor

import numpy as np

from emap_core.decomposition import Decomposition
from emap_core.inference.metrics import Metric, check, evaluate_scored, read_for
from emap_core.inference.predictions.scores import Scored
from emap_core.inference.resamples.many_sides import ReprojectionOfSides
from emap_core.inference.resamples.population import SamplingUnits, population_of
from emap_core.inference.resamples.replicates import Mixtures, Replicates
from emap_core.inference.resamples.resampling import Reprojection
from emap_core.inference.table.rows import projections_of
from emap_core.inference.table.score_table import best_constant, projections
from emap_core.types import Array, Cluster, Space, Task

# This many give their variance to a tenth, and it is a part of the whole.
_MOST_MIXTURES = 250


class Sample:
    """The sample: scores, labels, metrics and how examples depend on each other."""

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
        self.rows = (*projections_of(decomposition.sides), *linear_probes)
        # Rows of the projection that every resample computes anew.
        self.projected = tuple(r for r in self.rows if r not in (*self.fixed, "constant"))
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
        """Return scores of the same examples."""
        return Scored(self.labels, scores, self.task, self.space)

    def value(self, which: Metric, row: str) -> float:
        """Return a metric of one row of the table."""
        ones = np.ones((1, self.n_examples))
        return float(evaluate_scored(which, self.scored[row], ones)[0])

    def constant(self, weights: Array) -> tuple[Scored, Array]:
        """Return the best constant scores in each of B resamples, with weights to score them."""
        labels = self.labels
        best = best_constant(labels, weights, self.n_classes, self.task, self.space)
        if labels.ndim == 1:
            # The scores are the same for all, so one example per class, with their total weight, is
            # enough.
            labels, place = np.unique(labels, return_inverse=True)
            weights = weights @ (place[:, None] == np.arange(len(labels)))
        scores = np.broadcast_to(best[:, None], (len(weights), len(labels), self.n_classes))
        return Scored(labels, scores, self.task, self.space), weights


class ResampledTable:
    """The table in the resamples of one way to draw.

    Attributes
    ----------
    sample : Sample
    units : SamplingUnits
        What is drawn.
    n_degenerate : int
        Resamples with a single text or image, or with more sides too few items.
    """

    def __init__(self, sample: Sample, units: SamplingUnits) -> None:
        self.sample = sample
        self.units = units
        self.n_degenerate = 0
        self._n_mixtures = 0
        self._sums_of_squares: list[Array] = []
        self._replicates = {
            (which.name, row): Replicates(units.size)
            for which in sample.metrics
            for row in sample.rows
        }

    def add_scores(self, weights: Array) -> None:
        """Add resamples of the scores alone, shape (B, N)."""
        for row in self.sample.rows:
            if row != "constant":
                self._evaluate(row, self.sample.scored[row], weights)
        self._evaluate_constant(weights)

    def add(
        self,
        some: Reprojection | ReprojectionOfSides,
        rng: np.random.Generator,
        pool: Executor,
    ) -> None:
        """Add resamples with their own projections."""
        self.n_degenerate += some.n_degenerate
        self._sums_of_squares.append(some.sums_of_squares)
        for row in self.sample.fixed:
            self._evaluate(row, self.sample.scored[row], some.weights)
        self._evaluate_constant(some.weights)
        size, mixtures = len(some.weights), None
        if size > 1 and self._n_mixtures < _MOST_MIXTURES:
            self._n_mixtures += size
            mixtures = Mixtures.drawn(self.units, size, rng)

        def read(scores: dict[str, Array]) -> dict[str, Scored]:
            metrics = self.sample.metrics
            return {row: read_for(metrics, self.sample.score(s)) for row, s in scores.items()}

        def add_row(row: str) -> None:
            scored = Scored.joined([one[row] for one in each])
            self._evaluate(row, scored, some.weights)
            if mixtures is not None:
                for which in self.sample.metrics:
                    self.of(which, row).add_mixed(mixtures.evaluate(which, scored))

        if self.sample.metrics:
            each = some.read(read, pool)
            list(pool.map(add_row, self.sample.projected))

    def of(self, which: Metric, row: str) -> Replicates:
        """Return the values of a metric of one row."""
        return self._replicates[which.name, row]

    def shares(self) -> tuple[Array, Array]:
        """Return the terms' shares of the variance for all sets of sides, in order.

        Shape (B, 2^M - 1, C), and pooled over classes, (B, 2^M - 1).
        """
        if not self._sums_of_squares:
            missing = np.full((1, *self.sample.decomposition.sums_of_squares.shape), np.nan)
            return missing, missing[:, :, 0]
        sums = np.concatenate(self._sums_of_squares)
        return shares_of(sums), shares_of(sums.sum(axis=2))

    def _evaluate(self, row: str, scored: Scored, weights: Array) -> None:
        for which in self.sample.metrics:
            self.of(which, row).add(evaluate_scored(which, scored, weights))

    def _evaluate_constant(self, weights: Array) -> None:
        if self.sample.metrics:
            self._evaluate("constant", *self.sample.constant(weights))


def shares_of(sums: Array) -> Array:
    """Return the shares of B sums of squares, NaN if nothing varies; parts on axis 1."""
    total = sums.sum(axis=1, keepdims=True)
    shares = np.divide(sums, total, out=np.full(sums.shape, np.nan), where=total > 0)
    return np.asarray(shares)
