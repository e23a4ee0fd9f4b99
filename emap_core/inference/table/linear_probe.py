"""Linear probes: linear models of encoded texts, encoded images or both.

Alain & Bengio, "Understanding intermediate layers using linear classifier probes", 2016.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy
from numpy.typing import ArrayLike
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold, KFold
from sklearn.preprocessing import StandardScaler

from emap_core.errors import DatasetError
from emap_core.inference.metrics import evaluate
from emap_core.inference.predictions.scores import SMALLEST_PROBABILITY
from emap_core.types import AnyArray, Task

PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Penalties tried, in units of the mean squared norm of a standardised encoding."""

_LOWEST = float(np.log(SMALLEST_PROBABILITY))


def linear_probe(
    train_encodings: ArrayLike,
    train_labels: ArrayLike,
    test_encodings: ArrayLike,
    task: Task,
    n_classes: int,
    *,
    groups: ArrayLike | None = None,
    n_folds: int = 3,
    max_examples: int = 20_000,
    seed: int = 0,
) -> AnyArray:
    """Return the scores of a linear model, trained on encodings, for other encodings, (N, C).

    Logistic regression, or ridge regression of numbers, on standardised encodings; the L2 penalty
    is chosen by cross-validation. Scores are logits (numbers for a regression); a class that the
    training labels lack scores as a probability of 1e-7.

    Parameters
    ----------
    train_encodings : array of shape (M, D)
        The encoding of each training example's text or image, or both side by side.
    train_labels : array of shape (M,) or (M, C)
        As for `evaluate`.
    test_encodings : array of shape (N, D)
    task : str
    n_classes : int
        C, the size of the model's last axis.
    groups : array of shape (M,), optional
        Examples of one group, such as those with the same image, share a fold.
    n_folds : int
    max_examples : int
        With more training examples, a sample of this size is used.
    seed : int

    Raises
    ------
    DatasetError
        If the encodings are not tables of numbers with matching shapes.
    """
    train, test = (np.asarray(s, dtype=np.float64) for s in (train_encodings, test_encodings))
    labels = np.asarray(train_labels)
    if train.ndim != 2 or test.ndim != 2 or train.shape[1] != test.shape[1]:
        raise DatasetError(
            f"encodings have shapes {train.shape} and {test.shape}; expected rows of equal length"
        )
    if len(train) != len(labels) or len(train) < n_folds:
        raise DatasetError(
            f"{len(train)} encodings and {len(labels)} labels to train on; expected the same "
            f"number of both, at least {n_folds}"
        )
    together = np.arange(len(train)) if groups is None else np.asarray(groups)
    if len(train) > max_examples:
        kept = np.random.default_rng(seed).permutation(len(train))[:max_examples]
        train, labels, together = train[kept], labels[kept], together[kept]
    scale = StandardScaler().fit(train)
    train, test = scale.transform(train), scale.transform(test)
    penalty = _choose_penalty(train, labels, task, n_classes, together, n_folds, seed)
    return _fit(train, labels, task, n_classes, penalty)(test)


def _choose_penalty(
    encodings: AnyArray,
    labels: AnyArray,
    task: Task,
    n_classes: int,
    groups: AnyArray,
    n_folds: int,
    seed: int,
) -> float:
    repeated = n_folds <= len(np.unique(groups)) < len(groups)
    folds = (GroupKFold if repeated else KFold)(n_folds, shuffle=True, random_state=seed)
    splits = list(folds.split(encodings, groups=groups if repeated else None))
    losses = []
    for penalty in PENALTIES:
        scores = np.empty((len(encodings), n_classes))
        for kept, left_out in splits:
            fitted = _fit(encodings[kept], labels[kept], task, n_classes, penalty)
            scores[left_out] = fitted(encodings[left_out])
        losses.append(_loss(labels, scores, task))
    return PENALTIES[int(np.argmin(losses))]


def _loss(labels: AnyArray, scores: AnyArray, task: Task) -> float:
    if task == "regression":
        return evaluate("root_mean_squared_error", labels, scores, task)
    if task == "multilabel":
        columns = range(scores.shape[1])
        each = [evaluate("log_loss", labels[:, c], scores[:, [c]], "binary") for c in columns]
        return float(np.mean(each))
    return evaluate("log_loss", labels, scores, task)


def _fit(
    encodings: AnyArray, labels: AnyArray, task: Task, n_classes: int, penalty: float
) -> Callable[[AnyArray], AnyArray]:
    strength = penalty * encodings.shape[1]
    if task == "regression":
        ridge = Ridge(alpha=strength).fit(encodings, labels)
        return lambda new: np.reshape(ridge.predict(new), (len(new), n_classes))
    if task == "multiclass":
        return _logistic(encodings, labels, n_classes, strength)
    columns = labels.reshape(len(labels), -1)
    each = [_logistic(encodings, column, 2, strength) for column in columns.T]

    def odds(new: AnyArray) -> AnyArray:
        both = [one(new) for one in each]
        return np.stack([scores[:, 1] - scores[:, 0] for scores in both], axis=1)

    return odds


def _logistic(
    encodings: AnyArray, labels: AnyArray, n_classes: int, strength: float
) -> Callable[[AnyArray], AnyArray]:
    seen = np.unique(labels)
    if len(seen) == 1:
        only = np.where(np.arange(n_classes) == seen[0], 0.0, _LOWEST)
        return lambda new: np.asarray(np.tile(only, (len(new), 1)))
    model = LogisticRegression(C=1.0 / strength, max_iter=500).fit(encodings, labels)

    def scores(new: AnyArray) -> AnyArray:
        found = np.full((len(new), n_classes), _LOWEST)
        odds = model.decision_function(new)
        odds = odds if odds.ndim == 2 else np.stack([np.zeros(len(new)), odds], axis=1)
        found[:, seen] = np.maximum(scipy.special.log_softmax(odds, axis=1), _LOWEST)
        return found

    return scores
