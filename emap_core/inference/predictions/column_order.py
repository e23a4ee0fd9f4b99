"""Whether another order of a model's outputs fits the labels far better than the assumed one."""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

from emap_core.types import Array, Index

_MOST_CLASSES = 2_000
_FAR_BETTER = 0.1
_STANDARD_ERRORS = 4.0


def better_order(scores: Array, labels: Index) -> tuple[Index, float, float] | None:
    """Return an order of the outputs that fits the labels far better, or None.

    The order is the assignment of outputs to classes with the most right decisions, found by the
    Hungarian method in their confusion matrix. It only counts if it also does far better on
    examples not used to choose it: each half of the examples chooses an order that is tried on the
    other half.

    Parameters
    ----------
    scores : ndarray of shape (N, C)
    labels : ndarray of shape (N,)
        Class numbers; negative ones are left out.

    Returns
    -------
    tuple of (order, before, after) or None
        ``order[k]`` is the output for class k; the accuracy now, and in this order on examples not
        used to choose it.
    """
    n_classes = scores.shape[1]
    known = labels >= 0
    decided, truth = scores.argmax(axis=1)[known], labels[known]
    if not 2 <= n_classes <= _MOST_CLASSES or len(truth) < 2:
        return None
    halves = np.arange(len(truth)) % 2 == 0
    before = float((decided == truth).mean())
    least = max(_FAR_BETTER, _STANDARD_ERRORS * np.sqrt(2 * 0.25 / len(truth)))
    # No order is right more often than each output with its most frequent label.
    counted = [_counts(decided[half], truth[half], n_classes) for half in (halves, ~halves)]
    if sum(counts.max(axis=0).sum() for counts in counted) / len(truth) - before < least:
        return None
    right = np.empty(len(truth), dtype=bool)
    for chosen_by in (halves, ~halves):
        order = _assignment(decided[chosen_by], truth[chosen_by], n_classes)
        right[~chosen_by] = (order[truth] == decided)[~chosen_by]
    after = float(right.mean())
    if after - before < least:
        return None
    return _assignment(decided, truth, n_classes), before, after


def _assignment(decided: Index, truth: Index, n_classes: int) -> Index:
    """Return the output for each class; its own unless there is evidence against it."""
    counts = _counts(decided, truth, n_classes)
    # Among equally good orders, unseen classes keep their own output.
    counts += 0.5 / (n_classes + 1) * np.eye(n_classes)
    return np.asarray(scipy.optimize.linear_sum_assignment(counts, maximize=True)[1], dtype=np.intp)


def _counts(decided: Index, truth: Index, n_classes: int) -> NDArray[np.float64]:
    """Return how often each class (rows) has each output (columns)."""
    pairs = np.bincount(truth * n_classes + decided, minlength=n_classes**2)
    return pairs.reshape(n_classes, n_classes).astype(np.float64)
