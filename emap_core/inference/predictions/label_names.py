"""Labels and predictions in words, for tables that people read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike

from emap_core.inference.predictions.scores import predict
from emap_core.types import Array, Space, Task


@overload
def label_names(
    labels: ArrayLike | None, classes: Sequence[str] | None, task: Task
) -> list[str | None]: ...
@overload
def label_names(
    labels: ArrayLike | None, classes: Sequence[str] | None, task: Task, example: int
) -> str | None: ...
def label_names(
    labels: ArrayLike | None,
    classes: Sequence[str] | None,
    task: Task,
    example: int | None = None,
) -> list[str | None] | str | None:
    """Return the labels of all examples in words, or the label of one; None without labels.

    Classes of a multilabel task are joined by commas, as are answers that earn credit, the best
    first; numbers of a regression are rounded to three significant figures.
    """
    if labels is None:
        return None if example is not None else []
    given = np.asarray(labels)
    some = given if example is None else given[example : example + 1]
    words = _each_in_words(some, classes, task, "none of the classes")
    return words if example is None else words[0]


def prediction_names(
    scores: ArrayLike, classes: Sequence[str] | None, task: Task, space: Space = "logits"
) -> list[str | None]:
    """Return the decisions of scores of shape (N, C) in words; None for NaN scores."""
    return _each_in_words(predict(scores, task, space), classes, task, None)


def _each_in_words(
    values: Array, classes: Sequence[str] | None, task: Task, of_none: str | None
) -> list[str | None]:
    """Return words for each value; `of_none` for values that are not a class."""
    if values.ndim > 1 or task == "regression":
        return [_words(value, classes, task) for value in values]
    # The same few classes over and over.
    known = {n: _words(n, classes, task) if n >= 0 else of_none for n in np.unique(values).tolist()}
    return [known[n] for n in values.tolist()]


def _words(value: Any, classes: Sequence[str] | None, task: Task) -> str | None:
    several = np.atleast_1d(value)
    if task == "regression":
        return ", ".join(f"{number:.3g}" for number in several)
    if (several < 0).any():
        return None
    if task == "multiclass" and np.ndim(value) == 1:
        order = np.argsort(-several, kind="stable")
        several = order[several[order] > 0]
        if not len(several):
            return "none of the classes"
    numbers = np.flatnonzero(several) if task == "multilabel" else several
    if classes is None:
        return ", ".join(f"class {n}" for n in numbers)
    return ", ".join(classes[int(n)] for n in numbers)
