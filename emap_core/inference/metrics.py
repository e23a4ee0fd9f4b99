"""Performance metrics by their standard names, for one set of scores or thousands of resamples.

Definitions are those of scikit-learn, computed here for many weightings at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from emap_core.errors import LabelError, SettingError

Array = NDArray[Any]
Task = Literal["multiclass", "binary", "multilabel", "regression"]
Space = Literal["logits", "log_probabilities", "probabilities"]

SMALLEST_PROBABILITY = 1e-7
_DECISIONS: tuple[Task, ...] = ("multiclass", "binary", "multilabel")
_EXCLUSIVE: tuple[Task, ...] = ("multiclass", "binary")


@dataclass(frozen=True)
class Metric:
    """A performance metric: how it is called, which way it points, how it is computed.

    Attributes
    ----------
    name : str
        Standard name, as on the command line and in records.
    label : str
        Name for people, as it stands inside a sentence.
    tasks : tuple of str
        The tasks that it is for.
    higher_is_better : bool
    needs_probabilities : bool
        Whether it reads scores as probabilities, through softmax or sigmoid.
    unit : str
        ``"points"`` where differences are told in hundredths of a share of 1, else ``""``.
    """

    name: str
    label: str
    tasks: tuple[Task, ...]
    higher_is_better: bool = True
    needs_probabilities: bool = False
    unit: Literal["points", ""] = "points"
    # Exactly one of these computes it: values of the examples whose weighted mean it is; hits,
    # predictions and labels of each class; or everything at once.
    of_examples: Callable[[Scored], Array] | None = None
    of_counts: Callable[[Array, Array, Array], Array] | None = None
    of_all: Callable[[Scored, Array], float] | None = None


@dataclass(frozen=True, eq=False)
class Scored:
    """Labels and scores of the same N examples, with what several metrics read from them.

    Attributes
    ----------
    labels : ndarray of shape (N,) or (N, C)
    scores : ndarray of shape (N, C) or (B, N, C)
        With a leading axis, the scores that the examples have in each of B resamples.
    task, space : str
    """

    labels: Array
    scores: Array
    task: Task
    space: Space

    @cached_property
    def predictions(self) -> Array:
        """What the scores decide; see `predict`."""
        return predict(self.scores, self.task, self.space)

    @cached_property
    def probabilities(self) -> Array:
        """The scores as probabilities; see `probabilities`."""
        return probabilities(self.scores, self.task, self.space)

    @cached_property
    def unknown(self) -> Array:
        """Whether an example's scores are not numbers, shape (N,) or (B, N)."""
        return _unknown(self.scores)

    @cached_property
    def _values(self) -> dict[str, Array]:
        return {}

    def values(self, which: Metric) -> Array | None:
        """Return the values of the examples whose mean the metric is; None if it is no mean."""
        if which.of_examples is not None and which.name not in self._values:
            self._values[which.name] = which.of_examples(self)
        return self._values.get(which.name)

    def per_class(self) -> tuple[Array, Array]:
        """Return labels (N, K) of 0 and 1 and scores (N, K) that rank examples in each class."""
        if self.task == "multiclass":
            n_classes = self.scores.shape[-1]
            if self.space == "logits":
                # The logarithm ranks as the probability does, and does not saturate at 1.
                ranking = special.log_softmax(self.scores, axis=-1)
            else:
                ranking = self.probabilities
            return (self.labels[:, None] == np.arange(n_classes)).astype(int), ranking
        return self.labels.reshape(self.scores.shape), self.scores


def metric(name: str) -> Metric:
    """Return a metric by its name; ``top_K_accuracy`` takes any whole K.

    Raises
    ------
    SettingError
        If no metric has this name.
    """
    found = _METRICS.get(_ALIASES.get(name, name))
    if found is not None:
        return found
    top = re.fullmatch(r"top_([1-9]\d*)_accuracy", name)
    if top:
        return _top(int(top[1]))
    known = ", ".join([*_METRICS, "top_K_accuracy"])
    raise SettingError(f"metric is {name!r}; expected one of {known}")


def default_metrics(task: Task, *, has_threshold: bool = True) -> list[str]:
    """Return the metrics that a table shows unless others are asked for.

    A binary score without a natural threshold, such as a similarity, is judged by its ranking.
    """
    if task == "binary" and not has_threshold:
        return ["roc_auc", "average_precision"]
    return {
        "multiclass": ["accuracy", "f1_macro", "log_loss"],
        "binary": ["accuracy", "roc_auc", "log_loss"],
        "multilabel": ["f1_micro", "f1_macro", "average_precision"],
        "regression": ["r2", "root_mean_squared_error", "spearman"],
    }[task]


