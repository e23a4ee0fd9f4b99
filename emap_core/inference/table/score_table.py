"""The table that the paper asks researchers to report: the model beside its baselines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from emap_core.decomposition import Decomposition
from emap_core.inference.metrics import default_metrics, evaluate
from emap_core.inference.predictions.scores import SMALLEST_PROBABILITY
from emap_core.inference.table.rows import PROJECTIONS
from emap_core.types import Array, Space, Task


def projections(
    decomposition: Decomposition,
    labels: ArrayLike | None,
    task: Task,
    space: Space = "logits",
) -> dict[str, Array]:
    """Return the scores of every row of the table, each of shape (N, C).

    Text only and image only are the model's own one-sided means without the example itself.
    """
    n_examples, n_classes = decomposition.logits.shape
    constant = (
        decomposition.mean
        if labels is None
        else best_constant(np.asarray(labels), np.ones((1, n_examples)), n_classes, task, space)[0]
    )
    return {
        "full": decomposition.logits,
        "emap": decomposition.emap,
        "emap_leave_one_out": decomposition.emap_leave_one_out,
        "text_only": decomposition.text_only,
        "image_only": decomposition.image_only,
        "constant": np.broadcast_to(constant, (n_examples, n_classes)),
    }


def score_table(
    decomposition: Decomposition,
    labels: ArrayLike | None,
    task: Task,
    metrics: Sequence[str] | None = None,
    space: Space = "logits",
) -> pd.DataFrame:
    """Return the metrics of every row of the table: index `PROJECTIONS`, one column per metric.

    NaN where a metric is undefined. Without labels there are no columns.
    """
    names = [] if labels is None else default_metrics(task) if metrics is None else list(metrics)
    scores = projections(decomposition, labels, task, space)
    return pd.DataFrame(
        {
            name: [evaluate(name, labels, scores[row], task, space) for row in PROJECTIONS]
            for name in names
            if labels is not None
        },
        index=pd.Index(PROJECTIONS, name="projection"),
    )


def best_constant(
    labels: Array, weights: Array, n_classes: int, task: Task, space: Space = "logits"
) -> Array:
    """Return the best constant scores for each of B weightings of the labels, shape (B, C).

    Shares of the classes as scores: they decide for the majority class and minimise log loss and
    Brier score at once. Mean target for a regression, mean credit for VQA accuracy.
    """
    if task == "multiclass" and labels.ndim == 1:
        truth = (labels[:, None] == np.arange(n_classes)).astype(np.float64)
    else:
        truth = labels.reshape(len(labels), -1).astype(np.float64)
    share = weights @ truth / weights.sum(axis=-1, keepdims=True)
    if task == "regression" or space == "probabilities":
        return np.asarray(share)
    kept = np.clip(share, SMALLEST_PROBABILITY, 1.0)
    if task == "multiclass" or space == "log_probabilities":
        return np.asarray(np.log(kept))
    return np.asarray(np.log(kept) - np.log(np.clip(1.0 - share, SMALLEST_PROBABILITY, 1.0)))
