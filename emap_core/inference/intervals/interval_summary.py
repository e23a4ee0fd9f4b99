"""Intervals and tests, from the values of the table in the resamples."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from emap_core.decomposition.projection import PARTS
from emap_core.decomposition.sets_of_sides import Sides, all_sets
from emap_core.inference.gap import Gap, Interval, Intervals
from emap_core.inference.intervals.resampled_table import ResampledTable, shares_of
from emap_core.inference.metrics import Metric
from emap_core.inference.resamples.limits import (
    ValueWithLimits,
    estimate,
    paired_estimate,
    share_estimate,
    variance_of,
)
from emap_core.inference.table.rows import order_rows
from emap_core.types import Array

# A share of the variance below this is rounding: the projection is the model in every sample.
_NO_INTERACTION = 1e-12
# A difference of losses that is smaller than this, relative to them, is rounding as well.
_ROUNDING = 1e-12


class Summary:
    """Intervals from the resamples of every way to draw.

    Parameters
    ----------
    tables : list of ResampledTable
        One for each way to draw, all from the same sample.
    reprojected : bool
        Whether the projection was computed anew in each resample.
    n_resamples : int
        For each way to draw.
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
        orders = order_rows(sample.decomposition.sides)
        projected = {"emap": 1, "emap_leave_one_out": 1, **orders}
        return Intervals(
            rows={m.name: {row: self._row(m, row) for row in sample.rows} for m in sample.metrics},
            gaps={
                m.name: {
                    row: self._gap(m, "full", row, self._is_of_order(order))
                    for row, order in projected.items()
                }
                for m in sample.metrics
            },
            steps={m.name: self._steps(m, orders) for m in sample.metrics if orders},
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
        # Errors, for which lower is better, end at 0.
        lowest = -np.inf if which.higher_is_better else 0.0
        bounds = (0.0, 1.0) if which.unit == "points" else (lowest, np.inf)
        thirds = [one.third_moment for one in replicates]
        return estimate(value, variances, population, thirds=thirds).interval(bounds)

    def _steps(self, which: Metric, orders: Mapping[str, int]) -> dict[str, Gap]:
        """Return what each order adds to the one below, from the constant up, by the upper row."""
        order_of = {"constant": 0, "emap_leave_one_out": 1, **orders}
        return {
            upper: self._gap(
                which, upper, lower, order_of[lower] > 0 and self._is_of_order(order_of[lower])
            )
            for upper, lower in steps_of(orders).items()
        }

    def _gap(self, which: Metric, upper: str, lower: str, same: bool) -> Gap:
        """Return how much better one row of the table does than another.

        `same` is whether they hardly differ, in any sample.
        """
        sample, population = self.sample, self.sample.population
        sign = 1.0 if which.higher_is_better else -1.0
        full, projected = sample.value(which, upper), sample.value(which, lower)
        gap = sign * (full - projected)
        replicates = [
            table.of(which, lower).below(table.of(which, upper), sign) for table in self.tables
        ]
        variances = [one.variance for one in replicates]
        if same:
            least = _ROUNDING * max(abs(full), abs(projected))
            if max(abs(gap), *np.sqrt(variances)) <= least:
                gap, variances = 0.0, [0.0 for _ in variances]
            found = estimate(gap, variances, population)
        else:
            found = paired_estimate(
                which,
                gap,
                sample.scored[upper],
                sample.scored[lower],
                variances,
                population,
                thirds=[one.third_moment for one in replicates],
            )
        return found.gap(
            population,
            metric=which.name,
            projection=lower,
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

    def _is_of_order(self, order: int) -> bool:
        """Return whether the model is its own projection of an order, up to rounding."""
        d = self.sample.decomposition
        d = d.class_centred() if self.sample.task == "multiclass" else d
        total = d.variance.sum()
        if order == 1:
            higher = d.interaction_squares.sum()
        else:
            sets = [len(some) > order for some in all_sets(d.sides)]
            higher = d.sums_of_squares[sets].sum()
        return not (total > 0 and higher / total > _NO_INTERACTION)

    def _shares(self, centred: bool) -> tuple[dict[str, list[Interval]], dict[str, Interval]]:
        d = self.sample.decomposition.class_centred() if centred else self.sample.decomposition
        each, together = zip(*(table.shares() for table in self.tables), strict=True)
        sums = d.sums_of_squares[None]
        value, pooled = shares_of(sums), shares_of(sums.sum(axis=2))

        def share(value: Array, of_draws: list[Array]) -> Interval:
            drawn = zip(self.tables, of_draws, strict=True)
            variances = [variance_of(values, table.units.size) for table, values in drawn]
            return estimate(float(value[0]), variances, self.sample.population).interval((0.0, 1.0))

        def of_terms(terms: list[int], value: Array, of_draws: tuple[Array, ...]) -> Interval:
            return share(
                value[:, terms].sum(axis=1), [values[:, terms].sum(axis=1) for values in of_draws]
            )

        parts = parts_of(d.sides)
        classes = range(self.sample.n_classes)
        return (
            {
                part: [
                    of_terms(terms, value[:, :, c], tuple(values[:, :, c] for values in each))
                    for c in classes
                ]
                for part, terms in parts.items()
            },
            {part: of_terms(terms, pooled, together) for part, terms in parts.items()},
        )

    def _notes(self) -> list[str]:
        notes = []
        drawn = self.n_resamples * len(self.tables)
        if not self.reprojected:
            notes.append(
                "The grid was not kept, so intervals come from the scores alone. This makes them a "
                "little too narrow, and variance shares have none."
            )
        n_degenerate = sum(table.n_degenerate for table in self.tables)
        if n_degenerate:
            held = "a single text or image"
            if len(self.sample.decomposition.sides) > 2:
                held = "too few items to leave any out"
            notes.append(
                f"{n_degenerate:,} of {drawn:,} resamples had {held}; there the plain projection "
                "replaces the leave-one-out one."
            )
        for which in self.sample.metrics:
            undefined = sum(
                int(np.isnan(table.of(which, "full").values).sum()) for table in self.tables
            )
            if undefined and not np.isnan(self.sample.value(which, "full")):
                notes.append(
                    f"{which.label} is undefined in {undefined:,} of {drawn:,} "
                    "resamples, which have only one class; its limits come from the others."
                )
        return notes


def steps_of(orders: Mapping[str, int]) -> dict[str, str]:
    """Return the rows of steps from the constant up, each with the row below it.

    Parameters
    ----------
    orders : mapping of str to int
        From `order_rows`.
    """
    # Highest first in the table.
    rows = ["constant", "emap_leave_one_out", *list(orders)[::-1], "full"]
    return dict(zip(rows[1:], rows, strict=False))


def parts_of(sides: Sides) -> dict[str, list[int]]:
    """Return the parts that variance is split into, with the numbers of their terms."""
    terms = all_sets(sides)
    if len(sides) == 2:
        return {part: [k] for k, part in enumerate(PARTS)}
    each = {" × ".join(some): [k] for k, some in enumerate(terms)}
    return each | {"interaction": [k for k, some in enumerate(terms) if len(some) > 1]}
