"""Conjugate gradients for the normal equations of layouts, many right-hand sides at once.

Source: Hestenes & Stiefel, "Methods of conjugate gradients for solving linear systems", Journal of
Research of the National Bureau of Standards 49, 1952; scaled by the diagonal.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from emap_core.types import Array


def conjugate_gradients(
    apply: Callable[[Array], Array], diagonal: Array, right: Array, tolerance: float
) -> Array:
    """Return a solution of a positive semidefinite system for each column of `right`.

    Parameters
    ----------
    apply : callable
        Multiplies columns, shape (U, C), by the matrix.
    diagonal : ndarray of shape (U, 1)
        What residuals are scaled by.
    right : ndarray of shape (U, C)
        In the range of the matrix.
    tolerance : float
        How much of the first residual may be left.
    """
    x = np.zeros_like(right)
    residual = right.copy()
    z = residual / diagonal
    direction = z.copy()
    size = start = np.einsum("uc,uc->c", residual, z)
    for _ in range(1000):
        if (size <= tolerance**2 * start).all():
            break
        forward = apply(direction)
        curvature = np.einsum("uc,uc->c", direction, forward)
        step = np.where(curvature > 0, size / np.where(curvature > 0, curvature, 1), 0)
        x += step * direction
        residual -= step * forward
        z = residual / diagonal
        after = np.einsum("uc,uc->c", residual, z)
        direction = z + np.where(size > 0, after / np.where(size > 0, size, 1), 0) * direction
        size = after
    return x
