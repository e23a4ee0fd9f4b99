"""Limits and test of a number from resamples that compute the projection anew.

Limits should hold for the number's expectation over data sets of this size. For a gap, that is how
much better the model does than a projection computed from as many texts and images as here, not
from infinitely many: with few items, a projection is noisier and does worse, so the gap is larger.
The leave-one-out gap estimates the former without bias, except for the cell that it leaves out.

Such resamples vary too much. A projected score carries the noise of its means, which makes single
decisions flip. Drawing examples already includes that noise, because it is part of how the examples
of one sample differ; computing the projection anew adds it once more. To see how much that adds,
every example is taken from a different resample: effects common to all examples average out, and
the flips of single ones remain. That part is subtracted.

The limits follow from the variance: those of a t distribution with one degree of freedom less than
there are units; for shares and differences of shares, where a normal distribution fails if few
examples decide, Wilson's (1927) and Tango's (Statistics in Medicine 17, 1998) score limits.
Wilson's are for as many independent examples as would have this variance. So are Tango's if few
units have a flip; otherwise they are those of the examples, widened by the square root of the
variance over that of independent examples. Every p-value belongs to the same statistic as its
limits, so it is below 5% exactly when they exclude 0. `benchmarks` measures how often they hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from emap_core.inference.gap import Gap, Interval
from emap_core.inference.metrics import Metric
from emap_core.inference.predictions.scores import Scored
from emap_core.inference.resamples.population import Population
from emap_core.types import Array

CONFIDENCE = 0.95

# Fewer units do not show how they differ: count units instead of examples.
_FEW_UNITS = 3
# From this many units with flips on, limits are those of the examples, widened.
_SEVERAL_UNITS = 10
# How many times the chance value of a squared skewness is subtracted: two standard errors.
_CHANCE = 4.0
_NO_SKEWNESS = 1e-6
# Where the search for a limit starts, away from the value itself.
_NEXT_TO = 1e-9


@dataclass(frozen=True)
class ValueWithLimits:
    """A value with 95% limits and a test against 0; NaN if there are none.

    Attributes
    ----------
    value, low, high : float
    standard_error : float
    degrees_of_freedom : int
        Of the t distribution of the limits.
    p_value : float
        For the hypothesis that the value is 0 in the population.
    """

    value: float
    low: float
    high: float
    standard_error: float
    degrees_of_freedom: int
    p_value: float

    def interval(self, bounds: tuple[float, float] = (-np.inf, np.inf)) -> Interval:
        """Return value and limits, with limits inside the range of the value."""
        return Interval(
            self.value, float(max(self.low, bounds[0])), float(min(self.high, bounds[1]))
        )

    def gap(
        self,
        population: Population,
        *,
        metric: str,
        projection: str,
        full: float,
        projected: float,
        method: str,
        n_examples: int,
        n_resamples: int,
        seed: int,
        tested: bool = True,
    ) -> Gap:
        """Return the gap that this estimates; without `tested`, it has no p-value."""
        return Gap(
            metric=metric,
            projection=projection,
            full=full,
            projected=projected,
            difference=self.value,
            low=self.low,
            high=self.high,
            p_value=self.p_value if tested else float("nan"),
            method=method,
            n_examples=n_examples,
            n_resamples=n_resamples,
            seed=seed,
            standard_error=self.standard_error,
            degrees_of_freedom=self.degrees_of_freedom,
            cluster=population.cluster,
            n_units=population.n_units,
            unit=population.unit,
            population=population.words,
        )


def variance_of(replicates: Array, size: int, flips: float = 0.0) -> float:
    """Return the variance of B replicates of a value, shape (B,).

    Parameters
    ----------
    replicates : ndarray of shape (B,)
        NaN if a resample leaves the value undefined; those do not count.
    size : int
        Number of units that were drawn.
    flips : float
        The excess variance from computing the projection anew.
    """
    known = replicates[np.isfinite(replicates)]
    if len(known) < 2 or size < 2:
        return float("nan")
    variance = float(known.var(ddof=1))
    # The flips count twice in total, so they are at most half of the variance.
    return max(variance - flips, variance / 2) * size / (size - 1)


def third_moment_of(replicates: Array) -> float:
    """Return the third central moment of B replicates of a value, shape (B,).

    It is shrunk by its chance value for this many replicates, to 0 if chance may explain it.
    """
    known = replicates[np.isfinite(replicates)]
    if len(known) < 2:
        return 0.0
    third = float(((known - known.mean()) ** 3).mean())
    by_chance = _CHANCE * 6.0 / len(known) * float(known.var()) ** 3
    return third * (1.0 - by_chance / third**2) if third**2 > by_chance else 0.0


def estimate(
    value: float,
    variances: Sequence[float],
    population: Population,
    *,
    thirds: Sequence[float] | None = None,
    at_least: float = 0.0,
    confidence: float = CONFIDENCE,
) -> ValueWithLimits:
    """Return a value with the limits and the test that follow from its variance.

    If a few examples carry much of a value, such as a log loss with heavy tails, replicates are
    skewed, and samples without such examples have a standard error that is too small. The limit on
    that side then moves further out, by Hall's cubic transformation of t (JRSS B 54, 1992), to at
    most twice the distance.

    Parameters
    ----------
    value : float
    variances : sequence of float
        From `variance_of`, for each of the population's draws.
    population : Population
    thirds : sequence of float, optional
        From `third_moment_of`, likewise; symmetric limits without them.
    at_least : float
        The smallest half-width that may be reported.
    confidence : float
        How often the limits hold for the value.
    """
    freedom = population.degrees_of_freedom
    variance = population.variance(variances)
    if not np.isfinite(value) or not np.isfinite(variance) or freedom < 1:
        nan = float("nan")
        return ValueWithLimits(value, nan, nan, nan, freedom, nan)
    reach = _reach(freedom, confidence)
    error, below, above = float(np.sqrt(variance)), reach, reach
    if error < at_least / reach:
        error = at_least / reach
    elif error > 0 and thirds is not None:
        skewness = population.third_moment(thirds) / error**3
        below, above = _far(-skewness, reach), _far(skewness, reach)
    # Stretched like the limit towards 0, so that both exclude 0 together.
    t = abs(value) * reach / (below if value > 0 else above)
    p_value = two_sided(t / error, freedom) if error > 0 else float(value == 0)
    return ValueWithLimits(
        value, value - below * error, value + above * error, error, freedom, p_value
    )


def two_sided(t: float, degrees_of_freedom: float) -> float:
    """Return the probability of a t at least as far from 0."""
    return float(2 * scipy.special.stdtr(degrees_of_freedom, -abs(t)))


def paired_estimate(
    which: Metric,
    value: float,
    first: Scored,
    second: Scored,
    variances: Sequence[float],
    population: Population,
    confidence: float = CONFIDENCE,
    *,
    thirds: Sequence[float] | None = None,
) -> ValueWithLimits:
    """Return how much better one set of scores does than another, with limits and test.

    Parameters
    ----------
    which : Metric
    value : float
        The difference; positive is better.
    first, second : Scored
        Both for the same N examples.
    variances, population, confidence, thirds
        As for `estimate`.
    """
    values, others = which.values(first), which.values(second)
    variance = population.variance(variances)
    if which.unit != "points" or values is None or others is None or not np.isfinite(value):
        least = _least_half_width(which, first, second, population)
        return estimate(
            value, variances, population, thirds=thirds, at_least=least, confidence=confidence
        )
    if not np.isfinite(variance) or population.degrees_of_freedom < 1:
        return estimate(value, variances, population)
    return _of_gains(values - others, variance, population, confidence)


def share_estimate(values: Array, variance: float, population: Population) -> Interval:
    """Return the mean of values from 0 to 1, shape (N,), with Wilson's limits.

    Parameters
    ----------
    values : ndarray of shape (N,)
    variance : float
        Variance of their mean.
    population : Population
    """
    n, share = len(values), float(values.mean())
    freedom = population.degrees_of_freedom
    if not np.isfinite(variance) or freedom < 1:
        return Interval(share, float("nan"), float("nan"))
    scale = _scale(values, variance, share * (1.0 - share) / max(n - 1, 1))
    if min(population.fewest(values > 0.5), population.fewest(values <= 0.5)) < _FEW_UNITS:
        scale = max(scale, n / population.n_units)
    return Interval(share, *_wilson(share, n / scale, _reach(freedom)))


def _of_gains(
    gains: Array, variance: float, population: Population, confidence: float
) -> ValueWithLimits:
    """Return the mean of gains from -1 to 1, shape (N,), with Tango's limits."""
    n, freedom = len(gains), population.degrees_of_freedom
    value = float(gains.mean())
    helped, hurt = float(gains[gains > 0].sum()), float(-gains[gains < 0].sum())
    scale = _scale(gains, variance, (helped + hurt - n * value**2) / n / max(n - 1, 1))
    n_differing = population.fewest(gains != 0)
    if n_differing < _FEW_UNITS:
        scale = max(scale, n / population.n_units)
    # Counts as small as for independent examples reach too far if many units differ.
    as_one = min(scale, 1.0) if n_differing >= _SEVERAL_UNITS else scale
    counts, widening = (helped / as_one, hurt / as_one, n / as_one), float(np.sqrt(scale / as_one))
    reach = _reach(freedom, confidence)
    low, high = (value + widening * (limit - value) for limit in tango(*counts, reach))
    low, high = max(low, -1.0), min(high, 1.0)
    # 0 is a limit if the narrower limits end at this difference.
    squares, of_score = _score(*counts, value * (1.0 - 1.0 / widening))
    t = float(np.sqrt(squares / of_score)) if of_score > 0 else 0.0
    error = (high - low) / 2 / reach
    return ValueWithLimits(value, low, high, error, freedom, two_sided(t, freedom))


