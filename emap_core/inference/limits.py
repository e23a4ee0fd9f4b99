"""Limits and test of a number from resamples in which the projection was computed anew.

Such resamples vary too much. A projected score carries the noise of the means that it is made
of, which makes single decisions flip; that noise is part of how the examples of one sample
differ, so that drawing examples carries it already, and computing the projection anew adds it
once more. How much it adds is seen by taking every example from a resample of its own: what is
common to all examples averages out, and the flips of single ones remain. The limits are those of
a t distribution with that part taken off, on one degree of freedom less than there are units; the
p-value is that of the same t, so that it is below 5% just where the limits leave out 0. How often
they hold the truth is measured in `benchmarks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from emap_core.inference.gap import Interval
from emap_core.inference.metrics import Metric
from emap_core.inference.population import Population
from emap_core.inference.scores import Array, Scored

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A value with 95% limits and a test against 0, NaN where there are none.

    Attributes
    ----------
    value, low, high : float
    standard_error : float
    degrees_of_freedom : int
        Of the t distribution of the limits.
    p_value : float
        Of the hypothesis that the value is 0 in the population.
    """

    value: float
    low: float
    high: float
    standard_error: float
    degrees_of_freedom: int
    p_value: float

    def interval(self, bounds: tuple[float, float] = (-np.inf, np.inf)) -> Interval:
        """Return value and limits, the limits inside the range of the value."""
        return Interval(
            self.value, float(max(self.low, bounds[0])), float(min(self.high, bounds[1]))
        )


def variance_of(replicates: Array, size: int, flips: float = 0.0) -> float:
    """Return the variance that B replicates of a value, shape (B,), show.

    Parameters
    ----------
    replicates : ndarray of shape (B,)
        NaN where a resample leaves the value undefined; those are not counted.
    size : int
        Units that were drawn.
    flips : float
        Variance that computing the projection anew adds once too often.
    """
    known = replicates[np.isfinite(replicates)]
    if len(known) < 2 or size < 2:
        return float("nan")
    variance = float(known.var(ddof=1))
    # The flips are counted twice in all, so that they are at most half of the variance.
    return max(variance - flips, variance / 2) * size / (size - 1)


def estimate(
    value: float,
    variances: Sequence[float],
    population: Population,
    *,
    at_least: float = 0.0,
) -> Estimate:
    """Return a value with the limits and the test that its variance gives.

    Parameters
    ----------
    value : float
    variances : sequence of float
        From `variance_of`, for each of the population's draws.
    population : Population
    at_least : float
        The smallest half-width that may be reported.
    """
    freedom = population.degrees_of_freedom
    variance = population.variance(variances)
    if not np.isfinite(value) or not np.isfinite(variance) or freedom < 1:
        nan = float("nan")
        return Estimate(value, nan, nan, nan, freedom, nan)
    reach = float(special.stdtrit(freedom, (1 + CONFIDENCE) / 2))
    error = max(float(np.sqrt(variance)), at_least / reach)
    p_value = two_sided(abs(value) / error, freedom) if error > 0 else float(value == 0)
    return Estimate(value, value - reach * error, value + reach * error, error, freedom, p_value)


def two_sided(t: float, degrees_of_freedom: int) -> float:
    """Return how likely a t at least as far from 0 is."""
    return float(2 * special.stdtr(degrees_of_freedom, -abs(t)))


def least_half_width(which: Metric, first: Scored, second: Scored, population: Population) -> float:
    """Return the smallest half-width that the difference of two sets of scores may have."""
    if which.needs_probabilities or which.of_all is not None:
        return 0.0
    values, others = first.values(which), second.values(which)
    if values is None or others is None:
        values, others = first.predictions, second.predictions
    differs = values != others
    return rule_of_three(differs.any(axis=-1) if differs.ndim == 2 else differs, population)


def rule_of_three(differs: NDArray[np.bool_], population: Population) -> float:
    """Return the half-width that honesty asks for where hardly any example differs, else 0.

    What was not seen in n independent units may still hold for 3 in n (Hanley & Lippman-Hand,
    JAMA 1983); resamples of examples that are all alike would say 0.
    """
    if population.fewest(differs) >= 3:
        return 0.0
    return min(3.0 / population.n_units, 1.0)
