"""What scores say: predictions, probabilities and rankings, in every task and space."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike

from emap_core.errors import SettingError
from emap_core.types import AnyArray, Space, Task

SMALLEST_PROBABILITY = 1e-7

_SPACES: dict[Space, tuple[str, str, str]] = {
    "logits": ("logits", "logit", "logits"),
    "log_probabilities": ("log-probabilities", "log-probability", "nats"),
    "probabilities": ("probabilities", "probability", "probability"),
}


_OF_REGRESSION = ("predictions", "prediction", "units of the label")


def in_words(space: Space, task: Task | None = None) -> str:
    """Return what scores are, in words: ``log-probabilities``, ``predictions`` of a regression."""
    return _words_of(space, task)[0]


def one_score(space: Space, task: Task | None = None) -> str:
    """Return what a single score is: ``logit``, ``log-probability``, ``prediction``."""
    return _words_of(space, task)[1]


def unit_of(space: Space, task: Task | None = None) -> str:
    """Return the unit of scores, for axes: ``logits``, ``nats``, ``units of the label``."""
    return _words_of(space, task)[2]


def _words_of(space: Space, task: Task | None) -> tuple[str, str, str]:
    return _OF_REGRESSION if task == "regression" else _SPACES[space]


def probabilities(scores: ArrayLike, task: Task, space: Space = "logits") -> AnyArray:
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
            return np.asarray(scipy.special.softmax(values, axis=-1))
        return np.asarray(scipy.special.expit(values))
    if space == "log_probabilities":
        values = np.exp(np.minimum(values, 0.0))
    kept = np.clip(values, SMALLEST_PROBABILITY, 1.0)
    if task == "multiclass":
        return np.asarray(kept / kept.sum(axis=-1, keepdims=True))
    return np.asarray(kept / (kept + np.clip(1.0 - values, SMALLEST_PROBABILITY, 1.0)))


def predict(scores: ArrayLike, task: Task, space: Space = "logits") -> AnyArray:
    """Return what scores of shape (..., N, C) decide.

    Multiclass: the class of the highest score, the first one of several, shape (..., N). Binary:
    0 or 1, shape (..., N). Multilabel: 0 or 1 for each class, shape (..., N, C); 1 is above the
    threshold (logit 0, probability 1/2). A NaN score decides -1. Regression: the
    scores themselves.
    """
    values = np.asarray(scores)
    if task == "regression":
        return values
    if task == "multiclass":
        decided, highest = _first_highest(values)
        unknown = np.isnan(highest)
        return np.where(unknown, -1, decided) if unknown.any() else decided
    threshold = {"logits": 0.0, "log_probabilities": np.log(0.5), "probabilities": 0.5}[space]
    decided = np.where(np.isnan(values), -1, values > threshold)
    return decided[..., 0] if task == "binary" else decided


Formula = Callable[["Scored"], AnyArray]
"""Computes a value for each example, shape (N,) or (B, N)."""


@dataclass(frozen=True, eq=False)
class Scored:
    """Labels and scores of the same N examples, with what several metrics read from them.

    Attributes
    ----------
    labels : ndarray of shape (N,) or (N, C)
    scores : ndarray of shape (N, C) or (B, N, C)
        With a leading axis, the scores of the examples in each of B resamples.
    task, space : str
    """

    labels: AnyArray
    scores: AnyArray
    task: Task
    space: Space

    @cached_property
    def predictions(self) -> AnyArray:
        """What the scores decide; see `predict`."""
        return predict(self.scores, self.task, self.space)

    @cached_property
    def probabilities(self) -> AnyArray:
        """The scores as probabilities; see `probabilities`."""
        return probabilities(self.scores, self.task, self.space)

    @cached_property
    def unknown(self) -> AnyArray:
        """Whether an example's scores contain NaN, shape (N,) or (B, N)."""
        if self.task == "multiclass":
            return np.asarray(self.predictions < 0)
        return _unknown(self.scores)

    @cached_property
    def _values(self) -> dict[Formula, AnyArray]:
        return {}

    def of_examples(self, formula: Formula) -> AnyArray:
        """Return a formula's value for each example, computed once."""
        if formula not in self._values:
            self._values[formula] = formula(self)
        return self._values[formula]

    def reading(self, formulas: Iterable[Formula], *, predictions: bool, scores: bool) -> Scored:
        """Return what is read from the scores: values of examples, predictions, or the scores.

        Without the scores, it takes little memory.
        """
        read: dict[str, Any] = {"unknown": self.unknown}
        if predictions:
            read["predictions"] = self.predictions
        read["_values"] = {formula: self.of_examples(formula) for formula in formulas}
        # The shape alone takes no memory.
        kept = self.scores if scores else np.broadcast_to(np.nan, self.scores.shape)
        return self._with(kept, read)

    @staticmethod
    def joined(parts: Sequence[Scored]) -> Scored:
        """Return the resamples of several `reading` of the same metrics as one, in order."""
        first = parts[0]
        shape = (sum(len(part.scores) for part in parts), *first.scores.shape[1:])
        hollow = not any(first.scores.strides)
        scores = (
            np.broadcast_to(np.nan, shape)
            if hollow
            else np.concatenate([part.scores for part in parts])
        )
        read: dict[str, Any] = {"unknown": np.concatenate([part.unknown for part in parts])}
        if "predictions" in vars(first):
            read["predictions"] = np.concatenate([part.predictions for part in parts])
        read["_values"] = {
            formula: np.concatenate([part._values[formula] for part in parts])
            for formula in first._values
        }
        return first._with(scores, read)

    def _with(self, scores: AnyArray, read: dict[str, Any]) -> Scored:
        new = Scored(self.labels, scores, self.task, self.space)
        # Known values are not computed again.
        vars(new).update(read)
        return new

    def per_class(self) -> tuple[AnyArray, AnyArray]:
        """Return labels (N, K) of 0 and 1 and scores (N, K) that rank examples in each class."""
        if self.task == "multiclass":
            n_classes = self.scores.shape[-1]
            if self.space == "logits":
                # The logarithm ranks like the probability, and does not saturate at 1.
                ranking = scipy.special.log_softmax(self.scores, axis=-1)
            else:
                ranking = self.probabilities
            return (self.labels[:, None] == np.arange(n_classes)).astype(int), ranking
        return self.labels.reshape(self.scores.shape), self.scores


def _first_highest(values: AnyArray) -> tuple[AnyArray, AnyArray]:
    """Return the first class with the highest score, and that score; NaN if any score is NaN.

    The loop is over classes, with all examples at once: an argmax for each of many examples with
    few classes takes several times as long.
    """
    highest = values[..., 0].copy()
    decided = np.zeros(highest.shape, np.min_scalar_type(values.shape[-1]))
    for c in range(1, values.shape[-1]):
        # Later classes have higher numbers, so the highest number is the last one above.
        above = (values[..., c] > highest).astype(decided.dtype)
        above *= decided.dtype.type(c)
        np.maximum(decided, above, out=decided)
        np.maximum(highest, values[..., c], out=highest)
    return decided.astype(np.intp), highest


def _unknown(values: AnyArray) -> AnyArray:
    # A sum tells as much as a look at every class, and is several times faster.
    return np.asarray(np.isnan(np.einsum("...c->...", values)))
