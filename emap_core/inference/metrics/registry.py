"""The metrics by their standard names: one entry each, which holds all that sets it apart."""

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
from emap_core.options import option
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
        Name for people, as it stands inside a sentence.
    tasks : tuple of str
        The tasks that it is for.
    aliases : tuple of str
        Other names that it is known by.
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
    ranks : bool
        Whether it judges a ranking: then it needs no threshold, and labels of both kinds.
    reads_credit : bool
        Whether its labels are what each answer would earn, shape (N, C); see `vqa_credit`.
    fewest_classes : int
        With fewer classes it is always 1.
    default_for : tuple of str
        The tasks whose table shows it unless other metrics are asked for.
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
    # Exactly one of these computes it: values of the examples whose weighted mean it is; hits,
    # predictions and labels of each class; or everything at once.
    of_examples: Callable[[Scored], Array] | None = None
    of_counts: Callable[[Array, Array, Array], Array] | None = None
    of_all: Callable[[Scored, Array], float] | None = None
    # Values of the examples that a metric that is not a mean goes up or down with.
    goes_with: Callable[[Scored], Array] | None = None

    def values(self, scored: Scored) -> Array | None:
        """Return the values of the examples whose mean the metric is; None if it is not a mean."""
        return None if self.of_examples is None else scored.of_examples(self.of_examples)


def metric(name: str) -> Metric:
    """Return a metric by its name; ``top_K_accuracy`` takes any whole K.

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
    """Return the metrics that a table shows unless others are asked for.

    Scores without a natural threshold, such as similarities, are judged by their ranking where a
    class is decided for by itself (binary, multilabel); answers of several annotators by VQA
    accuracy.
    """
    if several_answers:
        return [m.name for m in METRICS.values() if m.reads_credit]
    if task in ("binary", "multilabel") and not has_threshold:
        return list(RANKINGS)
    return [m.name for m in METRICS.values() if task in m.default_for]


def check(which: Metric, scored: Scored) -> None:
    """Refuse labels and scores that a metric is not for."""
    task, truth = scored.task, scored.labels
    n_examples, n_classes = scored.scores.shape[-2:]
    check_use(which, task, n_classes)
    matrix = task in ("multilabel", "regression") or which.reads_credit
    expected = (n_examples, n_classes) if matrix else (n_examples,)
    if truth.shape != expected:
        raise LabelError(
            f"labels have shape {truth.shape}; {which.name} of a {task} task needs {expected}"
        )
    if task in _DECISIONS and truth.size and not which.reads_credit:
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
    if chosen.name in OF_GROUPS:
        raise SettingError(
            f"metric {chosen.name!r} is about groups of examples, which a finished run is asked "
            "for: show RUN --groups COLUMN, or run.group_scores(by=COLUMN)"
        )
    if task not in chosen.tasks:
        raise SettingError(
            f"metric {chosen.name!r} is for {' and '.join(chosen.tasks)} tasks, and this one is "
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
"""Metrics of groups of examples by name: the mean of the values of groups, which
`emap_core.inference.other_measures.group_scores` computes."""

RANKINGS = tuple(name for name, which in METRICS.items() if which.ranks)
"""Metrics of what only ranks examples, and decides for or against no class by itself."""
