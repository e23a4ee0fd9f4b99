"""The formulas of the metrics, as scikit-learn defines them, for one resample or many at once.

Three kinds: values of single examples, whose weighted mean is the metric; functions of hits,
predictions and labels counted in each class, all of shape (B, K); and functions of all examples
of one resample with their weights.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from emap_core.inference.predictions.scores import Scored
from emap_core.types import AnyArray


def right(scored: Scored) -> AnyArray:
    """Return whether each prediction is the label."""
    # A NaN score decides -1, and -1 is also the label of what is not a class.
    known = scored.labels >= 0
    return np.asarray((scored.predictions == scored.labels) & known, dtype=np.float64)


def of_group(scored: Scored) -> AnyArray:
    """Return the value of each group, which replaces a score."""
    return np.asarray(scored.scores[..., 0])


def log_loss(scored: Scored) -> AnyArray:
    """Return minus the logarithm of each label's probability."""
    scores, labels = scored.scores, scored.labels
    least = float(np.finfo(np.float64).eps)
    if scored.task == "multiclass" and scored.space == "logits":
        # Odds against the own class; as in scikit-learn, no probability is below `least`.
        own = _of_label(scores, labels)[..., 0]
        total, odds = np.zeros(own.shape), np.empty(own.shape)
        # Infinite odds have the largest loss, too.
        with np.errstate(over="ignore"):
            for c in range(scores.shape[-1]):
                np.subtract(scores[..., c], own, out=odds)
                total += np.exp(odds, out=odds)
        return np.asarray(np.minimum(np.log(total), -np.log(least)))
    p = scored.probabilities
    if scored.task == "binary":
        own = np.where(labels == 1, p[..., 0], 1.0 - p[..., 0])
    else:
        own = _of_label(p, labels)[..., 0]
    return np.asarray(-np.log(np.maximum(own, least)))


def within_top(k: int, scored: Scored) -> AnyArray:
    """Return whether the label is among the k highest scores; in a tie, first classes win."""
    scores = scored.scores
    own = _of_label(scores, scored.labels)
    earlier = np.arange(scores.shape[-1]) < scored.labels[:, None]
    ahead = (scores > own) | ((scores == own) & earlier)
    return np.asarray((ahead.sum(axis=-1) < k) & (scored.labels >= 0), dtype=np.float64)


def _of_label(values: AnyArray, labels: AnyArray) -> AnyArray:
    """Return the value of each example's own class, shape (..., N, 1)."""
    of_label = values[..., np.arange(len(labels)), labels]
    return np.ascontiguousarray(of_label)[..., None]


def brier(scored: Scored) -> AnyArray:
    """Return squared distance of the probabilities from the label, summed over classes."""
    p = scored.probabilities
    if scored.task == "binary":
        return np.asarray((p[..., 0] - scored.labels) ** 2)
    truth = scored.labels[:, None] == np.arange(p.shape[-1])
    return np.asarray(((p - truth) ** 2).sum(axis=-1))


def credit(scored: Scored) -> AnyArray:
    """Return the credit of each prediction, from a table of credits."""
    chosen = np.maximum(scored.predictions, 0)[..., None]
    credit = np.broadcast_to(scored.labels, scored.scores.shape)
    return np.asarray(np.take_along_axis(credit, chosen, axis=-1)[..., 0])


def vqa_credit(answers: list[list[str]], classes: list[str]) -> NDArray[np.float64]:
    """Return the VQA accuracy that each class would earn on each example, shape (N, C).

    An answer earns min(1, n/3), n being the annotators who gave it, averaged over leaving out
    each annotator in turn (Antol et al., ICCV 2015, arXiv 1505.00468). The result goes to
    `evaluate` as the labels of ``vqa_accuracy``.
    """
    column = {name: c for c, name in enumerate(classes)}
    credit = np.zeros((len(answers), len(classes)))
    for row, given in enumerate(answers):
        for answer in set(given):
            n, same = len(given), given.count(answer)
            if answer not in column:
                continue
            without = same * min(1.0, (same - 1) / 3) + (n - same) * min(1.0, same / 3)
            credit[row, column[answer]] = without / n if n > 1 else 1.0
    return credit


def absolute_error(scored: Scored) -> AnyArray:
    """Return each prediction's distance from its target, averaged over outputs."""
    return np.asarray(np.abs(scored.labels - scored.scores).mean(axis=-1))


def squared_error(scored: Scored) -> AnyArray:
    """Return each prediction's squared distance from its target, averaged over outputs."""
    return np.asarray(((scored.labels - scored.scores) ** 2).mean(axis=-1))


def balanced_accuracy(hits: AnyArray, predicted: AnyArray, actual: AnyArray) -> AnyArray:
    """Return mean recall of the classes that occur."""
    seen = actual > 0
    recall = np.divide(hits, actual, out=np.zeros_like(hits), where=seen)
    return np.asarray(recall.sum(axis=-1) / seen.sum(axis=-1))


def _f1_each(hits: AnyArray, predicted: AnyArray, actual: AnyArray) -> tuple[AnyArray, AnyArray]:
    either = predicted + actual
    seen = either > 0
    return np.divide(2.0 * hits, either, out=np.zeros_like(hits), where=seen), seen


