"""Intervals of a run that evaluated a part of the grid: from pairs and from examples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from emap_core.decomposition.sampled import SampledFit
from emap_core.decomposition.sampled_gap import SampledGap, sampled_gap
from emap_core.inference.gap import Gap, Interval, Intervals
from emap_core.inference.metrics import Array, Space, Task, evaluate, metric

_PROJECTED = ("emap", "emap_leave_one_out")
# On grids of 40 by 400, 3 texts an image left a bias of .015 of accuracy, 5 texts one of .004.
_FEWEST_PARTNERS = 5


@dataclass(frozen=True)
class PairSampling:
    """What the choice of pairs does to one metric of one projection.

    Attributes
    ----------
    projected : float
        The metric of the projection, corrected for the noise in its effects.
    uncorrected : float
        The same without correction.
    standard_error : float
        From the choice of pairs alone.
    reach : float
        Half the width of the 95% interval from the choice of pairs alone.
    bias_bound : float
        What may be left of the bias.
    """

    projected: float
    uncorrected: float
    standard_error: float
    reach: float
    bias_bound: float


def pair_sampling(
    fit: SampledFit, labels: ArrayLike, task: Task, space: Space, name: str, projection: str
) -> PairSampling:
    """Return a projection's metric on the whole grid, estimated from a part of its pairs."""
    found: SampledGap = sampled_gap(fit, _scorer(name, labels, task, space), projection)
    return PairSampling(
        found.projected,
        found.full - found.uncorrected,
        found.standard_error,
        (found.high - found.low) / 2,
        found.bias_bound,
    )


def with_pair_sampling(
    intervals: Intervals,
    sampling: dict[str, dict[str, PairSampling]],
    n_pairs: int,
    n_items: int,
) -> Intervals:
    """Return intervals of the scores alone with the error from the choice of pairs added.

    Parameters
    ----------
    intervals : Intervals
        From resampled examples with the projection left as it was estimated.
    sampling : dict
        For each metric and projection, what the choice of pairs does.
    n_pairs : int
        Pairs evaluated, for the note.
    n_items : int
        Texts or images, whichever are more; a warning is given where each met few of the other.
    """
    rows = {
        name: {
            row: _moved(interval, sampling[name][row]) if row in _PROJECTED else interval
            for row, interval in of_rows.items()
        }
        for name, of_rows in intervals.rows.items()
    }
    gaps = {
        name: {row: _widened(gap, sampling[name][row]) for row, gap in of_rows.items()}
        for name, of_rows in intervals.gaps.items()
    }
    note = (
        f"Estimated from {n_pairs:,} pairs. The error from the choice of pairs and that from the "
        "choice of examples are told apart in each gap's method and added in its interval; text "
        "only and image only are not corrected."
    )
    notes = [*intervals.notes, note]
    if n_pairs / n_items < _FEWEST_PARTNERS:
        notes.append(
            f"On average a text or an image met only {n_pairs / n_items:.1f} of the other side. "
            f"Under {_FEWEST_PARTNERS} the correction falls short and the interval may miss the "
            "gap: take more images per text."
        )
    return replace(intervals, rows=rows, gaps=gaps, notes=notes)


def _scorer(name: str, labels: ArrayLike, task: Task, space: Space) -> Callable[[Array], float]:
    def score(scores: Array) -> float:
        return evaluate(name, labels, scores, task, space)

    return score


def _moved(interval: Interval, sampling: PairSampling) -> Interval:
    below, above = interval.value - interval.low, interval.high - interval.value
    return Interval(
        sampling.projected,
        sampling.projected - _joint(below, sampling),
        sampling.projected + _joint(above, sampling),
    )


def _widened(gap: Gap, sampling: PairSampling) -> Gap:
    sign = 1.0 if metric(gap.metric).higher_is_better else -1.0
    difference = sign * (gap.full - sampling.projected)
    below, above = gap.difference - gap.low, gap.high - gap.difference
    return replace(
        gap,
        projected=sampling.projected,
        difference=difference,
        low=difference - _joint(below, sampling),
        high=difference + _joint(above, sampling),
        standard_error=float(np.hypot(gap.standard_error, sampling.standard_error)),
        # The test does not know of the noise of the effects.
        p_value=float("nan"),
        method=(
            f"pairs: standard error {sampling.standard_error:.2g}, bias at most "
            f"{sampling.bias_bound:.2g}; examples: {gap.method.split(';')[0]}"
        ),
    )


def _joint(reach: float, sampling: PairSampling) -> float:
    return float(np.hypot(reach, sampling.reach))


def to_json(sampling: dict[str, dict[str, PairSampling]]) -> dict[str, Any]:
    """Return plain values, None in place of NaN."""
    return {
        name: {
            row: {key: value if np.isfinite(value) else None for key, value in vars(one).items()}
            for row, one in rows.items()
        }
        for name, rows in sampling.items()
    }


def from_json(content: dict[str, Any]) -> dict[str, dict[str, PairSampling]]:
    """Return what `to_json` was called on."""
    return {
        name: {
            row: PairSampling(**{k: np.nan if v is None else v for k, v in one.items()})
            for row, one in rows.items()
        }
        for name, rows in content.items()
    }
