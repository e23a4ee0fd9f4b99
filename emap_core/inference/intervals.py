"""Intervals and tests of everything in the table and of the variance shares, in one call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emap_core.decomposition import Decomposition
from emap_core.decomposition.exact import PARTS
from emap_core.inference.gap import Gap, Interval, Intervals, Projection
from emap_core.inference.limits import interval_from_resamples, rule_of_three
from emap_core.inference.metrics import (
    Metric,
    check,
    default_metrics,
    evaluate_scored,
    evaluate_shuffled,
    metric,
)
from emap_core.inference.resampling import (
    Cluster,
    Reprojection,
    clusters_of,
    draw_weights,
    reproject,
    resolve_cluster,
)
from emap_core.inference.scores import Array, Scored, Space, Task
from emap_core.inference.significance import mcnemar, randomisation_test
from emap_core.inference.table import PROJECTIONS, best_constant, projections

__all__ = ["Intervals", "intervals"]

_PROJECTED: tuple[Projection, ...] = ("emap", "emap_leave_one_out")
_SHUFFLED = ("emap", "emap_leave_one_out", "text_only", "image_only")
_ELEMENTS_OF_WEIGHTS = 2**23
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
    n_resamples: int = 1000,
    seed: int = 0,
    baselines: Mapping[str, Array] | None = None,
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
    grid : ndarray of shape (U_t, U_v, C), or an object with ``blocks()``, optional
        See `reproject`.
    centred : bool
        Whether shares are those of the logits minus their mean over classes.
    cluster : {"auto", "none", "image", "text", "both"}
        What is drawn; ``"auto"`` draws whole images where they repeat.
    n_resamples, seed : int
    baselines : mapping, optional
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
    cluster = resolve_cluster(cluster, decomposition)
    sample = _Sample(
        decomposition,
        truth,
        task,
        space,
        [metric(name) for name in names],
        cluster,
        baselines or {},
    )
    rng = np.random.default_rng(seed)
    replicates = _Replicates(sample, grid is not None)
    with ThreadPoolExecutor(len(_SHUFFLED)) as pool:
        for weights in _weights(decomposition, cluster, n_resamples, rng):
            if grid is None:
                replicates.add_scores(weights)
            else:
                for part in reproject(grid, decomposition, weights, centred=centred):
                    replicates.add(part, rng, pool)
    return replicates.summary(n_resamples, seed, centred)


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
        baselines: Mapping[str, Array],
    ) -> None:
        self.fixed = ("full", *baselines)
        self.rows = (*PROJECTIONS, *baselines)
        self.decomposition = decomposition
        self.labels = labels
        self.task: Task = task
        self.space: Space = space
        self.metrics = metrics
        self.cluster = cluster
        self.clusters = clusters_of(decomposition, cluster)
        self.n_examples, self.n_classes = map(int, decomposition.logits.shape)
        scores = projections(decomposition, labels if metrics else None, task, space)
        self.scored = {row: self.score({**scores, **baselines}[row]) for row in self.rows}
        for which in metrics:
            check(which, self.scored["full"])

    @property
    def n_clusters(self) -> int:
        """Independent units: examples, images, texts, or the fewer of the last two."""
        d = self.decomposition
        n_texts, n_images = len(d.text_share), len(d.image_share)
        if self.cluster == "none":
            return self.n_examples
        return {"image": n_images, "text": n_texts}.get(self.cluster, min(n_images, n_texts))

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
    """What the resamples gave so far."""

    def __init__(self, sample: _Sample, reprojected: bool) -> None:
        self.sample = sample
        self.reprojected = reprojected
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
        """Add resamples with their own projections; rows of the table go side by side."""
        self.n_degenerate += part.n_degenerate
        self.sums_of_squares.append(part.sums_of_squares)
        for row in self.sample.fixed:
            self._evaluate(row, self.sample.scored[row], part.weights)
        self._evaluate_constant(part.weights)
        places = self._places(len(part.weights), rng)

        def add_row(row: str) -> None:
            scored = self.sample.score(part.scores[row])
            self._evaluate(row, scored, part.weights)
            if places is not None:
                for which in self.sample.metrics:
                    mixed = evaluate_shuffled(which, scored, places)
                    self.flips[which.name, row].append(float(mixed.var(ddof=1)))

        list(pool.map(add_row, _SHUFFLED))

    def summary(self, n_resamples: int, seed: int, centred: bool) -> Intervals:
        """Return the intervals."""
        sample = self.sample
        by_name = {
            m.name: {row: np.concatenate(self.values[m.name, row]) for row in sample.rows}
            for m in sample.metrics
        }
        shares, pooled = self._shares(centred)
        return Intervals(
            rows={
                m.name: {row: self._row(m, row, by_name[m.name][row]) for row in sample.rows}
                for m in sample.metrics
            },
            gaps={
                m.name: {
                    row: self._gap(m, row, by_name[m.name], n_resamples, seed) for row in _PROJECTED
                }
                for m in sample.metrics
            },
            shares=shares,
            pooled_shares=pooled,
            cluster=sample.cluster,
            n_resamples=n_resamples,
            seed=seed,
            notes=self._notes(by_name, n_resamples),
        )

    def _evaluate(self, row: str, scored: Scored, weights: Array) -> None:
        for which in self.sample.metrics:
            self.values[which.name, row].append(evaluate_scored(which, scored, weights))

    def _evaluate_constant(self, weights: Array) -> None:
        if self.sample.metrics:
            self._evaluate("constant", *self.sample.constant(weights))

    def _places(self, size: int, rng: np.random.Generator) -> NDArray[np.intp] | None:
        # Drawn both ways, resamples vary more than the sample in any case and are left so.
        if size < 2 or self.sample.cluster == "both" or self.n_shuffled >= _RESAMPLES_TO_SHUFFLE:
            return None
        self.n_shuffled += size
        clusters = self.sample.clusters
        n: int = self.sample.n_examples if clusters is None else self.sample.n_clusters
        places = rng.permuted(np.tile(np.arange(size)[:, None], (1, n)), axis=0)
        return places if clusters is None else places[:, clusters]

    def _row(self, which: Metric, row: str, replicates: Array) -> Interval:
        # Errors, the metrics of which less is better, end at 0.
        lowest = -np.inf if which.higher_is_better else 0.0
        bounds = (0.0, 1.0) if which.unit == "points" else (lowest, np.inf)
        return interval_from_resamples(
            self.sample.value(which, row),
            replicates,
            n_clusters=self.sample.n_clusters,
            flips=self._flips(which, row),
            at_least=self._least_of_row(which, row),
            bounds=bounds,
        )

    def _gap(
        self,
        which: Metric,
        row: Projection,
        values: dict[str, Array],
        n_resamples: int,
        seed: int,
    ) -> Gap:
        sample = self.sample
        sign = 1.0 if which.higher_is_better else -1.0
        full, projected = sample.value(which, "full"), sample.value(which, row)
        found = interval_from_resamples(
            sign * (full - projected),
            sign * (values["full"] - values[row]),
            n_clusters=sample.n_clusters,
            flips=self._flips(which, row),
            at_least=self._least_of_gap(which, row),
        )
        p_value, test = self._test(which, row, n_resamples, seed)
        return Gap(
            metric=which.name,
            projection=row,
            full=full,
            projected=projected,
            difference=found.value,
            low=found.low,
            high=found.high,
            p_value=p_value,
            method=f"{self._method(n_resamples)}; {test}",
            n_examples=sample.n_examples,
            n_resamples=n_resamples,
            seed=seed,
        )

    def _method(self, n_resamples: int) -> str:
        drawn = {
            "none": "examples",
            "image": "whole images",
            "text": "whole texts",
            "both": "texts and images",
        }[self.sample.cluster]
        how = (
            "the projection computed anew in each"
            if self.reprojected
            else "of the scores alone, since the grid was not kept"
        )
        return f"{n_resamples:,} bootstrap resamples of {drawn}, {how}"

    def _flips(self, which: Metric, row: str) -> float:
        found = self.flips.get((which.name, row), [])
        return float(np.mean(found)) if found else 0.0

    def _least_of_row(self, which: Metric, row: str) -> float:
        values = self.sample.scored[row].values(which)
        if values is None or which.unit != "points" or row == "constant":
            return 0.0
        sides = (values > 0.5, values <= 0.5)
        return max(rule_of_three(side, self.sample.clusters) for side in sides)

    def _least_of_gap(self, which: Metric, row: str) -> float:
        if which.needs_probabilities or which.of_all is not None or self._is_additive():
            return 0.0
        full, other = self.sample.scored["full"], self.sample.scored[row]
        values, others = full.values(which), other.values(which)
        if values is not None and others is not None:
            differs = values != others
        else:
            differs = full.predictions != other.predictions
        differs = differs.any(axis=-1) if differs.ndim == 2 else differs
        return rule_of_three(differs, self.sample.clusters)

    def _is_additive(self) -> bool:
        d = self.sample.decomposition
        share = (d.class_centred() if self.sample.task == "multiclass" else d).pooled_shares[2]
        return not share > _NO_INTERACTION

    def _test(self, which: Metric, row: str, n_resamples: int, seed: int) -> tuple[float, str]:
        sample = self.sample
        full, other = sample.scored["full"], sample.scored[row]
        if other.unknown.any():
            return float("nan"), "no test, since the projection is undefined"
        if which.name == "accuracy" and sample.cluster == "none":
            right = [s.predictions == sample.labels for s in (full, other)]
            return mcnemar(*right), "exact McNemar test"
        d = sample.decomposition
        units: dict[str, list[NDArray[np.intp] | None]] = {
            "none": [None],
            "image": [d.image_index],
            "text": [d.text_index],
        }
        # Swapping either way alone ignores what the other way shares: the larger p-value stands.
        units["both"] = units["image"] + units["text"]
        p_values = [
            randomisation_test(
                which,
                sample.labels,
                full.scores,
                other.scores,
                sample.task,
                sample.space,
                clusters=clusters,
                n_resamples=n_resamples,
                seed=seed,
            )
            for clusters in units[sample.cluster]
        ]
        return max(p_values), "paired randomisation test"

    def _shares(self, centred: bool) -> tuple[dict[str, list[Interval]], dict[str, Interval]]:
        d = self.sample.decomposition.class_centred() if centred else self.sample.decomposition
        n = self.sample.n_clusters
        if self.sums_of_squares:
            sums = np.concatenate(self.sums_of_squares)
        else:
            sums = np.full((1, 3, d.logits.shape[1]), np.nan)
        each, together = _shares_of(sums), _shares_of(sums.sum(axis=2))
        shares = {
            part: [
                interval_from_resamples(
                    float(d.variance_shares[k, c]), each[:, k, c], n_clusters=n, bounds=(0.0, 1.0)
                )
                for c in range(each.shape[2])
            ]
            for k, part in enumerate(PARTS)
        }
        pooled = {
            part: interval_from_resamples(
                float(d.pooled_shares[k]), together[:, k], n_clusters=n, bounds=(0.0, 1.0)
            )
            for k, part in enumerate(PARTS)
        }
        return shares, pooled

    def _notes(self, values: dict[str, dict[str, Array]], n_resamples: int) -> list[str]:
        notes = []
        if not self.reprojected:
            notes.append(
                "The grid was not kept: intervals come from the scores alone, which is a little "
                "too narrow, and variance shares have none."
            )
        if self.n_degenerate:
            notes.append(
                f"{self.n_degenerate:,} of {n_resamples:,} resamples held a single text or image; "
                "there the plain projection stands in for the leave-one-out one."
            )
        for name, rows in values.items():
            undefined = int(np.isnan(rows["full"]).sum())
            if undefined and not np.isnan(self.sample.value(metric(name), "full")):
                notes.append(
                    f"{metric(name).label} is undefined in {undefined:,} of {n_resamples:,} "
                    "resamples, which hold one class only; its limits are those of the others."
                )
        return notes


def _weights(
    decomposition: Decomposition, cluster: Cluster, n_resamples: int, rng: np.random.Generator
) -> Iterator[Array]:
    step = max(8, _ELEMENTS_OF_WEIGHTS // len(decomposition.logits))
    for start in range(0, n_resamples, step):
        yield draw_weights(decomposition, cluster, min(step, n_resamples - start), rng)


def _shares_of(sums: Array) -> Array:
    total = sums.sum(axis=1, keepdims=True)
    shares = np.divide(sums, total, out=np.full(sums.shape, np.nan), where=total > 0)
    return np.asarray(shares)
