"""One gap for several trainings of one model: their mean, for new seeds and new examples.

The gain of every example under every seed is a table without repetition, seeds by examples, and
both are random. The variance of its mean is that of both effects, and the residual counts in each
of them (Searle, Casella & McCulloch, Variance Components, 1992, §4.7), with degrees of freedom
after Satterthwaite (Biometrics Bulletin 2, 1946).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from emap_core.inference.example_kinds import variance_of_mean
from emap_core.inference.resamples.limits import CONFIDENCE, two_sided
from emap_core.inference.resamples.population import Population
from emap_core.types import Array


@dataclass(frozen=True)
class SeedsGap:
    """The mean gap of K seeds, for new seeds and new examples.

    Attributes
    ----------
    mean : float
        In the metric's own units; positive means that interactions help.
    low, high : float
        95% interval; NaN with a single seed.
    p_value : float
        Of the hypothesis that the mean gap of all seeds is 0.
    standard_error, degrees_of_freedom : float
    spread : float
        Standard deviation between the gaps of the seeds.
    n_seeds, n_examples : int
    population : str
        "for new seeds, new texts and new images".
    """

    mean: float
    low: float
    high: float
    p_value: float
    standard_error: float
    degrees_of_freedom: float
    spread: float
    n_seeds: int
    n_examples: int
    population: str


def seeds_gap(gains: Array, population: Population, widening: float = 1.0) -> SeedsGap:
    """Return the mean gap of K seeds of one model.

    Parameters
    ----------
    gains : ndarray of shape (K, N)
        What each example gains from interactions under each seed; the mean over examples is the
        seed's gap.
    population : Population
        Of the examples.
    widening : float
        The factor by which computing the projection anew increases the variance of a gap.
    """
    n_seeds, n_examples = gains.shape
    each, of_examples = gains.mean(axis=1), gains.mean(axis=0)
    mean = float(each.mean())
    words = population.words.replace("for ", "for new seeds and ", 1).replace(
        "new seeds and new texts and new images", "new seeds, new texts and new images"
    )
    nan = float("nan")
    if n_seeds < 2 or population.degrees_of_freedom < 1:
        return SeedsGap(mean, nan, nan, nan, nan, nan, nan, n_seeds, n_examples, words)
    rest = gains - each[:, None] - of_examples + mean
    terms = np.array(
        [
            float(each.var(ddof=1)) / n_seeds,
            widening
            * population.variance(
                [variance_of_mean(of_examples - mean, units) for units in population.draws]
            ),
            float((rest**2).sum()) / ((n_seeds - 1) * (n_examples - 1)) / (n_seeds * n_examples),
        ]
    )
    freedoms = [n_seeds - 1, population.degrees_of_freedom, (n_seeds - 1) * (n_examples - 1)]
    variance = max(terms[0] + terms[1] - terms[2], terms[0], terms[1])
    if variance == 0.0:
        return SeedsGap(
            mean, mean, mean, float(mean == 0), 0.0, nan, 0.0, n_seeds, n_examples, words
        )
    freedom = max(float(variance**2 / (terms**2 / freedoms).sum()), 1.0)
    error = float(np.sqrt(variance))
    reach = float(scipy.special.stdtrit(freedom, (1 + CONFIDENCE) / 2))
    return SeedsGap(
        mean=mean,
        low=mean - reach * error,
        high=mean + reach * error,
        p_value=two_sided(mean / error, freedom),
        standard_error=error,
        degrees_of_freedom=freedom,
        spread=float(each.std(ddof=1)),
        n_seeds=n_seeds,
        n_examples=n_examples,
        population=words,
    )
