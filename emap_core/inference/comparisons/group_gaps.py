"""The gap of every group of examples, with limits that hold for all of them at once.

Of twenty groups, one has limits that miss by chance alone, and people look at that one. The limits
here are as wide as the most extreme group needs: the smallest p-value of several, whose
distribution is simulated from how the groups' gaps vary together (Westfall & Young,
Resampling-Based Multiple Testing, 1993, §2.3; Hothorn, Bretz & Westfall, Biometrical Journal 50,
2008). Each group keeps its own degrees of freedom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import scipy
from numpy.typing import NDArray

from emap_core.inference.comparisons.example_scores import ExampleScores
from emap_core.inference.comparisons.slice_gap import slice_gap
from emap_core.inference.gap import Gap
from emap_core.inference.metrics import evaluate_scored, metric
from emap_core.inference.resamples.limits import CONFIDENCE
from emap_core.inference.resamples.population import population_of
from emap_core.types import Array

_DRAWS = 20_000
_ELEMENTS = 2**22


def group_gaps(examples: ExampleScores, groups: Sequence[str] | NDArray[np.str_]) -> dict[str, Gap]:
    """Return what a metric loses without interactions in each group, in order of appearance.

    Parameters
    ----------
    examples : ExampleScores
    groups : sequence of str, length N
        The name of each example's group.

    Returns
    -------
    dict of str to Gap
        Limits hold for the gaps of all groups at once in 95 of 100 samples, and p-values are
        adjusted for the number of groups: the two agree.
    """
    names = np.asarray(groups, dtype=object)
    masks = {name: names == name for name in dict.fromkeys(names.tolist())}
    together = _correlation(examples, list(masks.values()))
    smallest = smallest_of_several(together, examples.seed)
    level = 1.0 - float(np.quantile(smallest, 1.0 - CONFIDENCE))
    gaps = {}
    for name, mask in masks.items():
        gap = slice_gap(examples, mask, confidence=level, tested=True)
        as_small = (1 + int((smallest <= gap.p_value).sum())) / (1 + len(smallest))
        gaps[name] = replace(
            gap,
            p_value=as_small if np.isfinite(gap.p_value) else gap.p_value,
            method=f"{gap.method}; limits and p-value adjusted for {len(masks)} groups",
        )
    return gaps


def smallest_of_several(correlation: Array, seed: int = 0) -> Array:
    """Return draws of the smallest p-value of G tests whose hypotheses all hold, shape (20,000,).

    Parameters
    ----------
    correlation : ndarray of shape (G, G)
        Of their statistics.
    seed : int
    """
    rng = np.random.default_rng(seed)
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    # Cutting off at 0 above makes the other values too large.
    root /= np.sqrt(np.maximum((root**2).sum(axis=1, keepdims=True), np.finfo(float).tiny))
    largest = np.empty(_DRAWS)
    step = max(1, _ELEMENTS // len(correlation))
    for start in range(0, _DRAWS, step):
        normal = rng.standard_normal((min(step, _DRAWS - start), len(correlation))) @ root.T
        largest[start : start + step] = np.abs(normal).max(axis=1)
    return np.asarray(2.0 * scipy.special.ndtr(-largest))


def _correlation(examples: ExampleScores, masks: list[NDArray[np.bool_]]) -> Array:
    """Return how the gaps of G groups vary together, shape (G, G)."""
    which = metric(examples.metric)
    population = population_of(examples.decomposition, examples.cluster)
    parts = [examples.on(mask) for mask in masks]
    rng = np.random.default_rng(examples.seed)
    covariances = []
    for units in population.draws:
        replicates: list[list[Array]] = [[] for _ in masks]
        for weights in units.resamples(population.share_out(examples.n_resamples), rng):
            for kept, mask, (full, other) in zip(replicates, masks, parts, strict=True):
                some = weights[:, mask]
                # A group that a resample leaves out keeps its value.
                some = np.where(some.any(axis=1, keepdims=True), some, 1.0)
                kept.append(
                    evaluate_scored(which, full, some) - evaluate_scored(which, other, some)
                )
        values = np.nan_to_num([np.concatenate(kept) for kept in replicates])
        covariances.append(np.atleast_2d(np.cov(values)))
    joint = np.array(population.together(covariances))
    alone = population.alone(covariances)
    np.fill_diagonal(joint, np.max([np.diag(c) for c in (joint, *alone)], axis=0))
    deviation = np.sqrt(np.diag(joint))
    scale = np.where(deviation > 0, deviation, 1.0)
    found = np.clip(joint / np.outer(scale, scale), -1.0, 1.0)
    np.fill_diagonal(found, 1.0)
    return np.asarray(found)
