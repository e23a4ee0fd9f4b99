"""The gap between other scores of the same examples, judged by a known gap.

Resamples of fixed scores lack the variance that computing the projection anew adds. The known gap
shows how much that is, since its limits come from both ways; the limits of other scores are widened
by the same factor.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite, nan

from emap_core.inference.comparisons.difference import paired_difference
from emap_core.inference.gap import Gap
from emap_core.inference.metrics import evaluate
from emap_core.inference.resamples.limits import ValueWithLimits
from emap_core.inference.resamples.population import Population
from emap_core.types import Array, Space, Task


@dataclass(frozen=True, eq=False)
class ScorePair:
    """Scores of a model and of its projection on the same examples, each of shape (N, C)."""

    full: Array
    projected: Array
    space: Space


class KnownGap:
    """A gap and its scores, as a yardstick for gaps of other scores.

    Parameters
    ----------
    gap : Gap
    scores : ScorePair
    labels, task
        As for `evaluate`.
    population : Population
        Of the examples.
    """

    def __init__(
        self, gap: Gap, scores: ScorePair, labels: Array, task: Task, population: Population
    ) -> None:
        self._gap, self._labels, self._task, self._population = gap, labels, task, population
        alone = self._difference(scores)
        wider = (gap.high - gap.low) / (alone.high - alone.low) if alone.high > alone.low else nan
        self._wider = wider if isfinite(wider) else 1.0

    def of(self, scores: ScorePair, how: str) -> Gap:
        """Return the gap between other scores; `how` says in words what is special about them."""
        full, other = (
            evaluate(self._gap.metric, self._labels, s, self._task, scores.space)
            for s in (scores.full, scores.projected)
        )
        found = self._difference(scores)
        return replace(
            self._gap,
            full=full,
            projected=other,
            difference=found.value,
            low=found.value - self._wider * (found.value - found.low),
            high=found.value + self._wider * (found.high - found.value),
            # The limits are not those of a test.
            p_value=nan,
            standard_error=self._wider * found.standard_error,
            degrees_of_freedom=found.degrees_of_freedom,
            method=f"{how}; {self._gap.n_resamples:,} bootstrap resamples of "
            f"{self._population.drawn_words}, of the scores alone, with limits {self._wider:.3g} "
            "times as wide, as computing the projection anew makes those of the plain gap; no test",
        )

    def _difference(self, scores: ScorePair) -> ValueWithLimits:
        return paired_difference(
            self._gap.metric,
            self._labels,
            scores.full,
            scores.projected,
            self._task,
            scores.space,
            self._population,
            n_resamples=self._gap.n_resamples * len(self._population.draws),
            seed=self._gap.seed,
        )