def f1_macro(hits: AnyArray, predicted: AnyArray, actual: AnyArray) -> AnyArray:
    """Return mean F1 of the classes."""
    # A class that is neither predicted nor a label has no F1 and does not count.
    f1, seen = _f1_each(hits, predicted, actual)
    return np.asarray(f1.sum(axis=-1) / np.maximum(seen.sum(axis=-1), 1))


def f1_micro(hits: AnyArray, predicted: AnyArray, actual: AnyArray) -> AnyArray:
    """Return f1 of all decisions together."""
    both = (predicted + actual).sum(axis=-1)
    micro = np.divide(2.0 * hits.sum(axis=-1), both, out=np.zeros_like(both), where=both > 0)
    return np.asarray(micro)


def f1_weighted(hits: AnyArray, predicted: AnyArray, actual: AnyArray) -> AnyArray:
    """Return mean F1 of the classes, weighted by their labels."""
    f1, _ = _f1_each(hits, predicted, actual)
    total = actual.sum(axis=-1)
    weighted = (f1 * actual).sum(axis=-1)
    mean = np.divide(weighted, total, out=np.zeros_like(weighted), where=total > 0)
    return np.asarray(mean)


def f1_positive(hits: AnyArray, predicted: AnyArray, actual: AnyArray) -> AnyArray:
    """Return f1 of the second class."""
    return _f1_each(hits, predicted, actual)[0][..., 1]


def _mean_over_classes(
    score: Callable[[AnyArray, AnyArray], float],
    scored: Scored,
    weights: AnyArray,
    needs_negatives: bool,
) -> float:
    """Return the mean of a ranking's score over the classes for which it is defined.

    `score` gets the weights of the positive and negative examples at each different score, in
    ascending order.
    """
    labels, ranking = scored.per_class()
    values = []
    for c in range(labels.shape[1]):
        positive = labels[:, c] == 1
        if not positive.any() or (needs_negatives and positive.all()):
            continue
        _, place = np.unique(ranking[:, c], return_inverse=True)
        values.append(
            score(np.bincount(place, weights * positive), np.bincount(place, weights * ~positive))
        )
    return float(np.mean(values)) if values else float("nan")


def roc_auc(scored: Scored, weights: AnyArray) -> float:
    """Return area under the ROC curve, the mean over classes against the rest."""

    def area(positive: AnyArray, negative: AnyArray) -> float:
        # The share of pairs in the right order; a tie counts half.
        below = np.cumsum(negative) - negative / 2.0
        return float(positive @ below / (positive.sum() * negative.sum()))

    return _mean_over_classes(area, scored, weights, True)


def average_precision(scored: Scored, weights: AnyArray) -> float:
    """Return mean precision over the recall steps, the mean over classes."""

    def mean_precision(positive: AnyArray, negative: AnyArray) -> float:
        hits, both = np.cumsum(positive[::-1]), np.cumsum((positive + negative)[::-1])
        return float(positive[::-1] @ (hits / both) / hits[-1])

    return _mean_over_classes(mean_precision, scored, weights, False)


def calibration_error(scored: Scored, weights: AnyArray) -> float:
    """Return the mean |confidence - accuracy| over 15 bins (Guo et al. 2017, arXiv 1706.04599)."""
    p = scored.probabilities
    confidence = np.maximum(p, 1.0 - p)[:, 0] if scored.task == "binary" else p.max(axis=1)
    excess = weights * (confidence - right(scored))
    bins = np.minimum((confidence * 15).astype(int), 14)
    return float(np.abs(np.bincount(bins, excess, minlength=15)).sum() / weights.sum())


def r2(scored: Scored, weights: AnyArray) -> float:
    """Return share of the variance explained, the mean over outputs."""
    total = weights @ (scored.labels - np.average(scored.labels, axis=0, weights=weights)) ** 2
    if (scored.labels == scored.labels[:1]).all(axis=0).any():
        return float("nan")
    explained = 1.0 - weights @ (scored.labels - scored.scores) ** 2 / total
    # Differences from 1 by rounding alone.
    explained[np.abs(explained) < 1e-12] = 0.0
    return float(explained.mean())


def rmse(scored: Scored, weights: AnyArray) -> float:
    """Return root of the mean squared error, the mean over outputs."""
    squares = np.average((scored.labels - scored.scores) ** 2, axis=0, weights=weights)
    return float(np.sqrt(squares).mean())


def spearman(scored: Scored, weights: AnyArray) -> float:
    """Return rank correlation, the mean over outputs."""

    def correlation(x: AnyArray, y: AnyArray) -> float:
        a, b = _ranks(x, weights), _ranks(y, weights)
        a, b = a - np.average(a, weights=weights), b - np.average(b, weights=weights)
        scale = np.sqrt((weights @ a**2) * (weights @ b**2))
        return float(weights @ (a * b) / scale) if scale > 0 else float("nan")

    columns = range(scored.scores.shape[1])
    return float(np.mean([correlation(scored.labels[:, c], scored.scores[:, c]) for c in columns]))


def _ranks(values: AnyArray, weights: AnyArray) -> AnyArray:
    # The middle of the ranks of a value's copies; a weight is a number of copies.
    _, place = np.unique(values, return_inverse=True)
    each = np.bincount(place, weights)
    return np.asarray((np.cumsum(each) - each / 2.0)[place])
