"""Intervals of a run that evaluated part of the grid: from pairs and from examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from emap_core.decomposition.incomplete import SampledFit
from emap_core.inference.gap import Gap, Interval, Intervals
from emap_core.inference.intervals.extrapolation import (
    Metrics,
    SampledGap,
    degrees_of_freedom,
    sampled_gaps,
    t_reach,
)
from emap_core.inference.metrics import Metric, check, evaluate_scored, metric
from emap_core.inference.predictions.scores import Scored
from emap_core.inference.resamples.limits import two_sided
from emap_core.modalities.side_names import cells_of
from emap_core.types import Array, Space, Task

_PROJECTED = ("emap", "emap_leave_one_out")
# On grids of 40 by 400, 3 texts per image left a bias of .015 of accuracy, 5 texts one of .004.
_FEWEST_PARTNERS = 5
# On 300 texts with a sparse interaction, a third of the runs with 8 images per text stated a bias
# more than two standard errors off, one in twenty with 32 (`benchmarks.sampled`).
_FEWEST_FOR_BIAS = 24


@dataclass(frozen=True)
class PairSampling:
    """The effect of the choice of pairs on one metric of one projection.

    Attributes
    ----------
    projected : float
        The metric of the projection, corrected for the noise in its effects.
    uncorrected : float
        The same without correction.
    standard_error : float
        Only from the choice of pairs.
    degrees_of_freedom : int
        Of the standard error.
    reach : float
        Half the width of the 95% interval from the choice of pairs alone, including bias.
    bias, bias_standard_error : float
        Roughly the remaining bias of the gap, and its uncertainty.
    """

    projected: float
    uncorrected: float
    standard_error: float
    degrees_of_freedom: int
    reach: float
    bias: float
    bias_standard_error: float

    @property
    def error(self) -> float:
        """Root mean square error: standard error and bias."""
        return float(np.hypot(self.standard_error, self.bias))


def pair_sampling(
    fit: SampledFit, labels: ArrayLike, task: Task, space: Space, names: Sequence[str]
) -> dict[str, dict[str, PairSampling]]:
    """Return metrics of both projections on the whole grid, estimated from some of its pairs.

    Parameters
    ----------
    fit : SampledFit
    labels : array
        As for `evaluate`.
    task, space : str
    names : sequence of str
        Metrics. They share the simulated scores, so all together take little more time than one.

    Returns
    -------
    dict
        For each metric, the effect of the choice of pairs on each projection.
    """
    chosen = [metric(name) for name in names]
    truth = np.asarray(labels)
    for which in chosen:
        check(which, Scored(truth, fit.decomposition.logits, task, space))
    metrics = _of_scores(chosen, truth, task, space)
    gaps = {row: sampled_gaps(fit, metrics, row) for row in _PROJECTED}
    freedom = degrees_of_freedom(fit)
    return {
        name: {row: _sampling(metric(name), found[k], freedom) for row, found in gaps.items()}
        for k, name in enumerate(names)
    }


def _of_scores(chosen: Sequence[Metric], labels: Array, task: Task, space: Space) -> Metrics:
    ones = np.ones((1, len(labels)))

    def values(scores: Array) -> Array:
        # What several metrics read from the scores, such as decisions, is computed once.
        scored = Scored(labels, scores, task, space)
        return np.concatenate([evaluate_scored(which, scored, ones) for which in chosen])

    return values


def _sampling(which: Metric, found: SampledGap, freedom: int) -> PairSampling:
    return PairSampling(
        float(np.clip(found.projected, *which.range)),
        found.full - found.uncorrected,
        found.standard_error,
        freedom,
        (found.high - found.low) / 2,
        found.bias if which.higher_is_better else -found.bias,
        found.bias_standard_error,
    )


def with_pair_sampling(
    intervals: Intervals,
    sampling: dict[str, dict[str, PairSampling]],
    n_pairs: int,
    sizes: Sequence[int],
) -> Intervals:
    """Return intervals of the scores alone with the error from the choice of pairs added.

    Parameters
    ----------
    intervals : Intervals
        From resampled examples, with the estimated projection fixed.
    sampling : dict
        For each metric and projection, the effect of the choice of pairs.
    n_pairs : int
        Pairs evaluated, for the note.
    sizes : sequence of int
        Unique items of each side; a warning follows if those of the largest met few others.
    """
    two = len(sizes) == 2
    scored = cells_of(len(sizes))
    rows = {
        name: {
            row: _moved(interval, sampling[name][row], metric(name).range)
            if row in _PROJECTED
            else interval
            for row, interval in of_rows.items()
        }
        for name, of_rows in intervals.rows.items()
    }
    gaps = {
        name: {
            row: _widened(gap, sampling[name][row], scored) if row in _PROJECTED else gap
            for row, gap in of_rows.items()
        }
        for name, of_rows in intervals.gaps.items()
    }
    alone = "Text only and image only" if two else "Rows of single sides"
    note = (
        f"Estimated from {n_pairs:,} {scored}. Each gap's method gives the error from the choice "
        f"of {scored} and the one from the choice of examples separately; its interval and test "
        f"add them. {alone} are not corrected."
    )
    if not two:
        note += (
            " Hardly any two items met more than once: projections onto several sides at a time, "
            "and what each set of several sides carries, are not defined."
        )
    if len(gaps) > 1:
        note += (
            " Each interval is for its own metric alone; only p-values after Holm allow for "
            "several metrics."
        )
    notes = [*intervals.notes, note]
    partners = n_pairs / max(sizes)
    met = (
        f"On average, a text or an image met only {partners:.1f} of the other side."
        if two
        else f"On average, an item of the largest side was in only {partners:.1f} combinations."
    )
    more = "images per text" if two else "combinations per item"
    if partners < _FEWEST_PARTNERS:
        notes.append(
            f"{met} Below {_FEWEST_PARTNERS}, the correction falls short and the interval may miss "
            f"the gap: take more {more}."
        )
    elif partners < _FEWEST_FOR_BIAS:
        notes.append(
            f"{met} Below {_FEWEST_FOR_BIAS}, the stated bias is rough: if interactions are "
            f"sparse, it may have the wrong sign. Rely on the interval, or take more {more}."
        )
    # What single orders add is unknown, so there are no steps.
    return replace(intervals, rows=rows, gaps=gaps, steps={}, notes=notes)


def _moved(interval: Interval, sampling: PairSampling, bounds: tuple[float, float]) -> Interval:
    below, above = interval.value - interval.low, interval.high - interval.value
    low = sampling.projected - float(np.hypot(below, sampling.reach))
    high = sampling.projected + float(np.hypot(above, sampling.reach))
    return Interval(sampling.projected, *_inside((low, high), bounds))


def _widened(gap: Gap, sampling: PairSampling, scored: str) -> Gap:
    """Return the gap with the error from the choice of pairs in its limits and its test.

    The method of the gap calls them `scored`.

    Variances add; degrees of freedom are those of Welch (Biometrika 34, 1947) and Satterthwaite
    (1946). If the limits of the examples alone are not symmetrical, each side has the variance that
    its own limit implies (Zou & Donner, Statistics in Medicine 27, 2008), and the test uses that of
    the side where 0 is, so that it agrees with the interval.
    """
    error = sampling.error
    if error == 0:
        return gap
    which = metric(gap.metric)
    sign = 1.0 if which.higher_is_better else -1.0
    difference = sign * (gap.full - sampling.projected)
    of_examples = gap.standard_error
    freedom = _degrees_of_freedom(
        ((of_examples, gap.degrees_of_freedom), (error, sampling.degrees_of_freedom))
    )
    alone, joint = t_reach(gap.degrees_of_freedom), t_reach(freedom)
    below = float(np.hypot((gap.difference - gap.low) / alone, error))
    above = float(np.hypot((gap.high - gap.difference) / alone, error))
    low, high = _inside(
        (difference - joint * below, difference + joint * above),
        sorted(sign * (gap.full - end) for end in which.range),
    )
    return replace(
        gap,
        projected=sampling.projected,
        difference=difference,
        low=low,
        high=high,
        standard_error=float(np.hypot(of_examples, error)),
        standard_error_of_examples=of_examples,
        standard_error_of_pairs=error,
        degrees_of_freedom=freedom,
        p_value=two_sided(difference / (below if difference > 0 else above), freedom),
        method=(
            f"{scored}: standard error {sampling.standard_error:.2g}, bias about "
            f"{sampling.bias:.2g} (standard error {sampling.bias_standard_error:.1g}); examples: "
            f"standard error {of_examples:.2g}, {gap.method.split(';')[0]}; test of the same "
            f"limits on {freedom:,} degrees of freedom"
        ),
    )


def _degrees_of_freedom(parts: tuple[tuple[float, int], ...]) -> int:
    """Return the degrees of freedom of a sum of variances, from its parts."""
    total = sum(error**2 for error, _ in parts)
    each = sum(error**4 / max(freedom, 1) for error, freedom in parts)
    return max(int(total**2 / each), 1) if np.isfinite(total) and each > 0 else parts[0][1]


def _inside(limits: tuple[float, float], bounds: Sequence[float]) -> tuple[float, float]:
    low, high = (min(max(limit, bounds[0]), bounds[1]) for limit in limits)
    return low, high


def to_json(sampling: dict[str, dict[str, PairSampling]]) -> dict[str, Any]:
    """Return plain values, with None for NaN."""
    return {
        name: {
            row: {key: value if np.isfinite(value) else None for key, value in vars(one).items()}
            for row, one in rows.items()
        }
        for name, rows in sampling.items()
    }


def from_json(content: dict[str, Any]) -> dict[str, dict[str, PairSampling]]:
    """Return the object that `to_json` was called on; entries of earlier versions are ignored."""
    known = set(PairSampling.__dataclass_fields__)

    def read(one: dict[str, Any]) -> PairSampling:
        values: dict[str, Any] = {key: np.nan if v is None else v for key, v in one.items()}
        return PairSampling(**values)

    return {
        name: {row: read(one) for row, one in rows.items()}
        for name, rows in content.items()
        if all(set(one) == known for one in rows.values())
    }
