"""Metrics of one set of scores, or of thousands of resamples at once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emap_core.errors import SettingError
from emap_core.inference.metrics.registry import Metric, check, metric
from emap_core.inference.predictions.scores import Scored
from emap_core.types import Array, Space, Task

# So few are counted faster in a product of matrices, unless there are even fewer weightings.
_FEW_CLASSES = 64


def evaluate(
    which: Metric | str,
    labels: ArrayLike,
    scores: ArrayLike,
    task: Task,
    space: Space = "logits",
    weights: ArrayLike | None = None,
) -> float:
    """Return a metric of N examples.

    Parameters
    ----------
    which : Metric or str
    labels : array of shape (N,) or (N, C)
        Class numbers (multiclass), 0 or 1 (binary, and (N, C) for multilabel), -1 for labels that
        are not a class of the model, numbers of shape (N, C) (regression); the credit of each
        answer, shape (N, C), for VQA accuracy.
    scores : array of shape (N, C)
    task, space : str
        What the scores are for, and what they are; see `probabilities`.
    weights : array of shape (N,), optional
        Weight of each example; an integer counts as that many copies, 0 as none.

    Returns
    -------
    float
        NaN if the metric is undefined; `why_undefined` says why.

    Raises
    ------
    SettingError, LabelError
        If the metric is not for the task, or labels do not fit the scores.
    """
    n_examples = len(np.asarray(scores))
    each = np.ones(n_examples) if weights is None else np.asarray(weights, dtype=np.float64)
    return float(evaluate_resamples(which, labels, scores, each[None], task, space)[0])


def evaluate_resamples(
    which: Metric | str,
    labels: ArrayLike,
    scores: ArrayLike,
    weights: ArrayLike,
    task: Task,
    space: Space = "logits",
) -> Array:
    """Return a metric for each of B weightings of the same N examples, shape (B,).

    Scores have shape (N, C), or (B, N, C) if each weighting has its own; weights (B, N).
    """
    chosen = metric(which) if isinstance(which, str) else which
    scored = Scored(np.asarray(labels), np.asarray(scores), task, space)
    check(chosen, scored)
    weight = np.asarray(weights, dtype=np.float64)
    if not (weight >= 0).all() or not (weight.sum(axis=-1) > 0).all():
        raise SettingError("weights must not be negative, and not all of them 0")
    return evaluate_scored(chosen, scored, weight)


def evaluate_scored(which: Metric, scored: Scored, weights: Array) -> Array:
    """Return a metric for each of B weightings, shape (B,), of inputs that `check` has seen."""
    values = which.values(scored)
    if values is not None:
        result = _mean(values, weights)
    elif which.of_counts is not None:
        result = which.of_counts(*_counts(scored, scored.predictions, weights))
    else:
        result = np.array([_of_all(which, scored, w, b) for b, w in enumerate(weights)])
    if scored.unknown.any():
        result = np.where((weights * scored.unknown).sum(axis=-1) > 0, np.nan, result)
    return np.asarray(result)


def evaluate_shuffled(which: Metric, scored: Scored, places: NDArray[np.intp]) -> Array:
    """Return a metric of B mixtures of B resamples, shape (B,); every example weighs 1.

    ``places[b, i]``, shape (B, N), is the resample that example i of mixture b is taken from.
    """
    n_examples = places.shape[1]
    flat = places * n_examples + np.arange(n_examples)

    def mixed_of(values: Array) -> Array:
        return np.asarray(np.take(values.reshape(-1, *values.shape[2:]), flat, axis=0))

    values = which.values(scored)
    if values is not None:
        return _mean(mixed_of(values))
    if which.of_counts is not None:
        return which.of_counts(*_counts(scored, mixed_of(scored.predictions)))
    scores = mixed_of(scored.scores)
    mixed = Scored(scored.labels, scores, scored.task, scored.space)
    return evaluate_scored(which, mixed, np.ones(places.shape))


def read_for(metrics: Iterable[Metric], scored: Scored) -> Scored:
    """Return what metrics read from scores; include the scores only if a metric needs them."""
    chosen = tuple(metrics)
    return scored.reading(
        [which.of_examples for which in chosen if which.of_examples is not None],
        predictions=any(which.of_counts for which in chosen),
        scores=any(which.of_all for which in chosen),
    )


def difference(
    which: Metric | str,
    labels: ArrayLike,
    scores: ArrayLike,
    other: ArrayLike,
    task: Task,
    space: Space = "logits",
    weights: ArrayLike | None = None,
) -> float:
    """Return how much better `scores` do than `other`; positive is better for every metric."""
    chosen = metric(which) if isinstance(which, str) else which
    first, second = (evaluate(chosen, labels, s, task, space, weights) for s in (scores, other))
    return first - second if chosen.higher_is_better else second - first


def why_undefined(
    which: Metric | str, labels: ArrayLike, scores: ArrayLike, task: Task
) -> str | None:
    """Return why a metric of these labels and scores is NaN, or None if it is defined."""
    chosen = metric(which) if isinstance(which, str) else which
    truth, values = np.asarray(labels), np.asarray(scores)
    if np.isnan(values).any():
        return "with a single text or image, nothing is left to average over"
    if chosen.ranks and not np.isfinite(evaluate(chosen, truth, values, task)):
        return f"{chosen.label} needs labels of at least two classes, but these are all the same"
    if task == "regression" and not np.isfinite(evaluate(chosen, truth, values, task)):
        constant = "labels" if (truth == truth[:1]).all() else "scores"
        return f"{chosen.label} needs {constant} that differ, but these are all the same"
    return None


def _mean(values: Array, weights: Array | None = None) -> Array:
    """Return the mean of the values; NaN counts as 0."""
    if weights is None:
        means = values.mean(axis=-1)
    else:
        sums = weights @ values if values.ndim == 1 else np.einsum("bn,bn->b", weights, values)
        means = sums / weights.sum(axis=-1)
    if np.isnan(means).any() and np.isnan(values).any():
        return _mean(np.where(np.isnan(values), 0.0, values), weights)
    return np.asarray(means)


def _of_all(which: Metric, scored: Scored, weights: Array, number: int) -> float:
    scores = scored.scores[number] if scored.scores.ndim == 3 else scored.scores
    kept = weights > 0
    if which.of_all is None or np.isnan(scores[kept]).any():
        return float("nan")
    one = Scored(scored.labels[kept], scores[kept], scored.task, scored.space)
    return which.of_all(one, weights[kept])


def _counts(
    scored: Scored, predictions: Array, weights: Array | None = None
) -> tuple[Array, Array, Array]:
    """Return hits, predictions and labels of each class, each of shape (B, K).

    Weighted by weights of shape (B, N); every example weighs 1 without them.
    """
    predicted, labels = np.maximum(predictions, 0), scored.labels
    if scored.task == "multilabel":
        n_resamples = len(predictions if weights is None else weights)
        each = np.broadcast_to(predicted, (n_resamples, *scored.scores.shape[-2:]))
        if weights is None:
            weights = np.ones(each.shape[:2])
        hits = np.einsum("bn,bnc,nc->bc", weights, each, labels, optimize=True)
        return hits, np.einsum("bn,bnc->bc", weights, each), weights @ labels
    n_classes = 2 if scored.task == "binary" else scored.scores.shape[-1]
    if labels.size and labels.min() < 0:
        # Labels outside the model's classes form a further class, which is never predicted.
        labels = np.where(labels < 0, n_classes, labels)
        n_classes += 1
    # Right and wrong predictions are counted together, in two bins per class.
    of_bins = _counted(2 * predicted + (predicted == labels), weights, 2 * n_classes)
    hits = of_bins[:, 1::2]
    actual = np.broadcast_to(_counted(labels, weights, n_classes), hits.shape)
    return hits, of_bins[:, ::2] + hits, actual


def _counted(classes: Array, weights: Array | None, n_classes: int) -> Array:
    """Return how much each class, of shape (N,) or (B, N), weighs: shape (B, K) or (1, K)."""
    n_resamples = len(np.atleast_2d(classes) if weights is None else weights)
    few = n_classes <= min(_FEW_CLASSES, n_resamples)
    if weights is not None and classes.ndim == 1 and few:
        return np.asarray(weights @ (classes[:, None] == np.arange(n_classes)))
    place = classes + n_classes * np.arange(n_resamples)[:, None]
    of_each = None if weights is None else weights.ravel()
    counts = np.bincount(place.ravel(), of_each, n_resamples * n_classes)
    return counts.reshape(n_resamples, n_classes).astype(np.float64)
