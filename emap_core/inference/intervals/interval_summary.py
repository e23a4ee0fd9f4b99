"""Intervals and tests, from what the table was in the resamples."""

from __future__ import annotations

import numpy as np

from emap_core.decomposition.projection import PARTS
from emap_core.inference.gap import Gap, Interval, Intervals, Projection
from emap_core.inference.intervals.resampled_table import ResampledTable
from emap_core.inference.metrics import Metric
from emap_core.inference.resamples.limits import (
    ValueWithLimits,
    estimate,
    paired_estimate,
    share_estimate,
    variance_of,
)
from emap_core.types import Array

_PROJECTED: tuple[Projection, ...] = ("emap", "emap_leave_one_out")
# A share of the variance that is rounding: the projection is the model, in every sample.
_NO_INTERACTION = 1e-12


class Summary:
    """Intervals from the resamples of every way to draw.

    Parameters
    ----------
    tables : list of ResampledTable
        One for each way to draw, all of the same sample.
    reprojected : bool
        Whether the projection was computed anew in each resample.
    n_resamples : int
        Of each way to draw.
    seed : int
    """

    def __init__(
        self,
        tables: list[ResampledTable],
        reprojected: bool,
        n_resamples: int,
        seed: int,
    ) -> None:
        self.sample = tables[0].sample
        self.tables = tables
        self.reprojected = reprojected
        self.n_resamples = n_resamples
        self.seed = seed

    def intervals(self, centred: bool) -> Intervals:
        """Return the intervals."""
        sample = self.sample
        shares, pooled = self._shares(centred)
        return Intervals(
            rows={m.name: {row: self._row(m, row) for row in sample.rows} for m in sample.metrics},
            gaps={m.name: {row: self._gap(m, row) for row in _PROJECTED} for m in sample.metrics},
            shares=shares,
            pooled_shares=pooled,
            cluster=sample.population.cluster,
            population=sample.population.words,
            n_resamples=self.n_resamples,
            seed=self.seed,
            notes=self._notes(),
        )

    def _row(self, which: Metric, row: str) -> Interval:
        population = self.sample.population
        value, values = self.sample.value(which, row), which.values(self.sample.scored[row])
        replicates = [table.of(which, row) for table in self.tables]
        variances = [one.variance for one in replicates]
        if which.unit == "points" and values is not None and np.isfinite(value):
            return share_estimate(values, population.variance(variances), population)
        # Errors, the metrics of which less is better, end at 0.
        lowest = -np.inf if which.higher_is_better else 0.0
        bounds = (0.0, 1.0) if which.unit == "points" else (lowest, np.inf)
        thirds = [one.third_moment for one in replicates]
        return estimate(value, variances, population, thirds=thirds).interval(bounds)

    def _gap(self, which: Metric, row: Projection) -> Gap:
        sample, population = self.sample, self.sample.population
        sign = 1.0 if which.higher_is_better else -1.0
        full, projected = sample.value(which, "full"), sample.value(which, row)
        gap = sign * (full - projected)
        replicates = [
            table.of(which, row).below(table.of(which, "full"), sign) for table in self.tables
        ]
        variances = [one.variance for one in replicates]
        if self._is_additive():
            found = estimate(gap, variances, population)
        else:
            sides = sample.scored["full"], sample.scored[row]
            found = paired_estimate(
                which,
                gap,
                *sides,
                variances,
                population,
                thirds=[one.third_moment for one in replicates],
            )
        return found.gap(
            population,
            metric=which.name,
            projection=row,
            full=full,
            projected=projected,
            method=self._method(found),
            n_examples=sample.n_examples,
            n_resamples=self.n_resamples,
            seed=self.seed,
        )

    def _method(self, found: ValueWithLimits) -> str:
        how = (
            "the projection computed anew in each"
            if self.reprojected
            else "of the scores alone, since the grid was not kept"
        )
        drawn = self.sample.population.drawn_words
        if np.isnan(found.value):
            test = "no test, since the projection is undefined"
        elif np.isnan(found.p_value):
            test = "no test"
        else:
            test = f"test of the same limits on {found.degrees_of_freedom:,} degrees of freedom"
        return f"{self.n_resamples:,} bootstrap resamples of {drawn}, {how}; {test}"

    def _is_additive(self) -> bool:
        d = self.sample.decomposition
        share = (d.class_centred() if self.sample.task == "multiclass" else d).pooled_shares[2]
        return not share > _NO_INTERACTION

    def _shares(self, centred: bool) -> tuple[dict[str, list[Interval]], dict[str, Interval]]:
        d = self.sample.decomposition.class_centred() if centred else self.sample.decomposition
        each, together = zip(*(table.shares() for table in self.tables), strict=True)

        def share(value: float, of_draws: list[Array]) -> Interval:
            drawn = zip(self.tables, of_draws, strict=True)
            variances = [variance_of(values, table.units.size) for table, values in drawn]
            return estimate(value, variances, self.sample.population).interval((0.0, 1.0))

        shares = {
            part: [
                share(float(d.variance_shares[k, c]), [values[:, k, c] for values in each])
                for c in range(self.sample.n_classes)
            ]
            for k, part in enumerate(PARTS)
        }
        pooled = {
            part: share(float(d.pooled_shares[k]), [values[:, k] for values in together])
            for k, part in enumerate(PARTS)
        }
        return shares, pooled

    def _notes(self) -> list[str]:
        notes = []
        drawn = self.n_resamples * len(self.tables)
        if not self.reprojected:
            notes.append(
                "The grid was not kept: intervals come from the scores alone, which makes them a "
                "little too narrow, and variance shares have none."
            )
        n_degenerate = sum(table.n_degenerate for table in self.tables)
        if n_degenerate:
            notes.append(
                f"{n_degenerate:,} of {drawn:,} resamples held a single text or image; "
                "there the plain projection stands in for the leave-one-out one."
            )
        for which in self.sample.metrics:
            undefined = sum(
                int(np.isnan(table.of(which, "full").values).sum()) for table in self.tables
            )
            if undefined and not np.isnan(self.sample.value(which, "full")):
                notes.append(
                    f"{which.label} is undefined in {undefined:,} of {drawn:,} "
                    "resamples, which hold one class only; its limits are those of the others."
                )
        return notes
