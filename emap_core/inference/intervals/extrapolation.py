"""A metric of the projection from part of the grid: corrected, with limits, and when to stop.

Errors in the effects lower most metrics of the projection on average. More of the same error is
added at random, and the straight line through the metric is extrapolated back to no error: Cook &
Stefanski, "Simulation-extrapolation estimation in parametric measurement error models", JASA 89
(1994). Simulated designs, with known truth, show what the line misses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy

from emap_core.decomposition.design import Design
from emap_core.decomposition.design_of_sides import DesignOfSides
from emap_core.decomposition.incomplete import SampledFit
from emap_core.types import Array, Index

Metric = Callable[[Array], float]
"""Scores of shape (N, C) to one number; labels and task are its own business."""

Metrics = Callable[[Array], Array]
"""Scores of shape (N, C) to the values of K metrics, shape (K,)."""

_INNER_DRAWS = 8
_LEVEL = 0.95
_NEAR = 0.25
# Largest error of the simulated bias, in units of the error's effect on the metric, on the
# populations of `benchmarks.sampled`.
_UNKNOWN = 0.5


@dataclass(frozen=True)
class SampledGap:
    """A metric of the model and of its projection, the latter from part of the grid.

    Attributes
    ----------
    full, projected, difference : float
        `difference` is `full` minus `projected`.
    uncorrected : float
        The difference before it was corrected for noise in the effects.
    standard_error : float
        Only from the choice of pairs; the choice of examples comes on top.
    low, high : float
        95% limits for the difference on the exact grid of the same examples, bias included.
    bias : float
        Roughly the bias of `difference` that the correction leaves.
    bias_standard_error : float
        Of `bias`.
    """

    full: float
    projected: float
    difference: float
    uncorrected: float
    standard_error: float
    low: float
    high: float
    bias: float
    bias_standard_error: float


def sampled_gap(
    fit: SampledFit, metric: Metric, projection: str = "emap_leave_one_out", seed: int = 0
) -> SampledGap:
    """Return a metric of the model minus that of its projection, as on the exact grid.

    Parameters
    ----------
    fit : SampledFit
    metric : callable
        Takes scores, shape (N, C); returns a number. It is called about a thousand times.
    projection : str
        Attribute of the decomposition that holds the projected scores.
    seed : int
        Seed of the simulated designs behind the standard error.
    """
    (gap,) = sampled_gaps(fit, lambda scores: np.array([metric(scores)]), projection, seed)
    return gap


def sampled_gaps(
    fit: SampledFit, metrics: Metrics, projection: str = "emap_leave_one_out", seed: int = 0
) -> list[SampledGap]:
    """Return `sampled_gap` of several metrics, which see the same simulated scores.

    Parameters
    ----------
    fit : SampledFit
    metrics : callable
        Takes scores, shape (N, C), and returns one number for each metric, shape (K,).
    projection : str
    seed : int
    """
    decomposition = fit.decomposition
    # In memory, one class after the other, as metrics read them.
    scores = np.asfortranarray(getattr(decomposition, projection))
    full, plain = metrics(decomposition.logits), metrics(scores)
    if fit.fraction >= 1:
        projected, error, bias, bias_error = plain, *np.zeros((3, len(plain)))
    else:
        noise = [_scores_of_noise(fit, b, projection) for b in range(len(fit.noise[0]))]
        rest = 1.0 - fit.fraction
        rng = np.random.default_rng(seed)
        orders = [rng.permutation(len(scores)) for _ in noise]
        projected, spread = _without_error(metrics, scores, noise, rest, orders)
        simulated = _simulated_error(metrics, scores, noise, rest, spread, orders, seed)
        error, bias, bias_error = simulated
    gap = full - projected
    # Number of pairs of simulated designs from which the standard error is known.
    reach = t_reach(degrees_of_freedom(fit)) * np.hypot(error, bias)
    numbers = np.stack(
        [
            full,
            projected,
            gap,
            full - plain,
            error,
            gap - reach,
            gap + reach,
            # What lowers the projection's metric raises the difference.
            -bias,
            bias_error,
        ],
        axis=1,
    )
    return [SampledGap(*map(float, of_metric)) for of_metric in numbers]


def degrees_of_freedom(fit: SampledFit) -> int:
    """Return the standard error's degrees of freedom: one less than the draws of the error."""
    return len(fit.noise[0]) - 1