def probabilities(scores: ArrayLike, task: Task, space: Space = "logits") -> Array:
    """Return projected scores of shape (..., C) as probabilities of the same shape.

    Logits go through softmax (multiclass) or sigmoid (each class of the other tasks). Projected
    probabilities may leave [0, 1]: they are clipped to [1e-7, 1] and renormalised; projected
    log-probabilities likewise, through exp.

    Raises
    ------
    SettingError
        If the task is a regression.
    """
    values = np.asarray(scores, dtype=np.float64)
    if task == "regression":
        raise SettingError("a regression has no probabilities")
    if space == "logits":
        if task == "multiclass":
            return np.asarray(special.softmax(values, axis=-1))
        return np.asarray(special.expit(values))
    if space == "log_probabilities":
        values = np.exp(np.minimum(values, 0.0))
    kept = np.clip(values, SMALLEST_PROBABILITY, 1.0)
    if task == "multiclass":
        return np.asarray(kept / kept.sum(axis=-1, keepdims=True))
    return np.asarray(kept / (kept + np.clip(1.0 - values, SMALLEST_PROBABILITY, 1.0)))


def predict(scores: ArrayLike, task: Task, space: Space = "logits") -> Array:
    """Return what scores of shape (..., N, C) decide.

    Multiclass: the class of the highest score, the first one of several, shape (..., N). Binary:
    0 or 1, shape (..., N). Multilabel: 0 or 1 for each class, shape (..., N, C); 1 is above the
    threshold (logit 0, probability 1/2). A score that is not a number decides -1. Regression: the
    scores themselves.
    """
    values = np.asarray(scores)
    if task == "regression":
        return values
    if task == "multiclass":
        unknown = _unknown(values)
        decided = values.argmax(axis=-1)
        return np.where(unknown, -1, decided) if unknown.any() else np.asarray(decided)
    threshold = {"logits": 0.0, "log_probabilities": np.log(0.5), "probabilities": 0.5}[space]
    decided = np.where(np.isnan(values), -1, values > threshold)
    return decided[..., 0] if task == "binary" else decided


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
        Class numbers (multiclass), 0 or 1 (binary, and (N, C) for multilabel), numbers of shape
        (N, C) (regression); the credit of each answer, shape (N, C), for VQA accuracy.
    scores : array of shape (N, C)
    task, space : str
        What the scores are for and what they are; see `probabilities`.
    weights : array of shape (N,), optional
        Weight of each example; an integer counts as that many copies, 0 as none.

    Returns
    -------
    float
        NaN where the metric is undefined; `why_undefined` says why.

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

    Scores have shape (N, C), or (B, N, C) where each weighting has its own; weights (B, N).
    """
    chosen = metric(which) if isinstance(which, str) else which
    scored = Scored(np.asarray(labels), np.asarray(scores), task, space)
    check(chosen, scored)
    weight = np.asarray(weights, dtype=np.float64)
    if not (weight >= 0).all() or not (weight.sum(axis=-1) > 0).all():
        raise SettingError("weights must not be negative, and not all of them 0")
    return evaluate_scored(chosen, scored, weight)


def evaluate_scored(which: Metric, scored: Scored, weights: Array) -> Array:
    """Return a metric for each of B weightings, shape (B,), of what `check` has seen."""
    values = scored.values(which)
    if values is not None:
        result = _weighted_mean(values, weights)
    elif which.of_counts is not None:
        result = which.of_counts(*_counts(scored, scored.predictions, weights))
    else:
        result = np.array([_of_all(which, scored, w, b) for b, w in enumerate(weights)])
    if scored.unknown.any():
        result = np.where((weights * scored.unknown).sum(axis=-1) > 0, np.nan, result)
    return np.asarray(result)


def evaluate_shuffled(which: Metric, scored: Scored, places: NDArray[np.intp]) -> Array:
    """Return a metric of B mixtures of B resamples, shape (B,), every example weighing 1.

    ``places[b, i]``, shape (B, N), is the resample that example i of mixture b is taken from.
    """
    weights = np.ones(places.shape)
    values = scored.values(which)
    if values is not None:
        return _weighted_mean(np.take_along_axis(values, places, 0), weights)
    if which.of_counts is not None:
        index = places[:, :, None] if scored.predictions.ndim == 3 else places
        mixed = np.take_along_axis(scored.predictions, index, 0)
        return which.of_counts(*_counts(scored, mixed, weights))
    scores = np.take_along_axis(scored.scores, places[:, :, None], 0)
    return evaluate_scored(which, Scored(scored.labels, scores, scored.task, scored.space), weights)


def difference(
    which: Metric | str,
    labels: ArrayLike,
    scores: ArrayLike,
    other: ArrayLike,
    task: Task,
    space: Space = "logits",
    weights: ArrayLike | None = None,
) -> float:
    """Return by how much `scores` do better than `other`: positive is better, for every metric."""
    chosen = metric(which) if isinstance(which, str) else which
    first, second = (evaluate(chosen, labels, s, task, space, weights) for s in (scores, other))
    return first - second if chosen.higher_is_better else second - first


def why_undefined(
    which: Metric | str, labels: ArrayLike, scores: ArrayLike, task: Task
) -> str | None:
    """Return why a metric of these labels and scores is NaN, None where it is defined."""
    chosen = metric(which) if isinstance(which, str) else which
    truth, values = np.asarray(labels), np.asarray(scores)
    if np.isnan(values).any():
        return "with a single text or image nothing is left to average over"
    if chosen.name in ("roc_auc", "average_precision") and not np.isfinite(
        evaluate(chosen, truth, values, task)
    ):
        return f"{chosen.label} needs labels of at least two classes, and these are all the same"
    if task == "regression" and not np.isfinite(evaluate(chosen, truth, values, task)):
        constant = "labels" if (truth == truth[:1]).all() else "scores"
        return f"{chosen.label} needs {constant} that differ, and these are all the same"
    return None


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


def check(which: Metric, scored: Scored) -> None:
    """Raise what is wrong when a metric is asked of labels and scores that it is not for."""
    task, truth = scored.task, scored.labels
    if task not in which.tasks:
        raise SettingError(
            f"{which.name} is no metric for a {task} task; expected one of "
            + ", ".join(m.name for m in _METRICS.values() if task in m.tasks)
        )
    n_examples, n_classes = scored.scores.shape[-2:]
    matrix = task in ("multilabel", "regression") or which.name == "vqa_accuracy"
    expected = (n_examples, n_classes) if matrix else (n_examples,)
    if truth.shape != expected:
        raise LabelError(
            f"labels have shape {truth.shape}; {which.name} of a {task} task needs {expected}"
        )
    if task in _DECISIONS and truth.size and which.name != "vqa_accuracy":
        highest = n_classes - 1 if task == "multiclass" else 1
        if truth.min() < 0 or truth.max() > highest:
            raise LabelError(
                f"labels go from {truth.min()} to {truth.max()}; expected 0 to {highest}"
            )
    top = re.fullmatch(r"top_(\d+)_accuracy", which.name)
    if top and int(top[1]) >= n_classes:
        raise SettingError(f"{which.name} is always 1 with {n_classes} classes; take a smaller K")


def _weighted_mean(values: Array, weights: Array) -> Array:
    kept = np.where(np.isnan(values), 0.0, values)
    sums = weights @ kept if kept.ndim == 1 else np.einsum("bn,bn->b", weights, kept)
    return np.asarray(sums / weights.sum(axis=-1))


def _of_all(which: Metric, scored: Scored, weights: Array, number: int) -> float:
    scores = scored.scores[number] if scored.scores.ndim == 3 else scored.scores
    kept = weights > 0
    if which.of_all is None or np.isnan(scores[kept]).any():
        return float("nan")
    one = Scored(scored.labels[kept], scores[kept], scored.task, scored.space)
    return which.of_all(one, weights[kept])


def _counts(scored: Scored, predictions: Array, weights: Array) -> tuple[Array, Array, Array]:
    """Return hits, predictions and labels of each class, weighted, each of shape (B, K)."""
    predicted = np.maximum(predictions, 0)
    n_resamples = len(weights)
    if scored.task == "multilabel":
        each = np.broadcast_to(predicted, (n_resamples, *scored.scores.shape[-2:]))
        hits = np.einsum("bn,bnc,nc->bc", weights, each, scored.labels, optimize=True)
        return hits, np.einsum("bn,bnc->bc", weights, each), weights @ scored.labels
    n_classes = 2 if scored.task == "binary" else scored.scores.shape[-1]
    offset = n_classes * np.arange(n_resamples)[:, None]

    def count(classes: Array, counted: Array) -> Array:
        flat = np.bincount((classes + offset).ravel(), counted.ravel(), n_resamples * n_classes)
        return flat.reshape(n_resamples, n_classes)

    right = predicted == scored.labels
    return (
        count(scored.labels, weights * right),
        count(predicted, weights),
        count(scored.labels, weights),
    )


def _unknown(values: Array) -> Array:
    # A sum is as telling as a look at every class, and several times faster.
    return np.asarray(np.isnan(np.einsum("...c->...", values)))


def _right(scored: Scored) -> Array:
    return np.asarray(scored.predictions == scored.labels, dtype=np.float64)


def _top(k: int) -> Metric:
    def within(scored: Scored) -> Array:
        scores = scored.scores
        own = _of_label(scores, scored.labels)
        earlier = np.arange(scores.shape[-1]) < scored.labels[:, None]
        ahead = (scores > own) | ((scores == own) & earlier)
        return np.asarray(ahead.sum(axis=-1) < k, dtype=np.float64)

    return Metric(f"top_{k}_accuracy", f"top-{k} accuracy", ("multiclass",), of_examples=within)


def _log_loss(scored: Scored) -> Array:
    scores, labels = scored.scores, scored.labels
    least = float(np.finfo(np.float64).eps)
    if scored.task == "multiclass" and scored.space == "logits":
        # Odds against the own class; as in scikit-learn no probability is below `least`.
        odds = np.exp(np.minimum(scores - _of_label(scores, labels), 100.0))
        return np.asarray(np.minimum(np.log(np.einsum("...c->...", odds)), -np.log(least)))
    p = scored.probabilities
    if scored.task == "binary":
        own = np.where(labels == 1, p[..., 0], 1.0 - p[..., 0])
    else:
        own = _of_label(p, labels)[..., 0]
    return np.asarray(-np.log(np.maximum(own, least)))


def _of_label(values: Array, labels: Array) -> Array:
    """Return the value of each example's own class, shape (..., N, 1)."""
    place = np.broadcast_to(labels[:, None], (*values.shape[:-1], 1))
    return np.take_along_axis(values, place, axis=-1)


