"""Tests of whether two sets of scores of the same examples do equally well."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from emap_core.inference.metrics import Metric, check, evaluate_scored, evaluate_shuffled, metric
from emap_core.inference.scores import Scored, Space, Task

_ELEMENTS = 2**21


def mcnemar(right: ArrayLike, other_right: ArrayLike) -> float:
    """Return the p-value of the exact McNemar test, for independent examples.

    Of the examples that just one of two predictions gets right, each is as likely to have either,
    if both do equally well (McNemar 1947). Without any such example, 1.
    """
    first, second = np.asarray(right, dtype=bool), np.asarray(other_right, dtype=bool)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    if only_first + only_second == 0:
        return 1.0
    # Both tails of a fair coin are alike.
    tail = special.bdtr(min(only_first, only_second), only_first + only_second, 0.5)
    return min(2.0 * float(tail), 1.0)


def randomisation_test(
    which: Metric | str,
    labels: ArrayLike,
    scores: ArrayLike,
    other: ArrayLike,
    task: Task,
    space: Space = "logits",
    *,
    clusters: ArrayLike | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
) -> float:
    """Return the p-value of a paired randomisation test.

    If both sets of scores, each of shape (N, C), do equally well, they may be swapped example by
    example, or cluster by cluster, without changing what the difference looks like (Noreen 1989;
    Yeh, COLING 2000). Two-sided; the observed arrangement counts as one of those drawn. NaN where
    the metric is.
    """
    chosen = metric(which) if isinstance(which, str) else which
    truth = np.asarray(labels)
    pair = [Scored(truth, np.asarray(s, dtype=np.float64), task, space) for s in (scores, other)]
    for scored in pair:
        check(chosen, scored)
    one = np.ones((1, len(truth)))
    seen = float((evaluate_scored(chosen, pair[0], one) - evaluate_scored(chosen, pair[1], one))[0])
    if not np.isfinite(seen):
        return float("nan")
    both = Scored(truth, np.stack([scored.scores for scored in pair]), task, space)
    groups = (
        np.arange(len(truth)) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    )
    rng = np.random.default_rng(seed)
    step = max(1, _ELEMENTS // both.scores[0].size)
    as_large = 0
    for start in range(0, n_resamples, step):
        size = min(step, n_resamples - start)
        places = rng.integers(0, 2, (size, groups.max() + 1))[:, groups]
        drawn = evaluate_shuffled(chosen, both, places) - evaluate_shuffled(
            chosen, both, 1 - places
        )
        # Arrangements of the same differences may miss each other by a rounding.
        as_large += int((np.abs(drawn) >= abs(seen) - 1e-12 * max(abs(seen), 1.0)).sum())
    return (1 + as_large) / (1 + n_resamples)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for being several, after Holm (1979); NaN is no test and stays."""
    given = np.asarray(p_values, dtype=np.float64)
    adjusted = given.copy()
    tested = np.flatnonzero(~np.isnan(given))
    order = tested[np.argsort(given[tested])]
    factors = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(given[order] * factors), 1.0)
    return [float(p) for p in adjusted]
