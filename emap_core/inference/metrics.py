"""Performance metrics by their standard names, for one set of scores or thousands of resamples.

Definitions are those of scikit-learn, computed here for many weightings at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emap_core.errors import LabelError, SettingError
from emap_core.inference import formulas
from emap_core.inference.scores import Scored
from emap_core.options import option
from emap_core.types import Array, Space, Task

__all__ = [
    "METRICS",
    "RANKINGS",
    "Array",
    "Metric",
    "Scored",
    "Space",
    "Task",
    "check",
    "check_use",
    "default_metrics",
    "difference",
    "evaluate",
    "evaluate_resamples",
    "evaluate_scored",
    "evaluate_shuffled",
    "metric",
    "vqa_credit",
    "why_undefined",
]

RANKINGS = ("roc_auc", "average_precision")
"""Metrics of what only ranks examples, and decides for or against no class by itself."""

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
    range : tuple of float
        The lowest and the highest value that it can have.
    spread : str
        What 1% of it is 1% of: ``"one"`` for shares and correlations, ``"constant"`` where the
        metric has units, those of the target or of a loss; then it is the score of the best
        constant, which is the target's own spread or the loss of knowing the shares alone.
    classes_count_alike : bool
        Whether each class weighs the same, however few examples it has.
    needs_known_labels : bool
        Whether it is undefined where labels are not classes of the model. The others count such
        examples as not right, as labels of a further class that is never predicted.
    """

    name: str
    label: str
    tasks: tuple[Task, ...]
    higher_is_better: bool = True
    needs_probabilities: bool = False
    unit: Literal["points", ""] = "points"
    range: tuple[float, float] = (0.0, 1.0)
    spread: Literal["one", "constant"] = "one"
    classes_count_alike: bool = False
    needs_known_labels: bool = False
    # Exactly one of these computes it: values of the examples whose weighted mean it is; hits,
    # predictions and labels of each class; or everything at once.
    of_examples: Callable[[Scored], Array] | None = None
    of_counts: Callable[[Array, Array, Array], Array] | None = None
    of_all: Callable[[Scored, Array], float] | None = None
    # Values of the examples that a metric that is not a mean goes up or down with.
    goes_with: Callable[[Scored], Array] | None = None


def metric(name: str) -> Metric:
    """Return a metric by its name; ``top_K_accuracy`` takes any whole K.

    Raises
    ------
    SettingError
        If no metric has this name.
    """
    found = METRICS.get(_ALIASES.get(name, name))
    if found is not None:
        return found
    top = re.fullmatch(r"top_([1-9]\d*)_accuracy", name)
    if top:
        k = int(top[1])
        return Metric(
            name, f"top-{k} accuracy", ("multiclass",), of_examples=partial(formulas.within_top, k)
        )
    known = ", ".join([*METRICS, "top_K_accuracy"])
    raise SettingError(f"metric is {name!r}; expected one of {known}")


def default_metrics(
    task: Task, *, has_threshold: bool = True, several_answers: bool = False
) -> list[str]:
    """Return the metrics that a table shows unless others are asked for.

    Scores without a natural threshold, such as similarities, are judged by their ranking where a
    class is decided for by itself (binary, multilabel); answers of several annotators by VQA
    accuracy.
    """
    if several_answers:
        return ["vqa_accuracy"]
    if task in ("binary", "multilabel") and not has_threshold:
        return list(RANKINGS)
    return {
        "multiclass": ["accuracy", "f1_macro", "log_loss"],
        "binary": ["accuracy", "roc_auc", "log_loss"],
        "multilabel": ["f1_micro", "f1_macro", "average_precision"],
        "regression": ["r2", "root_mean_squared_error", "mean_absolute_error", "spearman"],
    }[task]


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
        Class numbers (multiclass), 0 or 1 (binary, and (N, C) for multilabel), -1 for what is not
        a class of the model, numbers of shape
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
        result = _mean(values, weights)
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
    n_examples = places.shape[1]
    flat = places * n_examples + np.arange(n_examples)

    def mixed_of(values: Array) -> Array:
        return np.asarray(np.take(values.reshape(-1, *values.shape[2:]), flat, axis=0))

    values = scored.values(which)
    if values is not None:
        return _mean(mixed_of(values))
    if which.of_counts is not None:
        return which.of_counts(*_counts(scored, mixed_of(scored.predictions)))
    scores = mixed_of(scored.scores)
    mixed = Scored(scored.labels, scores, scored.task, scored.space)
    return evaluate_scored(which, mixed, np.ones(places.shape))


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
    n_examples, n_classes = scored.scores.shape[-2:]
    check_use(which, task, n_classes)
    matrix = task in ("multilabel", "regression") or which.name == "vqa_accuracy"
    expected = (n_examples, n_classes) if matrix else (n_examples,)
    if truth.shape != expected:
        raise LabelError(
            f"labels have shape {truth.shape}; {which.name} of a {task} task needs {expected}"
        )
    if task in _DECISIONS and truth.size and which.name != "vqa_accuracy":
        highest = n_classes - 1 if task == "multiclass" else 1
        lowest = -1 if task in _EXCLUSIVE else 0
        if truth.min() < lowest or truth.max() > highest:
            raise LabelError(
                f"labels go from {truth.min()} to {truth.max()}; expected 0 to {highest}, or -1 "
                "for what is not a class"
            )
        if truth.min() < 0 and which.needs_known_labels:
            raise SettingError(
                f"metric {which.name!r} needs the class of each label, and "
                f"{int((truth < 0).sum()):,} labels are not classes of the model; choose accuracy, "
                f"or {option('unknown_labels', 'skip', 'run')}, which leaves these examples out"
            )