def _brier(scored: Scored) -> Array:
    p = scored.probabilities
    if scored.task == "binary":
        return np.asarray((p[..., 0] - scored.labels) ** 2)
    truth = scored.labels[:, None] == np.arange(p.shape[-1])
    return np.asarray(((p - truth) ** 2).sum(axis=-1))


def _credit(scored: Scored) -> Array:
    chosen = np.maximum(scored.predictions, 0)[..., None]
    credit = np.broadcast_to(scored.labels, scored.scores.shape)
    return np.asarray(np.take_along_axis(credit, chosen, axis=-1)[..., 0])


def _balanced_accuracy(hits: Array, predicted: Array, actual: Array) -> Array:
    seen = actual > 0
    recall = np.divide(hits, actual, out=np.zeros_like(hits), where=seen)
    return np.asarray(recall.sum(axis=-1) / seen.sum(axis=-1))


def _f1_each(hits: Array, predicted: Array, actual: Array) -> tuple[Array, Array]:
    either = predicted + actual
    seen = either > 0
    return np.divide(2.0 * hits, either, out=np.zeros_like(hits), where=seen), seen


def _f1_macro(hits: Array, predicted: Array, actual: Array) -> Array:
    # A class that is neither predicted nor a label has no F1 and does not count.
    f1, seen = _f1_each(hits, predicted, actual)
    return np.asarray(f1.sum(axis=-1) / np.maximum(seen.sum(axis=-1), 1))


