"""Whether a verdict depends on recombinations that hardly occur.

EMAP averages over all recombinations of texts and images, absurd ones included. Here the projection
is fitted again with weights p q ρ^τ, where ρ is the density ratio of matched to recombined pairs:
at τ = 0 it is EMAP, at τ = 1 it is the additive fit to where the data is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from emap_core.decomposition import Decomposition
from emap_core.decomposition.weighted_projection import weighted_projection
from emap_core.inference.comparisons.gap_of_scores import KnownGap, ScorePair
from emap_core.inference.gap import Gap
from emap_core.inference.resamples.population import Population
from emap_core.types import Space, Task

POWERS = (0.0, 0.5, 1.0)
"""How much less unlikely pairs count: not at all, by the root of their ratio, in proportion."""


@dataclass(frozen=True)
class WeightedGaps:
    """Gaps to the projection with one weighting of the pairs.

    Attributes
    ----------
    power : float
        τ: pairs count in proportion to the density ratio to this power.
    effective_share : float
        Share of the recombinations that the projection rests on; 1 if all count equally.
    gaps : dict of Gap
        For each metric, to the leave-one-out projection.
    """

    power: float
    effective_share: float
    gaps: dict[str, Gap]


@dataclass(frozen=True)
class UnlikelyPairs:
    """The same gaps with unlikely pairs counting less and less.

    Attributes
    ----------
    auc : float or None
        How well encodings tell matched pairs from shuffled ones, .5 for not at all; None if the
        density ratio was given.
    rows : tuple of WeightedGaps
        One for each of `POWERS`; the first is the run's own gap.
    """

    auc: float | None
    rows: tuple[WeightedGaps, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain values, with None for NaN."""
        return {
            "auc": self.auc,
            "rows": [
                {
                    "power": row.power,
                    "effective_share": row.effective_share,
                    "gaps": {name: gap.to_json() for name, gap in row.gaps.items()},
                }
                for row in self.rows
            ],
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> UnlikelyPairs:
        """Return the object that `to_json` was called on."""
        return cls(
            content["auc"],
            tuple(
                WeightedGaps(
                    row["power"],
                    row["effective_share"],
                    {name: Gap.from_json(gap) for name, gap in row["gaps"].items()},
                )
                for row in content["rows"]
            ),
        )


def unlikely_pairs(
    grid: Any,
    decomposition: Decomposition,
    density: ArrayLike,
    labels: ArrayLike,
    task: Task,
    gaps: Mapping[str, Gap],
    population: Population,
    *,
    space: Space = "logits",
    auc: float | None = None,
) -> UnlikelyPairs:
    """Return gaps to projections in which unlikely pairs count less.

    Parameters
    ----------
    grid, decomposition, density
        As for `emap_core.decomposition.weighted_projection.weighted_projection`.
    labels, task, space
        As for `evaluate`.
    gaps : mapping of str to Gap
        For each metric, to the leave-one-out projection with all pairs weighted equally.
    population : Population
        Of the examples.
    auc : float, optional
        Passed on if the density ratio was estimated.
    """
    ratio = np.asarray(density, dtype=np.float64)
    d, truth = decomposition, np.asarray(labels)
    alike = ScorePair(d.logits, d.emap_leave_one_out, space)
    known = {name: KnownGap(gap, alike, truth, task, population) for name, gap in gaps.items()}
    rows = [WeightedGaps(POWERS[0], 1.0, dict(gaps))]
    for power in POWERS[1:]:
        found = weighted_projection(grid, d, ratio**power)
        scores = ScorePair(d.logits, found.leave_one_out, space)
        how = f"pairs counting by their density ratio to the power of {power:g}"
        new = {name: one.of(scores, how) for name, one in known.items()}
        rows.append(WeightedGaps(power, found.effective_share, new))
    return UnlikelyPairs(auc, tuple(rows))
