"""The metrics by their standard names: one entry each, with everything specific to it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Literal

from emap_core.errors import LabelError, SettingError
from emap_core.inference.metrics import formulas
from emap_core.inference.predictions.scores import Scored
from emap_core.option_names import option
from emap_core.types import Array, Task

_DECISIONS: tuple[Task, ...] = ("multiclass", "binary", "multilabel")
_EXCLUSIVE: tuple[Task, ...] = ("multiclass", "binary")


@dataclass(frozen=True)
class Metric:
    """A performance metric: its name, which way it points, how it is computed.

    Attributes
    ----------
    name : str
        Standard name, as on the command line and in records.
    label : str
        Name for people, for use inside a sentence.
    tasks : tuple of str
        The tasks it is for.
    aliases : tuple of str
        Other names of it.
    higher_is_better : bool
    needs_probabilities : bool
        Whether it reads scores as probabilities, through softmax or sigmoid.
    unit : str
        ``"points"`` if differences are given in hundredths of a share of 1, otherwise ``""``.
    range : tuple of float
        Its lowest and highest possible value.
    spread : str
        The scale for 1% of it: ``"one"`` for shares and correlations; ``"constant"`` if the metric
        has units (those of the target or of a loss): the score of the best constant, which is the
        target's own spread or the loss when only the shares are known.
    classes_count_alike : bool
        Whether every class weighs the same, however few examples it has.
    needs_known_labels : bool
        Whether it is undefined if labels are not classes of the model. Other metrics count such
        examples as wrong: as labels of a further class that is never predicted.
    ranks : bool
        Whether it judges a ranking: if so, it needs labels of both kinds but no threshold.
    reads_credit : bool
        Whether its labels are the credit of each answer, shape (N, C); see `vqa_credit`.
    fewest_classes : int
        With fewer classes, it is always 1.
    default_for : tuple of str
        The tasks whose table shows it by default.
    """

    name: str
    label: str
    tasks: tuple[Task, ...]
    aliases: tuple[str, ...] = ()
    higher_is_better: bool = True
    needs_probabilities: bool = False
    unit: Literal["points", ""] = "points"
    range: tuple[float, float] = (0.0, 1.0)
    spread: Literal["one", "constant"] = "one"
    classes_count_alike: bool = False
    needs_known_labels: bool = False
    ranks: bool = False
    reads_credit: bool = False
    fewest_classes: int = 1
    default_for: tuple[Task, ...] = ()
    # Exactly one of these computes it: example values, of which it is the weighted mean; hits,
    # predictions and labels of each class; or everything at once.
    of_examples: Callable[[Scored], Array] | None = None
    of_counts: Callable[[Array, Array, Array], Array] | None = None
    of_all: Callable[[Scored, Array], float] | None = None
    # For a metric that is not a mean: example values that move with it.
    goes_with: Callable[[Scored], Array] | None = None

    def values(self, scored: Scored) -> Array | None:
        """Return the example values of which the metric is the mean; None if it is not a mean."""
        return None if self.of_examples is None else scored.of_examples(self.of_examples)


def metric(name: str) -> Metric:
    """Return a metric by name; ``top_K_accuracy`` takes any whole K.

    Raises
    ------
    SettingError
        If no metric has this name.
    """
    for which in (*METRICS.values(), *OF_GROUPS.values()):
        if name == which.name or name in which.aliases:
            return which
    top = re.fullmatch(r"top_([1-9]\d*)_accuracy", name)
    if top:
        k = int(top[1])
        return Metric(
            name,
            f"top-{k} accuracy",
            ("multiclass",),
            fewest_classes=k + 1,
            of_examples=partial(formulas.within_top, k),
        )
    known = ", ".join([*METRICS, "top_K_accuracy"])
    raise SettingError(f"metric is {name!r}; expected one of {known}")


def default_metrics(
    task: Task, *, has_threshold: bool = True, several_answers: bool = False
) -> list[str]:
    """Return the metrics that a table shows by default.

    Scores without a natural threshold, such as similarities, are judged by their ranking if each
    class is decided separately (binary, multilabel); answers of several annotators by VQA accuracy.
    """
    if several_answers:
        return [m.name for m in METRICS.values() if m.reads_credit]
    if task in ("binary", "multilabel") and not has_threshold:
        return list(RANKINGS)
    return [m.name for m in METRICS.values() if task in m.default_for]


def check(which: Metric, scored: Scored) -> None:
    """Refuse labels and scores that do not fit a metric."""
    task, truth = scored.task, scored.labels
    n_examples, n_classes = scored.scores.shape[-2:]
    check_use(which, task, n_classes)
    matrix = task in ("multilabel", "regression") or which.reads_credit
    expected = (n_examples, n_classes) if matrix else (n_examples,)
    if truth.shape != expected:
        raise LabelError(
            f"labels have shape {truth.shape}; {which.name} in a {task} task needs {expected}"
        )
    if task in _DECISIONS and truth.size and not which.reads_credit:
        highest = n_classes - 1 if task == "multiclass" else 1
        lowest = -1 if task in _EXCLUSIVE else 0
        if truth.min() < lowest or truth.max() > highest:
            raise LabelError(
                f"labels go from {truth.min()} to {truth.max()}; expected 0 to {highest}, or -1 "
                "for labels that are not a class"
            )
        if truth.min() < 0 and which.needs_known_labels:
            raise SettingError(
                f"metric {which.name!r} needs the class of each label, but "
                f"{int((truth < 0).sum()):,} labels are not classes of the model; choose accuracy, "
                f"or {option('unknown_labels', 'skip', 'run')}, which leaves these examples out"
            )


def check_use(which: Metric | str, task: Task, n_classes: int | None = None) -> None:
    """Raise a SettingError if a metric does not fit a task or its number of classes."""
    chosen = metric(which) if isinstance(which, str) else which
    if chosen.name in OF_GROUPS:
        raise SettingError(
            f"metric {chosen.name!r} is about groups of examples; ask a finished run for it: show "
            "RUN --groups COLUMN, or run.group_scores(by=COLUMN)"
        )
    if task not in chosen.tasks:
        raise SettingError(
            f"metric {chosen.name!r} is for {' and '.join(chosen.tasks)} tasks, but this one is "
            f"{task}; choose one of "
            + ", ".join(m.name for m in METRICS.values() if task in m.tasks)
        )
    if n_classes is not None and n_classes < chosen.fewest_classes:
        raise SettingError(
            f"{chosen.name} is always 1 with {n_classes} classes; choose a smaller K"
        )


METRICS = {
    m.name: m
    for m in (
        Metric(
            "accuracy",
            "accuracy",
            _EXCLUSIVE,
            default_for=_EXCLUSIVE,
            of_examples=formulas.right,
        ),
        Metric(
            "balanced_accuracy",
            "balanced accuracy",
            _EXCLUSIVE,
            classes_count_alike=True,
            of_counts=formulas.balanced_accuracy,
        ),
        Metric("f1", "F1", ("binary",), classes_count_alike=True, of_counts=formulas.f1_positive),
        Metric(
            "f1_micro",
            "micro F1",
            _DECISIONS,
            default_for=("multilabel",),
            of_counts=formulas.f1_micro,
        ),
        Metric(
            "f1_macro",
            "macro F1",
            _DECISIONS,
            classes_count_alike=True,
            default_for=("multiclass", "multilabel"),
            of_counts=formulas.f1_macro,
        ),
        Metric("f1_weighted", "weighted F1", _DECISIONS, of_counts=formulas.f1_weighted),
        Metric(
            "roc_auc",
            "ROC AUC",
            _DECISIONS,
            aliases=("roc_auc_ovr",),
            classes_count_alike=True,
            needs_known_labels=True,
            ranks=True,
            default_for=("binary",),
            of_all=formulas.roc_auc,
        ),
        Metric(
            "average_precision",
            "average precision",
            _DECISIONS,
            aliases=("map",),
            classes_count_alike=True,
            needs_known_labels=True,
            ranks=True,
            default_for=("multilabel",),
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
            default_for=_EXCLUSIVE,
            of_examples=formulas.log_loss,
        ),
        Metric(
            "brier_score",
            "Brier score",
            _EXCLUSIVE,
            aliases=("brier_score_loss",),
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
            aliases=("ece",),
            higher_is_better=False,
            needs_probabilities=True,
            of_all=formulas.calibration_error,
        ),
        Metric(
            "vqa_accuracy",
            "VQA accuracy",
            ("multiclass",),
            reads_credit=True,
            of_examples=formulas.credit,
        ),
        Metric(
            "r2",
            "R²",
            ("regression",),
            unit="",
            range=(-inf, 1.0),
            default_for=("regression",),
            of_all=formulas.r2,
            goes_with=formulas.squared_error,
        ),
        Metric(
            "root_mean_squared_error",
            "RMSE",
            ("regression",),
            aliases=("rmse",),
            higher_is_better=False,
            unit="",
            range=(0.0, inf),
            spread="constant",
            default_for=("regression",),
            of_all=formulas.rmse,
            goes_with=formulas.squared_error,
        ),
        Metric(
            "mean_absolute_error",
            "MAE",
            ("regression",),
            aliases=("mae",),
            higher_is_better=False,
            unit="",
            range=(0.0, inf),
            spread="constant",
            default_for=("regression",),
            of_examples=formulas.absolute_error,
        ),
        Metric(
            "spearman",
            "Spearman correlation",
            ("regression",),
            unit="",
            range=(-1.0, 1.0),
            default_for=("regression",),
            of_all=formulas.spearman,
        ),
    )
}
"""Metrics by name; a new one is its formula and an entry here."""

OF_GROUPS = {
    name: Metric(name, label, ("binary",), of_examples=formulas.of_group)
    for name, label in (
        ("answers_in_groups", "single answers"),
        ("group_accuracy", "whole groups"),
        ("image_with_all_texts", "an image with all its texts"),
        ("text_with_all_images", "a text with all its images"),
        ("text_score", "text score"),
        ("image_score", "image score"),
        ("group_score", "group score"),
    )
}
"""Metrics of groups of examples, by name.

They are means of group values, which `emap_core.inference.other_measures.group_scores` computes.
"""

RANKINGS = tuple(name for name, which in METRICS.items() if which.ranks)
"""Metrics of scores that only rank examples and do not decide for or against a class."""
