"""One number per example from its C logits, split into the same parts as the logits.

Every contrast is a linear function of the logits, with weights that depend on the example: the
logit of a class, of the true or the predicted one, or the predicted one's lead over the next.
Being linear, it splits into mean, sides and interaction as the logits do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emap_core.decomposition.projection import Decomposition
from emap_core.errors import SettingError
from emap_core.types import Array, Index


@dataclass(frozen=True, eq=False)
class Contrast:
    """One number for each of N examples, and its parts, each of shape (N,).

    Attributes
    ----------
    value : ndarray
        The model's own number; equals ``mean + sum(effects) + interaction``.
    mean : ndarray
    effects : tuple of ndarray
        What the item of each side adds.
    interaction : ndarray
    """

    value: Array
    mean: Array
    effects: tuple[Array, ...]
    interaction: Array


def class_contrast(decomposition: Decomposition, column: int) -> Contrast:
    """Return the logit of one class."""
    n_examples, n_classes = decomposition.logits.shape
    if not 0 <= column < n_classes:
        raise SettingError(f"class is {column}; expected 0 to {n_classes - 1}")
    return _pick(decomposition, np.full(n_examples, column))


def label_contrast(decomposition: Decomposition, labels: ArrayLike) -> Contrast:
    """Return the logit of each example's true class.

    With a single logit, that of a binary task, it speaks for label 1 and, with its sign turned,
    for label 0.
    """
    truth = np.asarray(labels)
    if truth.shape != (len(decomposition.logits),):
        raise SettingError(
            f"labels have shape {truth.shape}; the true class of each example needs "
            f"({len(decomposition.logits)},)"
        )
    if decomposition.logits.shape[1] == 1:
        return _signed(decomposition, np.where(truth > 0, 1.0, -1.0))
    return _pick(decomposition, truth.astype(np.intp))


def prediction_contrast(decomposition: Decomposition) -> Contrast:
    """Return the logit of the class that the model predicts, its highest."""
    if decomposition.logits.shape[1] == 1:
        return _signed(decomposition, np.where(decomposition.logits[:, 0] > 0, 1.0, -1.0))
    return _pick(decomposition, decomposition.logits.argmax(axis=1))


def margin_contrast(decomposition: Decomposition) -> Contrast:
    """Return the lead of the predicted class over the runner-up, never below 0.

    If the sides and the mean alone add up to less than 0, the interaction decides.
    """
    if decomposition.logits.shape[1] == 1:
        return prediction_contrast(decomposition)
    order = np.argsort(-decomposition.logits, axis=1, kind="stable")
    first, second = _pick(decomposition, order[:, 0]), _pick(decomposition, order[:, 1])
    return Contrast(
        value=first.value - second.value,
        mean=first.mean - second.mean,
        effects=tuple(
            one - other for one, other in zip(first.effects, second.effects, strict=True)
        ),
        interaction=first.interaction - second.interaction,
    )


def answers_changed(
    others: Array, own: Array, count: int, *, decides: bool = True
) -> NDArray[np.intp]:
    """Return which of M other predictions are furthest from an example's own, furthest first.

    If the model decides for a class, a different answer comes before the same one, and of several
    with the same answer only the clearest counts until each answer has had its turn.

    Parameters
    ----------
    others : ndarray of shape (M, C)
        What the model says when one side of the example is replaced.
    own : ndarray of shape (C,)
    count : int
    decides : bool
        Whether the highest logit (or the sign of a single one) is the answer; otherwise distance
        counts.
    """
    others = np.asarray(others, dtype=np.float64)
    own = np.asarray(own, dtype=np.float64)
    if not decides:
        order = np.argsort(-np.linalg.norm(others - own, axis=1), kind="stable")
        return np.asarray(order[:count], dtype=np.intp)
    if others.shape[1] == 1:
        order = np.argsort(np.where(own[0] > 0, others[:, 0], -others[:, 0]), kind="stable")
        return np.asarray(order[:count], dtype=np.intp)
    answer = int(own.argmax())
    rest = np.delete(others, answer, axis=1).max(axis=1)
    lead = others[:, answer] - rest
    order = np.argsort(lead, kind="stable")
    turn = _turns(others.argmax(axis=1)[order])
    # The example's own answer comes after all changes.
    same = lead[order] >= 0
    return np.asarray(order[np.lexsort((lead[order], turn, same))][:count], dtype=np.intp)


def _turns(answers: Index) -> Index:
    """Return how often each answer occurred before, shape (M,)."""
    order = np.argsort(answers, kind="stable")
    ordered = answers[order]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    counts = np.diff(np.r_[first, len(ordered)])
    turns = np.empty(len(answers), dtype=np.intp)
    turns[order] = np.arange(len(answers)) - np.repeat(first, counts)
    return turns


def _pick(decomposition: Decomposition, columns: Index) -> Contrast:
    rows = np.arange(len(columns))
    return Contrast(
        value=decomposition.logits[rows, columns],
        mean=decomposition.mean[columns],
        effects=tuple(effect[rows, columns] for effect in decomposition.effects.values()),
        interaction=decomposition.interaction[rows, columns],
    )


def _signed(decomposition: Decomposition, sign: Array) -> Contrast:
    plain = _pick(decomposition, np.zeros(len(sign), dtype=np.intp))
    return Contrast(
        value=sign * plain.value,
        mean=sign * plain.mean,
        effects=tuple(sign * effect for effect in plain.effects),
        interaction=sign * plain.interaction,
    )