def check_use(which: Metric | str, task: Task, n_classes: int | None = None) -> None:
    """Raise a SettingError where a metric is not for a task, or not for so many classes."""
    chosen = metric(which) if isinstance(which, str) else which
    if task not in chosen.tasks:
        raise SettingError(
            f"metric {chosen.name!r} is for {' and '.join(chosen.tasks)} tasks, and this one is "
            f"{task}; choose one of "
            + ", ".join(m.name for m in METRICS.values() if task in m.tasks)
        )
    top = re.fullmatch(r"top_(\d+)_accuracy", chosen.name)
    if top and n_classes is not None and int(top[1]) >= n_classes:
        raise SettingError(
            f"{chosen.name} is always 1 with {n_classes} classes; choose a smaller K"
        )


def _mean(values: Array, weights: Array | None = None) -> Array:
    """Return the mean of the values that are numbers, the others counting as 0."""
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
        # What is not a class of the model is a further one, which is never predicted.
        labels = np.where(labels < 0, n_classes, labels)
        n_classes += 1
    # Right and wrong predictions are counted in one go, in two bins a class.
    of_bins = _counted(2 * predicted + (predicted == labels), weights, 2 * n_classes)
    hits = of_bins[:, 1::2]
    actual = np.broadcast_to(_counted(labels, weights, n_classes), hits.shape)
    return hits, of_bins[:, ::2] + hits, actual


def _counted(classes: Array, weights: Array | None, n_classes: int) -> Array:
    """Return how much each class, of shape (N,) or (B, N), weighs: shape (B, K) or (1, K)."""
    n_resamples = len(np.atleast_2d(classes) if weights is None else weights)
    place = classes + n_classes * np.arange(n_resamples)[:, None]
    of_each = None if weights is None else weights.ravel()
    counts = np.bincount(place.ravel(), of_each, n_resamples * n_classes)
    return counts.reshape(n_resamples, n_classes).astype(np.float64)


METRICS = {
    m.name: m
    for m in (
        Metric("accuracy", "accuracy", _EXCLUSIVE, of_examples=formulas.right),
        Metric(
            "balanced_accuracy",
            "balanced accuracy",
            _EXCLUSIVE,
            classes_count_alike=True,
            of_counts=formulas.balanced_accuracy,
        ),
        Metric("f1", "F1", ("binary",), classes_count_alike=True, of_counts=formulas.f1_positive),
        Metric(
            "f1_macro",
            "macro F1",
            _DECISIONS,
            classes_count_alike=True,
            of_counts=formulas.f1_macro,
        ),
        Metric("f1_micro", "micro F1", _DECISIONS, of_counts=formulas.f1_micro),
        Metric("f1_weighted", "weighted F1", _DECISIONS, of_counts=formulas.f1_weighted),
        Metric(
            "roc_auc",
            "ROC AUC",
            _DECISIONS,
            classes_count_alike=True,
            needs_known_labels=True,
            of_all=formulas.roc_auc,
        ),
        Metric(
            "average_precision",
            "average precision",
            _DECISIONS,
            classes_count_alike=True,
            needs_known_labels=True,
            of_all=formulas.average_precision,
        ),
        Metric(
            "log_loss",
            "log loss",
            _EXCLUSIVE,
            higher_is_better=False,
            needs_probabilities=True,
            unit="",
            range=(0.0, inf),
            spread="constant",
            needs_known_labels=True,
            of_examples=formulas.log_loss,
        ),
        Metric(
            "brier_score",
            "Brier score",
            _EXCLUSIVE,
            higher_is_better=False,
            needs_probabilities=True,
            unit="",
            range=(0.0, 2.0),
            spread="constant",
            needs_known_labels=True,
            of_examples=formulas.brier,
        ),
        Metric(
            "expected_calibration_error",
            "calibration error",
            _EXCLUSIVE,
            higher_is_better=False,
            needs_probabilities=True,
            of_all=formulas.calibration_error,
        ),
        Metric("vqa_accuracy", "VQA accuracy", ("multiclass",), of_examples=formulas.credit),
        Metric(
            "r2",
            "R²",
            ("regression",),
            unit="",
            range=(-inf, 1.0),
            of_all=formulas.r2,
            goes_with=formulas.squared_error,
        ),
        Metric(
            "root_mean_squared_error",
            "RMSE",
            ("regression",),
            higher_is_better=False,
            unit="",
            range=(0.0, inf),
            spread="constant",
            of_all=formulas.rmse,
            goes_with=formulas.squared_error,
        ),
        Metric(
            "mean_absolute_error",
            "MAE",
            ("regression",),
            higher_is_better=False,
            unit="",
            range=(0.0, inf),
            spread="constant",
            of_examples=formulas.absolute_error,
        ),
        Metric(
            "spearman",
            "Spearman correlation",
            ("regression",),
            unit="",
            range=(-1.0, 1.0),
            of_all=formulas.spearman,
        ),
    )
}
"""Metrics by name; a new one is its formula and an entry here."""

_ALIASES = {
    "brier_score_loss": "brier_score",
    "ece": "expected_calibration_error",
    "mae": "mean_absolute_error",
    "map": "average_precision",
    "rmse": "root_mean_squared_error",
    "roc_auc_ovr": "roc_auc",
}
