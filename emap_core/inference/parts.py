"""The gap on a part of the examples: a slice, with the projection of the whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emap_core.decomposition import Decomposition
from emap_core.inference.gap import Gap, Projection
from emap_core.inference.limits import interval_from_resamples, rule_of_three
from emap_core.inference.metrics import (
    Array,
    Scored,
    Space,
    Task,
    check,
    evaluate_scored,
    metric,
)
from emap_core.inference.resampling import Cluster, clusters_of, draw_weights, resolve_cluster
from emap_core.inference.table import projections

_ELEMENTS_OF_WEIGHTS = 2**22


def part_gap(
    decomposition: Decomposition,
    labels: ArrayLike,
    mask: NDArray[np.bool_],
    task: Task,
    which: str,
    space: Space = "logits",
    *,
    projection: Projection = "emap_leave_one_out",
    cluster: Cluster = "auto",
    n_resamples: int = 1000,
    seed: int = 0,
) -> Gap:
    """Return what a metric loses without interactions on some of the examples.

    The projection is that of all examples. The interval is a bootstrap of the scores alone, which
    the method says; there is no test, since a slice is often chosen for what it shows.

    Parameters
    ----------
    decomposition : Decomposition
    labels : array of shape (N,) or (N, C)
    mask : ndarray of bool, shape (N,)
        The part.
    task, which, space : str
        As for `evaluate`.
    projection : {"emap_leave_one_out", "emap"}
    cluster : str
        What is drawn, as for `intervals`.
    n_resamples, seed : int
    """
    chosen, size = metric(which), int(mask.sum())
    truth = np.asarray(labels)[mask]
    scores = projections(decomposition, np.asarray(labels), task, space)
    full, other = (Scored(truth, scores[row][mask], task, space) for row in ("full", projection))
    check(chosen, full)
    cluster = resolve_cluster(cluster, decomposition)
    clusters = clusters_of(decomposition, cluster)
    inside = np.arange(size) if clusters is None else clusters[mask]
    sign = 1.0 if chosen.higher_is_better else -1.0

    def values(weights: Array) -> tuple[Array, Array]:
        return evaluate_scored(chosen, full, weights), evaluate_scored(chosen, other, weights)

    nan = np.full(1, np.nan)
    (whole,), (projected,) = values(np.ones((1, size))) if size else (nan, nan)
    rng = np.random.default_rng(seed)
    replicates = [nan]
    step = max(8, _ELEMENTS_OF_WEIGHTS // len(mask))
    for start in range(0, n_resamples if size else 0, step):
        # Drawn among all examples, so that the size of the part varies as it would.
        drawn = draw_weights(decomposition, cluster, min(step, n_resamples - start), rng)
        drawn = drawn[:, mask].astype(np.float64)
        first, second = values(drawn[drawn.sum(axis=1) > 0])
        replicates.append(sign * (first - second))
    differs = full.predictions != other.predictions
    differs = differs.any(axis=-1) if differs.ndim == 2 else differs
    decisions = not chosen.needs_probabilities and chosen.of_all is None
    found = interval_from_resamples(
        float(sign * (whole - projected)),
        np.concatenate(replicates),
        n_clusters=len(np.unique(inside)),
        at_least=rule_of_three(differs, inside) if size and decisions else 0.0,
    )
    return Gap(
        metric=chosen.name,
        projection=projection,
        full=float(whole),
        projected=float(projected),
        difference=found.value,
        low=found.low,
        high=found.high,
        p_value=float("nan"),
        method=f"{n_resamples:,} bootstrap resamples of the scores alone",
        n_examples=size,
        n_resamples=n_resamples,
        seed=seed,
    )
