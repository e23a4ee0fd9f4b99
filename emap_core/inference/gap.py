"""Numbers with their uncertainty: an interval, and the gap between a model and its projection."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any, Literal

from emap_core.notebook_display import ShownInNotebooks
from emap_core.types import Cluster

Projection = Literal["emap", "emap_leave_one_out"]

RECORD_VERSION = 5
"""Version of the intervals and similar results kept in a run.

Raise it whenever the same settings would give other numbers or entries.
"""


@dataclass(frozen=True)
class Interval:
    """A value with the limits of its 95% interval; limits are NaN if there are none."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, Any]:
        """Return plain numbers, with None for NaN."""
        content: dict[str, Any] = _without_nan(asdict(self))
        return content

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Interval:
        """Return the object that `to_json` was called on."""
        return cls(**_with_nan(content, ("value", "low", "high")))


@dataclass(frozen=True)
class Gap(ShownInNotebooks):
    """What a metric loses when a model is replaced by its additive projection.

    Attributes
    ----------
    metric : str
    projection : str
        ``"emap_leave_one_out"`` or ``"emap"``; with more than two sides also ``"pairs"`` and so on.
    full, projected : float
        The metric of the model and of its projection.
    difference : float
        Signed so that positive means that interactions help, whichever way the metric points.
    low, high : float
        95% interval of `difference`; NaN if there is none.
    p_value : float
        For the hypothesis that model and projection do equally well; NaN if not tested. It is below
        .05 exactly when the interval excludes 0.
    method : str
        How interval and p-value were computed, in words.
    n_examples, n_resamples, seed : int
    standard_error : float
        Of `difference`; NaN if there is none.
    degrees_of_freedom : int
        Of the interval's t distribution: one less than `n_units`, or fewer if only some of the
        pairs were scored.
    cluster : str
        What was drawn: ``none`` (examples), ``image``, ``text`` or ``both``; with more than two
        sides, the names of those drawn, joined by ``+``.
    n_units : int
        Number of units; with several sides, of the side with the fewest.
    unit : str
        Name of the units: ``examples``, ``texts``, ``images``, ``items of audio``.
    population : str
        Whom the interval speaks of, for use after a number: "for new texts and new images".
    standard_error_of_examples, standard_error_of_pairs : float
        The two parts of `standard_error` if only some of the pairs were scored, otherwise NaN. More
        examples reduce the first, more pairs the second, which includes the remaining bias.
    """

    metric: str
    projection: str
    full: float
    projected: float
    difference: float
    low: float
    high: float
    p_value: float
    method: str
    n_examples: int
    n_resamples: int
    seed: int
    standard_error: float
    degrees_of_freedom: int
    cluster: Cluster
    n_units: int
    unit: str
    population: str
    standard_error_of_examples: float = float("nan")
    standard_error_of_pairs: float = float("nan")

    def to_json(self) -> dict[str, Any]:
        """Return plain values, with None for NaN."""
        content: dict[str, Any] = _without_nan(asdict(self))
        return content

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Gap:
        """Return the object that `to_json` was called on."""
        words = {"metric", "projection", "method", "cluster", "unit", "population"}
        return cls(**_with_nan(content, tuple(set(cls.__dataclass_fields__) - words)))


@dataclass(frozen=True)
class Intervals:
    """Everything that resampling says about a run.

    Attributes
    ----------
    rows : dict
        For each metric, an `Interval` for each row of the table.
    gaps : dict
        For each metric, a `Gap` for ``"emap_leave_one_out"`` and ``"emap"``; with more than two
        sides also for ``"pairs"`` and so on.
    shares : dict
        For text, image and interaction, an `Interval` for each class; no limits without a grid.
        With more than two sides, for each set of them (``"audio"``, ``"text × audio"``), and for
        ``"interaction"``, all sets of several sides together.
    pooled_shares : dict
        The same, pooled over classes.
    cluster : str
        What was drawn; see `Gap`.
    population : str
        Whom the intervals speak of, for use after a number: "for new texts and new images".
    n_resamples, seed : int
    notes : list of str
        What a reader has to know: resamples that needed a fallback, limits that do not exist.
    steps : dict
        With more than two sides, for each metric, what each order of projections adds to the one
        below, on the same resamples: a `Gap` by the upper row of the table, from
        ``"emap_leave_one_out"`` (against the constant) over ``"pairs"`` to ``"full"``; its
        `projection` names the lower row.
    """

    rows: dict[str, dict[str, Interval]]
    gaps: dict[str, dict[str, Gap]]
    shares: dict[str, list[Interval]]
    pooled_shares: dict[str, Interval]
    cluster: Cluster
    population: str
    n_resamples: int
    seed: int
    notes: list[str] = field(default_factory=list)
    steps: dict[str, dict[str, Gap]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain values, with None for NaN."""
        content: dict[str, Any] = _without_nan(asdict(self))
        if not self.steps:
            del content["steps"]
        return content

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Intervals:
        """Return the object that `to_json` was called on; further entries are ignored."""
        return cls(
            rows={
                name: {row: Interval.from_json(i) for row, i in rows.items()}
                for name, rows in content["rows"].items()
            },
            gaps=_gaps_from_json(content["gaps"]),
            steps=_gaps_from_json(content.get("steps", {})),
            shares={
                part: [Interval.from_json(i) for i in each]
                for part, each in content["shares"].items()
            },
            pooled_shares={
                part: Interval.from_json(i) for part, i in content["pooled_shares"].items()
            },
            **{
                name: content[name]
                for name in ("cluster", "population", "n_resamples", "seed", "notes")
            },
        )


def _gaps_from_json(content: dict[str, Any]) -> dict[str, dict[str, Gap]]:
    return {
        name: {row: Gap.from_json(gap) for row, gap in gaps.items()}
        for name, gaps in content.items()
    }


def _without_nan(content: Any) -> Any:
    """Return a record with None for every non-finite number, as JSON needs."""
    if isinstance(content, dict):
        return {name: _without_nan(value) for name, value in content.items()}
    if isinstance(content, list):
        return [_without_nan(value) for value in content]
    return None if isinstance(content, float) and not isfinite(content) else content


def _with_nan(content: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Return a record with NaN for None in the entries `names`."""
    return {
        name: float("nan") if value is None and name in names else value
        for name, value in content.items()
    }
