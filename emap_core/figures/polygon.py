"""Which points are inside a drawn outline."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from emap_core.types import Array, Mask


def inside(corners: ArrayLike, x: Array, y: Array) -> Mask:
    """Return which points are inside a polygon, by the even-odd rule.

    A point is inside if a ray from it crosses the outline an odd number of times; a part that the
    outline goes around twice is outside, as drawn.

    Parameters
    ----------
    corners : array of shape (M, 2)
        In the order of the outline, closed after the last one; fewer than three enclose nothing.
    x, y : ndarray of shape (N,)

    Returns
    -------
    ndarray of bool, shape (N,)
    """
    outline = np.asarray(corners, dtype=np.float64).reshape(-1, 2)
    found = np.zeros(len(x), dtype=bool)
    if len(outline) < 3:
        return found
    low, high = outline.min(axis=0), outline.max(axis=0)
    # Most points are far away and cost only one comparison.
    near = np.flatnonzero((x >= low[0]) & (x <= high[0]) & (y >= low[1]) & (y <= high[1]))
    across, upwards = np.asarray(x)[near], np.asarray(y)[near]
    odd = np.zeros(len(near), dtype=bool)
    for (x0, y0), (x1, y1) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        crossed = np.flatnonzero((upwards < y0) != (upwards < y1))
        at = x0 + (upwards[crossed] - y0) * ((x1 - x0) / (y1 - y0))
        odd[crossed] ^= across[crossed] < at
    found[near] = odd
    return found
