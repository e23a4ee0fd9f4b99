"""Scores on their best scale, so that log loss, Brier score and calibration error can be compared.

A projection averages over recombinations, so its logits are less spread than the model's, and
metrics that read probabilities penalise that, too. One temperature and one offset per class, fitted
to model and projection separately (Platt, "Probabilistic outputs for support vector machines",
1999; Guo et al., ICML 2017, arXiv 1706.04599, section 4), remove the difference in scale and leave
what only interactions can bring.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy
from numpy.typing import ArrayLike

from emap_core.decomposition import Decomposition
from emap_core.inference.comparisons.gap_of_scores import KnownGap, ScorePair
from emap_core.inference.gap import Gap
from emap_core.inference.metrics import metric
from emap_core.inference.predictions.scores import SMALLEST_PROBABILITY, probabilities
from emap_core.inference.resamples.population import Population
from emap_core.inference.table.score_table import projections
from emap_core.types import Array, Index, Space, Task

N_FOLDS = 5
MOST_OFFSETS = 50
"""Most classes with their own offset; the most frequent ones."""
FEWEST_LABELS = 10
"""Fewest labels of a class for its own offset."""

_MOST_ELEMENTS = 2**21
# Weak pulls towards 0, on scores of spread 1: with a perfect fit, values would grow forever.
_SPREAD_OF_SCALE = 10.0
_SPREAD_OF_OFFSETS = 3.0
_MOST_STEPS = 50
# In log loss per example.
_CLOSE_ENOUGH = 1e-7


def calibrated(
    scores: ArrayLike, labels: ArrayLike, task: Task, space: Space = "logits", *, seed: int = 0
) -> Array:
    """Return scores as logits on the scale that suits the labels of other examples best, (N, C).

    The examples are split into five folds with equal shares of each class; temperature and offsets
    of each fold minimise the log loss on the other four.

    Parameters
    ----------
    scores : array of shape (N, C)
        NaN gives NaN throughout.
    labels : array of shape (N,) or (N, C)
        As for `evaluate`.
    task : {"multiclass", "binary", "multilabel"}
        One temperature for all classes of a multiclass task; one for each logit of the others.
    space : str
        What the scores are.
    seed : int
        Seed of the folds.
    """
    logits = _logits(np.asarray(scores, dtype=np.float64), task, space)
    if np.isnan(logits).any():
        return np.full(logits.shape, np.nan)
    truth = np.asarray(labels)
    if task == "multiclass":
        return _cross_fitted(logits, truth, seed)
    each = []
    for logit, column in zip(logits.T, truth.reshape(logits.shape).T, strict=True):
        # One logit is the lead of the second of two classes over the first.
        both = _cross_fitted(np.column_stack([-logit / 2, logit / 2]), column, seed)
        each.append(both[:, 1] - both[:, 0])
    return np.asarray(np.column_stack(each))


def calibrated_gaps(
    decomposition: Decomposition,
    labels: ArrayLike,
    task: Task,
    gaps: Mapping[str, Mapping[str, Gap]],
    population: Population,
    *,
    space: Space = "logits",
) -> dict[str, dict[str, Gap]]:
    """Return the gaps of metrics that read probabilities, with both on their best scale.

    Parameters
    ----------
    decomposition : Decomposition
    labels, task, space
        As for `evaluate`.
    gaps : mapping
        For each metric, a `Gap` for each projection.
    population : Population
        Of the examples.
    """
    chosen = {name: of for name, of in gaps.items() if metric(name).needs_probabilities}
    if not chosen:
        return {}
    d, truth = decomposition, np.asarray(labels)
    scores = projections(d, None, task, space)
    full = calibrated(d.logits, truth, task, space)
    projected = {
        row: calibrated(scores[row], truth, task, space)
        for row in sorted({row for of in chosen.values() for row in of})
    }

    def on_best_scale(row: str, gap: Gap) -> Gap:
        before = ScorePair(d.logits, scores[row], space)
        after = ScorePair(full, projected[row], "logits")
        how = "both sides after a cross-fitted temperature and offsets"
        return KnownGap(gap, before, truth, task, population).of(after, how)

    return {
        name: {row: on_best_scale(row, gap) for row, gap in of.items()}
        for name, of in chosen.items()
    }


def _logits(scores: Array, task: Task, space: Space) -> Array:
    if space == "logits":
        return scores
    kept = np.clip(probabilities(scores, task, space), SMALLEST_PROBABILITY, None)
    if task == "multiclass":
        return np.asarray(np.log(kept))
    return np.asarray(scipy.special.logit(np.minimum(kept, 1.0 - SMALLEST_PROBABILITY)))


def _cross_fitted(logits: Array, labels: Array, seed: int) -> Array:
    """Return logits of shape (N, C), each on the scale fitted to the other folds."""
    truth = labels.astype(np.intp)
    centred = logits - logits.mean(axis=1, keepdims=True)
    spread = float(np.sqrt(np.mean(centred**2)))
    centred = centred / spread if spread > 0 else centred
    # -1 is the label of what is not a class: not used for fitting, but scored like the others.
    known = truth >= 0
    counts = np.bincount(truth[known], minlength=logits.shape[1])
    often = np.argsort(-counts, kind="stable")[:MOST_OFFSETS]
    own_offset = np.sort(often[counts[often] >= FEWEST_LABELS])
    # Classes one after the other, each in random order: dealt in turn, folds get equal shares.
    order = np.lexsort((np.random.default_rng(seed).permutation(len(truth)), truth))
    fold = np.empty(len(truth), dtype=np.intp)
    fold[order] = np.arange(len(truth)) % N_FOLDS
    start = _fit(centred[known], truth[known], own_offset, np.zeros(1 + len(own_offset)))
    result = np.empty_like(centred)
    for k in range(N_FOLDS):
        here = fold == k
        others = known & ~here
        found = _fit(centred[others], truth[others], own_offset, start)
        result[here] = _rescaled(centred[here], own_offset, found)
    return np.asarray(result)


def _rescaled(logits: Array, own_offset: Index, parameters: Array) -> Array:
    moved = parameters[0] * logits
    moved[:, own_offset] += parameters[1:]
    return np.asarray(moved)


def _fit(logits: Array, labels: Index, own_offset: Index, start: Array) -> Array:
    """Return the scale, 1 over the temperature, and the offsets of least log loss.

    The loss is convex in them, so Newton's method finds them in a few steps.
    """
    step = max(1, -(-logits.size // _MOST_ELEMENTS))
    logits, labels = logits[::step], labels[::step]
    pull = np.concatenate(
        [[_SPREAD_OF_SCALE**-2.0], np.full(len(start) - 1, _SPREAD_OF_OFFSETS**-2.0)]
    )
    found = _newton(logits, labels, own_offset, start, pull)
    if found[0] >= 0:
        return found
    # Scores that point the wrong way have no information at any temperature.
    return _newton(0.0 * logits, labels, own_offset, np.concatenate([[0.0], found[1:]]), pull)


def _newton(logits: Array, labels: Index, own_offset: Index, start: Array, pull: Array) -> Array:
    rows, now = np.arange(len(labels)), start
    counts = np.bincount(labels, minlength=logits.shape[1])[own_offset]

    def loss(parameters: Array) -> tuple[float, Array]:
        moved = scipy.special.log_softmax(_rescaled(logits, own_offset, parameters), axis=1)
        return float(-moved[rows, labels].sum() + pull @ parameters**2 / 2), moved

    value, log_p = loss(now)
    for _ in range(_MOST_STEPS):
        p = np.exp(log_p)
        mean = np.einsum("nc,nc->n", p, logits)
        away = logits - mean[:, None]
        own = p[:, own_offset]
        gradient = pull * now
        gradient[0] += mean.sum() - logits[rows, labels].sum()
        gradient[1:] += own.sum(axis=0) - counts
        hessian = np.diag(pull)
        hessian[0, 0] += np.einsum("nc,nc,nc->", p, away, away)
        hessian[0, 1:] = hessian[1:, 0] = np.einsum("nk,nk->k", own, away[:, own_offset])
        hessian[1:, 1:] += np.diag(own.sum(axis=0)) - own.T @ own
        step = np.linalg.solve(hessian, gradient)
        gain = float(gradient @ step)
        size = 1.0
        while size > 1e-6:
            new, new_log_p = loss(now - size * step)
            if new <= value - 1e-4 * size * gain:
                break
            size /= 2
        else:
            return now
        now, value, log_p = now - size * step, new, new_log_p
        if gain < _CLOSE_ENOUGH * len(labels):
            break
    return now