def _scale(values: Array, variance: float, of_counts: float) -> float:
    """Return how many examples count as one independent one that is right or wrong."""
    alone = float(values.var(ddof=1)) / len(values) if len(values) > 1 else 0.0
    return max(variance, alone) / of_counts if of_counts > 0 else 1.0


def _wilson(share: float, n: float, reach: float) -> tuple[float, float]:
    centre = (share + reach**2 / (2 * n)) / (1 + reach**2 / n)
    half = reach / (1 + reach**2 / n) * np.sqrt(share * (1 - share) / n + (reach / n) ** 2 / 4)
    return max(float(centre - half), 0.0), min(float(centre + half), 1.0)


def tango(helped: float, hurt: float, n: float, reach: float) -> tuple[float, float]:
    """Return the differences that a score test of `helped` and `hurt` of `n` does not reject."""

    def excess(difference: float) -> float:
        squares, variance = _score(helped, hurt, n, difference)
        return squares - reach**2 * variance

    value = (helped - hurt) / n
    limits = []
    for end in (-1.0, 1.0):
        start = value + end * _NEXT_TO
        inside = abs(start) < 1 and excess(end) > 0
        limits.append(_root(excess, start, end) if inside else end)
    return float(limits[0]), float(limits[1])


def _root(function: Callable[[float], float], first: float, last: float) -> float:
    """Return where a function changes its sign, by bisection down to the precision of numbers.

    Some hundred calls take less time than loading the solvers of SciPy.
    """
    positive = function(first) > 0
    while True:
        middle = (first + last) / 2
        if middle in (first, last):
            return middle
        first, last = (middle, last) if (function(middle) > 0) == positive else (first, middle)