def _f1_micro(hits: Array, predicted: Array, actual: Array) -> Array:
    both = (predicted + actual).sum(axis=-1)
    micro = np.divide(2.0 * hits.sum(axis=-1), both, out=np.zeros_like(both), where=both > 0)
    return np.asarray(micro)


def _f1_weighted(hits: Array, predicted: Array, actual: Array) -> Array:
    f1, _ = _f1_each(hits, predicted, actual)
    total = actual.sum(axis=-1)
    weighted = (f1 * actual).sum(axis=-1)
    mean = np.divide(weighted, total, out=np.zeros_like(total), where=total > 0)
    return np.asarray(mean)


def _f1_positive(hits: Array, predicted: Array, actual: Array) -> Array:
    return _f1_each(hits, predicted, actual)[0][..., 1]


def _mean_over_classes(
    score: Callable[[Array, Array], float], scored: Scored, weights: Array, needs_negatives: bool
) -> float:
    """Return the mean of a ranking's score over the classes that it is defined for.

    `score` is given the weights of the positive and of the negative examples at each of the
    different scores, in ascending order.
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


def _roc_auc(scored: Scored, weights: Array) -> float:
    def area(positive: Array, negative: Array) -> float:
        # The share of pairs in the right order, a tie being half of one.
        below = np.cumsum(negative) - negative / 2.0
        return float(positive @ below / (positive.sum() * negative.sum()))

    return _mean_over_classes(area, scored, weights, True)


def _average_precision(scored: Scored, weights: Array) -> float:
    def mean_precision(positive: Array, negative: Array) -> float:
        hits, both = np.cumsum(positive[::-1]), np.cumsum((positive + negative)[::-1])
        return float(positive[::-1] @ (hits / both) / hits[-1])

    return _mean_over_classes(mean_precision, scored, weights, False)


def _calibration_error(scored: Scored, weights: Array) -> float:
    """Return the mean |confidence - accuracy| over 15 bins (Guo et al. 2017, arXiv 1706.04599)."""
    p = scored.probabilities
    confidence = np.maximum(p, 1.0 - p)[:, 0] if scored.task == "binary" else p.max(axis=1)
    excess = weights * (confidence - _right(scored))
    bins = np.minimum((confidence * 15).astype(int), 14)
    return float(np.abs(np.bincount(bins, excess, minlength=15)).sum() / weights.sum())


def _r2(scored: Scored, weights: Array) -> float:
    total = weights @ (scored.labels - np.average(scored.labels, axis=0, weights=weights)) ** 2
    if (scored.labels == scored.labels[:1]).all(axis=0).any():
        return float("nan")
    return float(np.mean(1.0 - weights @ (scored.labels - scored.scores) ** 2 / total))


def _rmse(scored: Scored, weights: Array) -> float:
    squares = np.average((scored.labels - scored.scores) ** 2, axis=0, weights=weights)
    return float(np.sqrt(squares).mean())


def _spearman(scored: Scored, weights: Array) -> float:
    def correlation(x: Array, y: Array) -> float:
        a, b = _ranks(x, weights), _ranks(y, weights)
        a, b = a - np.average(a, weights=weights), b - np.average(b, weights=weights)
        scale = np.sqrt((weights @ a**2) * (weights @ b**2))
        return float(weights @ (a * b) / scale) if scale > 0 else float("nan")

    columns = range(scored.scores.shape[1])
    return float(np.mean([correlation(scored.labels[:, c], scored.scores[:, c]) for c in columns]))


def _ranks(values: Array, weights: Array) -> Array:
    # The middle of the ranks that a value's copies would take, a weight being a number of copies.
    _, place = np.unique(values, return_inverse=True)
    each = np.bincount(place, weights)
    return np.asarray((np.cumsum(each) - each / 2.0)[place])


_METRICS = {
    m.name: m
    for m in (
        Metric("accuracy", "accuracy", _EXCLUSIVE, of_examples=_right),
        Metric("balanced_accuracy", "balanced accuracy", _EXCLUSIVE, of_counts=_balanced_accuracy),
        Metric("f1", "F1", ("binary",), of_counts=_f1_positive),
        Metric("f1_macro", "macro F1", _DECISIONS, of_counts=_f1_macro),
        Metric("f1_micro", "micro F1", _DECISIONS, of_counts=_f1_micro),
        Metric("f1_weighted", "weighted F1", _DECISIONS, of_counts=_f1_weighted),
        Metric("roc_auc", "ROC AUC", _DECISIONS, of_all=_roc_auc),
        Metric("average_precision", "average precision", _DECISIONS, of_all=_average_precision),
        Metric("log_loss", "log loss", _EXCLUSIVE, False, True, "", of_examples=_log_loss),
        Metric("brier_score", "Brier score", _EXCLUSIVE, False, True, "", of_examples=_brier),
        Metric(
            "expected_calibration_error",
            "calibration error",
            _EXCLUSIVE,
            False,
            True,
            of_all=_calibration_error,
        ),
        Metric("vqa_accuracy", "VQA accuracy", ("multiclass",), of_examples=_credit),
        Metric("r2", "R²", ("regression",), unit="", of_all=_r2),
        Metric("root_mean_squared_error", "RMSE", ("regression",), False, unit="", of_all=_rmse),
        Metric("spearman", "Spearman correlation", ("regression",), unit="", of_all=_spearman),
    )
}

_ALIASES = {
    "brier_score_loss": "brier_score",
    "ece": "expected_calibration_error",
    "map": "average_precision",
    "rmse": "root_mean_squared_error",
    "roc_auc_ovr": "roc_auc",
}
