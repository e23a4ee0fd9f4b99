"""The table that the paper asks researchers to report: the model beside its baselines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from emap_core.decomposition import Decomposition
from emap_core.inference.metrics import default_metrics, evaluate
from emap_core.inference.predictions.scores import SMALLEST_PROBABILITY
from emap_core.inference.table.rows import one_sided_rows, order_rows, projections_of
from emap_core.types import Array, Space, Task

if TYPE_CHECKING:
    import pandas as pd

FEWEST_ITEMS = 20
"""With fewer items, a side is fixed in projections onto sets of several sides.

So few items say little about what further ones would say.
"""


def projections(
    decomposition: Decomposition,
    labels: ArrayLike | None,
    task: Task,
    space: Space = "logits",
) -> dict[str, Array]:
    """Return the scores of every row of the table, each of shape (N, C).

    Text only and image only are the model's own one-sided means without the example itself; with
    more sides, so are the rows named after them. Projections of orders 2 to M − 1 (``pairs``, …)
    leave out the own items of the sides in `sides_left_out`.
    """
    n_examples, n_classes = decomposition.logits.shape
    constant = (
        decomposition.mean
        if labels is None
        else best_constant(np.asarray(labels), np.ones((1, n_examples)), n_classes, task, space)[0]
    )
    sides, left_out = decomposition.sides, sides_left_out(decomposition)
    several = {
        row: decomposition.projection(order, leave_one_out=left_out)
        for row, order in order_rows(sides).items()
    }
    one_sided = {row: decomposition.one_sided[side] for row, side in one_sided_rows(sides).items()}
    return {
        "full": decomposition.logits,
        **several,
        "emap": decomposition.emap,
        "emap_leave_one_out": decomposition.emap_leave_one_out,
        **one_sided,
        "constant": np.broadcast_to(constant, (n_examples, n_classes)),
    }


def sides_left_out(decomposition: Decomposition) -> tuple[str, ...]:
    """Return the sides whose own item is left out of projections onto sets of several sides.

    In a projection of order k, the own cell weighs much more than in EMAP: in order M − 1, 1 − Π (1
    − w_m), where w_m is the share of the own item on side m. By that weight alone, two sides at a
    time agree with 63% of the signs of a pure interaction of three, with 20 random items per side,
    although 50% is true. But if it is left out on every side, questions that balance each other,
    such as *Is the sum even?* and *Is the sum odd?*, make it agree with 27%, with 6 of them: the
    others say the opposite of the own one. So the own item is left out on sides with `FEWEST_ITEMS`
    or more different items, which represent others; smaller sides are fixed.
    """
    return tuple(
        side
        for side, share in zip(decomposition.sides, decomposition.shares, strict=True)
        if np.count_nonzero(share) >= FEWEST_ITEMS
    )


def score_table(
    decomposition: Decomposition,
    labels: ArrayLike | None,
    task: Task,
    metrics: Sequence[str] | None = None,
    space: Space = "logits",
) -> pd.DataFrame:
    """Return the metrics of every row of the table: rows of its sides, one column per metric.

    NaN if a metric is undefined. Without labels, there are no columns.
    """
    import pandas as pd

    names = [] if labels is None else default_metrics(task) if metrics is None else list(metrics)
    scores = projections(decomposition, labels, task, space)
    rows = projections_of(decomposition.sides)
    return pd.DataFrame(
        {
            name: [evaluate(name, labels, scores[row], task, space) for row in rows]
            for name in names
            if labels is not None
        },
        index=pd.Index(rows, name="projection"),
    )


def best_constant(
    labels: Array, weights: Array, n_classes: int, task: Task, space: Space = "logits"
) -> Array:
    """Return the best constant scores for each of B weightings of the labels, shape (B, C).

    Class shares as scores: they decide for the majority class and also minimise log loss and Brier
    score. Mean target for a regression, mean credit for VQA accuracy.
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
