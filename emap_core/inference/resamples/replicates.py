"""The values of a number in each resample, and their variance.

Resamples that compute the projection anew vary too much; `limits` says why. Mixtures of resamples,
which take every example from a different one, show how much.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from emap_core.inference.metrics import Metric, evaluate_shuffled
from emap_core.inference.predictions.scores import Scored
from emap_core.inference.resamples.limits import third_moment_of, variance_of
from emap_core.inference.resamples.population import SamplingUnits
from emap_core.types import Array


@dataclass(frozen=True, eq=False)
class Mixtures:
    """B mixtures of B resamples.

    Attributes
    ----------
    places : ndarray of int, shape (B, N)
        For each mixture, the resample of each example. All examples of a unit come from one
        resample, and every resample serves a unit once.
    """

    places: NDArray[np.intp]

    @classmethod
    def drawn(cls, units: SamplingUnits, size: int, rng: np.random.Generator) -> Mixtures:
        """Return as many mixtures as there are resamples."""
        places = rng.permuted(np.tile(np.arange(size)[:, None], (1, units.size)), axis=0)
        return cls(np.take(places, units.groups, axis=1))

    def evaluate(self, which: Metric, scored: Scored) -> Array:
        """Return a metric of each mixture, shape (B,), from the scores of B resamples."""
        return evaluate_shuffled(which, scored, self.places)


@dataclass(eq=False)
class Replicates:
    """The values of one number in the resamples of one way to draw.

    Attributes
    ----------
    size : int
        Number of units that were drawn.
    """

    size: int
    _values: list[Array] = field(default_factory=list)
    _mixed: list[Array] = field(default_factory=list)

    def add(self, values: Array) -> None:
        """Add the values in some resamples, shape (B,)."""
        self._values.append(values)

    def add_mixed(self, values: Array) -> None:
        """Add the values in mixtures of some resamples, shape (B,)."""
        self._mixed.append(values)

    @property
    def values(self) -> Array:
        """The values in all resamples; NaN if the number is undefined."""
        return np.concatenate(self._values)

    @property
    def variance(self) -> float:
        """The variance of the number, without the part that counts twice."""
        each = [float(values.var(ddof=1)) for values in self._mixed]
        flips = float(np.mean(each)) if each else 0.0
        return variance_of(self.values, self.size, flips)

    @property
    def third_moment(self) -> float:
        """The third central moment of the number."""
        return third_moment_of(self.values)

    def below(self, other: Replicates, sign: float) -> Replicates:
        """Return how much lower this number is than another in the same resamples and mixtures.

        A negative `sign` turns the difference around.
        """
        mixed = self._mixed or other._mixed
        if self._mixed and other._mixed:
            pairs = zip(self._mixed, other._mixed, strict=True)
            mixed = [of_other - own for own, of_other in pairs]
        return Replicates(self.size, [sign * (other.values - self.values)], mixed)
