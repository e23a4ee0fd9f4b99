"""The gap on a slice of the examples, with the projection of all of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emap_core.inference.comparisons.difference import paired_difference
from emap_core.inference.comparisons.example_scores import ExampleScores
from emap_core.inference.gap import Gap
from emap_core.inference.metrics import check, evaluate_scored, metric
from emap_core.inference.resamples.limits import CONFIDENCE, ValueWithLimits
from emap_core.inference.resamples.population import population_of_sides


def slice_gap(
    examples: ExampleScores,
    mask: NDArray[np.bool_],
    *,
    confidence: float = CONFIDENCE,
    tested: bool = False,
) -> Gap:
    """Return what a metric loses without interactions on some of the examples.

    The interval is a bootstrap of the slice's scores alone, which the method says.

    Parameters
    ----------
    examples : ExampleScores
    mask : ndarray of bool, shape (N,)
        The slice.
    confidence : float
        How often the limits hold for the gap; more often if they must hold for several at once.
    tested : bool
        Whether to test the gap against 0: not if the slice was chosen for what it shows.
    """
    chosen, size = metric(examples.metric), int(mask.sum())
    full, other = examples.on(mask)
    check(chosen, full)
    d = examples.decomposition
    index = zip(d.sides, d.index, strict=True)
    population = population_of_sides({side: items[mask] for side, items in index}, examples.cluster)
    nan = float("nan")
    whole, projected = (
        float(evaluate_scored(chosen, scored, np.ones((1, size)))[0]) if size else nan
        for scored in (full, other)
    )
    found = ValueWithLimits(nan, nan, nan, nan, 0, nan)
    if size:
        found = paired_difference(
            chosen.name,
            full.labels,
            full.scores,
            other.scores,
            examples.task,
            examples.space,
            population,
            n_resamples=examples.n_resamples,
            seed=examples.seed,
            confidence=confidence,
        )
    each = population.share_out(examples.n_resamples)
    return found.gap(
        population,
        metric=chosen.name,
        projection=examples.projection,
        full=whole,
        projected=projected,
        method=f"{each:,} bootstrap resamples of {population.drawn_words}, of the scores alone",
        n_examples=size,
        n_resamples=each,
        seed=examples.seed,
        tested=tested,
    )