def t_reach(degrees_of_freedom: int) -> float:
    """Return how many standard errors a 95% limit is off."""
    return float(scipy.special.stdtrit(degrees_of_freedom, (1.0 + _LEVEL) / 2.0))


def next_cells_per_item(
    design: Design | DesignOfSides, gap: SampledGap, tolerance: float
) -> int | None:
    """Return in how many cells each item should be next, or None if the gap is known well enough.

    That is when half the width of the interval, including bias, is within `tolerance`. Rounds
    double; the whole grid follows at once if another doubling would reach it, or if no smaller
    design seems to be enough.
    """
    reach = (gap.high - gap.low) / 2.0
    most = design.most_cells_per_item
    if design.fraction >= 1 or reach <= tolerance:
        return None
    if tolerance <= 0:
        return most
    needed = (reach / tolerance) ** 2 * design.cells_per_item
    doubled = 2 * design.cells_per_item
    return most if doubled >= most or needed >= 2 * most else doubled


def _scores_of_noise(fit: SampledFit, draw: int, projection: str) -> Array:
    # Projections are linear in logits and means, so errors are projected like means.
    side_means = tuple(draws[draw].astype(np.float64) for draws in fit.noise)
    projected = replace(
        fit.decomposition,
        logits=np.zeros_like(fit.decomposition.logits),
        mean=fit.decomposition.shares[0] @ side_means[0],
        side_means=side_means,
    )
    return np.asfortranarray(getattr(projected, projection))


def _without_error(
    metrics: Metrics,
    scores: Array,
    noise: Sequence[Array],
    rest: float,
    orders: Sequence[Index],
) -> tuple[Array, Array]:
    """Return metrics without error, and the variance that the number of draws adds to each.

    Error is added up to what four fifths and one half of the cells would leave: a quarter and one
    unit more than all of them leave. The line through both is extrapolated to no error, `rest`
    units less, which is under one unit for a finite grid. Examples swap their draws, each draw in
    an order of its own: an example whose pairs happen to contain an outlier has both a large error
    and large draws, and would move further from its truth than the line can follow back.
    """
    lines = []
    for draw, order in zip(noise, orders, strict=False):
        added = draw.T.take(order, axis=1).T
        for sign in (1.0, -1.0):
            near = metrics(scores + (sign * np.sqrt(_NEAR)) * added)
            far = metrics(scores + sign * added)
            lines.append(near - (far - near) / (1.0 - _NEAR) * (_NEAR + rest))
    # Metrics first, so that no digit of one depends on how many others there are.
    pairs = np.stack(lines, axis=1).reshape(-1, len(noise), 2).mean(axis=2)
    return pairs.mean(axis=1), pairs.var(axis=1, ddof=1) / len(noise)


def _simulated_error(
    metrics: Metrics,
    scores: Array,
    noise: Sequence[Array],
    rest: float,
    spread: Array,
    orders: Sequence[Index],
    seed: int,
) -> tuple[Array, Array, Array]:
    """Return standard deviation and mean of the estimate's error, and how well that mean is known.

    The truth is one draw off the estimated scores, so that examples at a threshold fall to either
    side of it, and the data are another draw off that truth. Such a truth has more error in it than
    the real one: the mean is as uncertain as a part of the error's effect on the metric.
    """
    rng = np.random.default_rng(seed)
    size = np.sqrt(rest)
    errors, spreads, plain = [], [], []
    for b in range(len(noise)):
        for sign in (1.0, -1.0):
            others = rng.permutation(np.delete(np.arange(len(noise)), b))
            truth = scores + sign * size * noise[b]
            seen = truth + rng.choice((-1.0, 1.0)) * size * noise[others[0]]
            inner = [noise[i] for i in others[1 : 1 + _INNER_DRAWS]]
            found, inner_spread = _without_error(metrics, seen, inner, rest, orders)
            known = metrics(truth)
            errors.append(found - known)
            plain.append(metrics(seen) - known)
            spreads.append(inner_spread)
    of_errors = np.stack(errors, axis=1)
    variance = of_errors.var(axis=1, ddof=1) - np.stack(spreads, axis=1).mean(axis=1) + spread
    # If draws outweigh the error, their own spread is the least that can be reported.
    error = np.sqrt(np.maximum(variance, spread))
    of_mean = of_errors.std(axis=1, ddof=1) / np.sqrt(len(errors))
    unknown = np.hypot(of_mean, _UNKNOWN * np.stack(plain, axis=1).mean(axis=1))
    return error, of_errors.mean(axis=1), unknown
