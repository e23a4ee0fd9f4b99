"""P-values adjusted for multiple tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for multiple tests, after Holm (1979); NaN, no test, stays."""
    given = np.asarray(p_values, dtype=np.float64)
    adjusted = given.copy()
    tested = np.flatnonzero(~np.isnan(given))
    order = tested[np.argsort(given[tested])]
    factors = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(given[order] * factors), 1.0)
    return [float(p) for p in adjusted]
