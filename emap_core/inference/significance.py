"""Tests of whether two sets of scores of the same examples do equally well."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from emap_core.inference.metrics import (
    Array,
    Metric,
    Scored,
    Space,
    Task,
    check,
    evaluate_scored,
    metric,
)

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
    return float(stats.binomtest(only_first, only_first + only_second).pvalue)


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
    n_examples = len(truth)
    groups = _numbered(clusters, n_examples)
    rng = np.random.default_rng(seed)
    one = np.ones((1, n_examples))
    seen = float((evaluate_scored(chosen, pair[0], one) - evaluate_scored(chosen, pair[1], one))[0])
    if not np.isfinite(seen):
        return float("nan")
    swap = _swapped_means if chosen.of_examples is not None else _swapped_scores
    drawn = swap(chosen, pair, groups, n_resamples, rng)
    # Arrangements of the same differences may miss each other by a rounding.
    as_large = np.abs(drawn) >= abs(seen) - 1e-12 * max(abs(seen), 1.0)
    return float((1 + as_large.sum()) / (1 + n_resamples))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for being several, after Holm (1979); NaN is no test and stays."""
    given = np.asarray(p_values, dtype=np.float64)
    adjusted = given.copy()
    tested = np.flatnonzero(~np.isnan(given))
    order = tested[np.argsort(given[tested])]
    factors = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(given[order] * factors), 1.0)
    return [float(p) for p in adjusted]


def _numbered(clusters: ArrayLike | None, n_examples: int) -> NDArray[np.intp]:
    if clusters is None:
        return np.arange(n_examples)
    return np.asarray(np.unique(np.asarray(clusters), return_inverse=True)[1])


def _swapped_means(
    which: Metric, pair: list[Scored], groups: Array, n_resamples: int, rng: np.random.Generator
) -> Array:
    if which.of_examples is None:
        raise TypeError(which.name)
    differences = which.of_examples(pair[0]) - which.of_examples(pair[1])
    sums = np.bincount(groups, differences) / len(groups)
    sums = sums[sums != 0]
    if len(sums) == 0:
        return np.zeros(n_resamples)
    step = max(1, _ELEMENTS // len(sums))
    parts = [
        (2.0 * rng.integers(0, 2, (min(step, n_resamples - start), len(sums))) - 1.0) @ sums
        for start in range(0, n_resamples, step)
    ]
    return np.concatenate(parts)


def _swapped_scores(
    which: Metric, pair: list[Scored], groups: Array, n_resamples: int, rng: np.random.Generator
) -> Array:
    first, second = pair
    step = max(1, _ELEMENTS // first.scores.size)
    parts = []
    for start in range(0, n_resamples, step):
        size = min(step, n_resamples - start)
        swapped = rng.integers(0, 2, (size, groups.max() + 1)).astype(bool)[:, groups][..., None]
        weights = np.ones((size, len(groups)))
        sides = [
            Scored(first.labels, np.where(swapped, a.scores, b.scores), first.task, first.space)
            for a, b in ((second, first), (first, second))
        ]
        parts.append(
            evaluate_scored(which, sides[0], weights) - evaluate_scored(which, sides[1], weights)
        )
    return np.concatenate(parts)