def _score(helped: float, hurt: float, n: float, difference: float) -> tuple[float, float]:
    """Return how far counts are from a difference, squared, and the variance of that distance."""
    # The hurt share is its maximum-likelihood value under this difference (Tango 1998, §2).
    b = (2 * n - helped + hurt) * difference - helped - hurt
    c = -hurt * difference * (1 - difference)
    share = (np.sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
    variance = n * (2 * share + difference * (1 - difference))
    return float((helped - hurt - n * difference) ** 2), float(variance)


def _far(skewness: float, reach: float) -> float:
    """Return how many standard errors away a limit is, on the side of a positive skewness."""
    if skewness < _NO_SKEWNESS:
        return reach
    cubic = 1.0 - skewness * (reach + skewness / 6.0)
    return float(np.clip(3.0 / skewness * (1.0 - np.cbrt(cubic)), reach, 2.0 * reach))


def _reach(degrees_of_freedom: int, confidence: float = CONFIDENCE) -> float:
    return float(scipy.special.stdtrit(degrees_of_freedom, (1 + confidence) / 2))


def _least_half_width(
    which: Metric, first: Scored, second: Scored, population: Population
) -> float:
    if which.needs_probabilities or which.of_all is not None:
        return 0.0
    differs = first.predictions != second.predictions
    return rule_of_three(differs.any(axis=-1) if differs.ndim == 2 else differs, population)


def rule_of_three(differs: NDArray[np.bool_], population: Population) -> float:
    """Return the least honest half-width if hardly any example differs, otherwise 0.

    What n independent units did not show may still be true for 3 in n (Hanley & Lippman-Hand, JAMA
    1983); resamples of identical examples would give 0.
    """
    if population.fewest(differs) >= _FEW_UNITS:
        return 0.0
    return min(3.0 / population.n_units, 1.0)
