"""Numbers with their uncertainty: an interval, and the gap between a model and its projection."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any, Literal

Projection = Literal["emap", "emap_leave_one_out"]


@dataclass(frozen=True)
class Interval:
    """A value with the limits of its 95% interval; limits are NaN where there are none."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, Any]:
        """Return plain numbers, None in place of NaN."""
        return without_nan(asdict(self))

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Interval:
        """Return what `to_json` was called on."""
        return cls(**with_nan(content, ("value", "low", "high")))


@dataclass(frozen=True)
class Gap:
    """What a metric loses when a model is replaced by its additive projection.

    Attributes
    ----------
    metric : str
    projection : str
        ``"emap_leave_one_out"`` or ``"emap"``.
    full, projected : float
        The metric of the model and of its projection.
    difference : float
        Signed so that positive means that interactions help, whichever way the metric points.
    low, high : float
        95% interval of `difference`; NaN where there is none.
    p_value : float
        Of the hypothesis that model and projection do equally well; NaN where not tested.
    method : str
        How interval and p-value came to be, in words.
    n_examples, n_resamples, seed : int
    """

    metric: str
    projection: Projection
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

    def to_json(self) -> dict[str, Any]:
        """Return plain values, None in place of NaN."""
        return without_nan(asdict(self))

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Gap:
        """Return what `to_json` was called on."""
        numbers = ("full", "projected", "difference", "low", "high", "p_value")
        return cls(**with_nan(content, numbers))


def without_nan(content: dict[str, Any]) -> dict[str, Any]:
    """Return a record with None for every number that is not finite, as JSON needs."""
    return {
        name: None if isinstance(value, float) and not isfinite(value) else value
        for name, value in content.items()
    }


def with_nan(content: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Return a record with NaN for None in the entries `names`."""
    return {
        name: float("nan") if value is None and name in names else value
        for name, value in content.items()
    }
