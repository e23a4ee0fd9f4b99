"""Limits of an interval from resamples in which the projection was computed anew.

Such resamples vary too much. A projected score carries the noise of the means that it is made
of, which makes single decisions flip; that noise is part of how the examples of one sample
differ, so that drawing examples carries it already, and computing the projection anew adds it
once more. How much it adds is seen by taking every example from a resample of its own: what is
common to all examples averages out, and the flips of single ones remain. The limits are those of
a normal distribution with that part taken off, on n − 1 degrees of freedom; how often they hold
the truth, beside percentile, basic, BCa and studentised ones, is measured in `benchmarks`.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from emap_core.inference.gap import Interval
from emap_core.inference.scores import Array

CONFIDENCE = 0.95


def interval_from_resamples(
    value: float,
    replicates: Array,
    *,
    n_clusters: int,
    flips: float = 0.0,
    at_least: float = 0.0,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> Interval:
    """Return a value with the limits that its replicates give.

    Parameters
    ----------
    value : float
    replicates : ndarray of shape (B,)
        NaN where a resample leaves the value undefined; those are not counted.
    n_clusters : int
        Examples, or images or texts where whole ones are drawn.
    flips : float
        Variance that computing the projection anew adds once too often.
    at_least : float
        The smallest half-width that may be reported.
    bounds : tuple of float
        The range of the value.
    """
    known = replicates[np.isfinite(replicates)]
    if not np.isfinite(value) or len(known) < 2 or n_clusters < 2:
        return Interval(value, float("nan"), float("nan"))
    variance = float(known.var(ddof=1))
    # The flips are counted twice in all, so that they are at most half of the variance.
    variance = max(variance - flips, variance / 2) * n_clusters / (n_clusters - 1)
    half = float(special.stdtrit(n_clusters - 1, (1 + CONFIDENCE) / 2)) * np.sqrt(variance)
    half = max(half, at_least)
    return Interval(value, float(max(value - half, bounds[0])), float(min(value + half, bounds[1])))


def rule_of_three(differs: Array, clusters: Array | None) -> float:
    """Return the half-width that honesty asks for where hardly any example differs, else 0.

    What was not seen in n independent examples may still hold for 3 in n (Hanley &
    Lippman-Hand, JAMA 1983); resamples of examples that are all alike would say 0.
    """
    numbers = np.arange(len(differs)) if clusters is None else clusters
    if len(np.unique(numbers[differs])) >= 3:
        return 0.0
    return min(3.0 / len(np.unique(numbers)), 1.0)
