"""The gap on a slice of the examples, with the projection of all of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emap_core.decomposition import Decomposition
from emap_core.inference.comparisons.difference import paired_difference
from emap_core.inference.gap import Gap, Projection
from emap_core.inference.metrics import check, evaluate_scored, metric
from emap_core.inference.predictions.scores import Scored
from emap_core.inference.resamples.limits import CONFIDENCE, ValueWithLimits
from emap_core.inference.resamples.population import N_RESAMPLES, population_of_sides
from emap_core.inference.table.score_table import projections
from emap_core.types import Cluster, Space, Task


def slice_gap(
    decomposition: Decomposition,
    labels: ArrayLike,
    mask: NDArray[np.bool_],
    task: Task,
    which: str,
    space: Space = "logits",
    *,
    projection: Projection = "emap_leave_one_out",
    cluster: Cluster = "auto",
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
    confidence: float = CONFIDENCE,
    tested: bool = False,
) -> Gap:
    """Return what a metric loses without interactions on some of the examples.

    The projection is that of all examples. The interval is a bootstrap of the slice's scores
    alone, which the method says.

    Parameters
    ----------
    decomposition : Decomposition
    labels : array of shape (N,) or (N, C)
    mask : ndarray of bool, shape (N,)
        The slice.
    task, which, space : str
        As for `evaluate`.
    projection : {"emap_leave_one_out", "emap"}
    cluster : str
        What is drawn from the slice, as for `intervals`.
    n_resamples, seed : int
    confidence : float
        How often the limits hold the gap; more often where they have to hold several at once.
    tested : bool
        Whether to test the gap against 0: not where the slice was chosen for what it shows.
    """
    chosen, size = metric(which), int(mask.sum())
    truth = np.asarray(labels)[mask]
    scores = projections(decomposition, np.asarray(labels), task, space)
    full, other = (Scored(truth, scores[row][mask], task, space) for row in ("full", projection))
    check(chosen, full)
    index = zip(decomposition.sides, decomposition.index, strict=True)
    population = population_of_sides({side: items[mask] for side, items in index}, cluster)
    nan = float("nan")
    whole, projected = (
        float(evaluate_scored(chosen, scored, np.ones((1, size)))[0]) if size else nan
        for scored in (full, other)
    )
    found = ValueWithLimits(nan, nan, nan, nan, 0, nan)
    if size:
        found = paired_difference(
            chosen.name,
            truth,
            full.scores,
            other.scores,
            task,
            space,
            population,
            n_resamples=n_resamples,
            seed=seed,
            confidence=confidence,
        )
    each = population.share_out(n_resamples)
    return found.gap(
        population,
        metric=chosen.name,
        projection=projection,
        full=whole,
        projected=projected,
        method=f"{each:,} bootstrap resamples of {population.drawn_words}, of the scores alone",
        n_examples=size,
        n_resamples=each,
        seed=seed,
        tested=tested,
    )
