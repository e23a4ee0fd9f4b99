"""The kind of each example: which side the prediction follows, what interactions change.

The kinds depend on agreement between the unimodal predictions and the full one, after the
interaction types of "MMoE: Enhancing Multimodal Models with Mixtures of Multimodal Interaction
Experts" (arXiv 2311.09580).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emap_core.decomposition import Decomposition
from emap_core.inference.gap import Interval
from emap_core.inference.predictions.scores import predict
from emap_core.inference.resamples.limits import share_estimate
from emap_core.inference.resamples.population import Population, SamplingUnits
from emap_core.types import Array, Space, Task

KINDS = ("redundant", "text-led", "image-led", "synergistic")
"""All three predictions agree; the full one follows the text; the image; neither."""

FLIPS = ("helped", "hurt", "changed", "same")
"""Interactions made it right; made it wrong; changed the prediction otherwise; changed nothing."""


def kinds(
    decomposition: Decomposition, task: Task, space: Space = "logits"
) -> NDArray[np.str_] | None:
    """Return the kind of each example, shape (N,), one of `KINDS`.

    None for a regression, and with more than two sides, which have further kinds.

    Text only and image only are the model's own one-sided means without the example itself. In a
    multilabel task the prediction is the set of classes.
    """
    if task == "regression" or len(decomposition.sides) > 2:
        return None
    full, text, image = (
        predict(scores, task, space)
        for scores in (
            decomposition.logits,
            _or_else(decomposition.text_only, decomposition.row_mean[decomposition.row_index]),
            _or_else(
                decomposition.image_only, decomposition.column_mean[decomposition.column_index]
            ),
        )
    )
    follows_text, follows_image = _agree(full, text), _agree(full, image)
    return np.select(
        [follows_text & follows_image, follows_text, follows_image], KINDS[:3], KINDS[3]
    )


def flips(
    decomposition: Decomposition,
    labels: ArrayLike | None,
    task: Task,
    space: Space = "logits",
) -> NDArray[np.str_] | None:
    """Return what interactions did to each prediction, shape (N,); None for a regression.

    The full prediction is compared with that of the leave-one-out projection, or of the plain one
    if that is undefined. In a multilabel task, helped means more classes right than without; with
    answers of several annotators, more credit. Without labels, it is unknown what helps or hurts:
    only changed or same.
    """
    if task == "regression":
        return None
    full = predict(decomposition.logits, task, space)
    without = predict(_or_else(decomposition.emap_leave_one_out, decomposition.emap), task, space)
    changed = ~_agree(full, without)
    if labels is None:
        return np.where(changed, "changed", "same")
    truth = np.asarray(labels)
    gain = earned(full, truth) - earned(without, truth)
    return np.select([gain > 0, gain < 0, changed], FLIPS[:3], FLIPS[3])


def proportions(names: ArrayLike, of: Sequence[str], population: Population) -> dict[str, Interval]:
    """Return the share of examples with each name, with its 95% Wilson interval.

    If examples come in units (the same image, the same text, or both), N shrinks by the design
    effect: the variance of drawing units over that of independent examples (Kish 1965). A share
    near 0 or 1 shows none of it; there, units are counted instead of examples.
    """
    given = np.asarray(names)
    return {name: _share(given == name, population) for name in of}


def _share(hit: NDArray[np.bool_], population: Population) -> Interval:
    variances = [variance_of_mean(hit - hit.mean(), units) for units in population.draws]
    return share_estimate(hit.astype(np.float64), population.variance(variances), population)


def _or_else(values: Array, otherwise: Array) -> Array:
    return np.where(np.isnan(values), otherwise, values)


def _agree(a: Array, b: Array) -> NDArray[np.bool_]:
    same = a == b
    return np.asarray(same.all(axis=-1) if same.ndim == 2 else same)


def earned(predicted: ArrayLike, labels: ArrayLike) -> Array:
    """Return the credit of each prediction, shape (N,): 1 for the label, or its VQA credit.

    In a multilabel task, the number of classes that are right.
    """
    decided, truth = np.asarray(predicted), np.asarray(labels)
    if decided.ndim < truth.ndim:
        credit = np.take_along_axis(truth, np.maximum(decided, 0)[:, None], axis=1)[:, 0]
        return np.where(decided < 0, 0.0, credit)
    # A NaN score and a label that is not a class are both -1, but do not match.
    right = (decided == truth) & (truth >= 0)
    return np.asarray(right.sum(axis=-1) if right.ndim == 2 else right.astype(int))


def variance_of_mean(deviations: Array, units: SamplingUnits) -> float:
    """Return the variance of a mean of examples drawn in whole units."""
    sums = np.bincount(units.groups, deviations)
    return float((sums**2).sum()) * units.size / max(units.size - 1, 1) / len(deviations) ** 2
