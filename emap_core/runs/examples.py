"""The examples of a run as a table: the model's answers, and what they owe to both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emap_core import inference
from emap_core.runs.cached_inference import CachedInference
from emap_core.runs.folder import index_column
from emap_core.runs.slices import OF_DATA
from emap_core.types import Array

if TYPE_CHECKING:
    import pandas as pd


def examples_of(run: CachedInference) -> pd.DataFrame:
    """Return one row per example; see `Run.examples`."""
    import pandas as pd

    d = run.decomposition
    table = pd.DataFrame(
        {
            "id": run.ids,
            "text": [run.texts[u] for u in d.row_index],
            "label": inference.label_names(run.labels, run.classes, run.task)
            or [None] * len(run.ids),
        }
    )
    for column, projection in (
        ("prediction", "full"),
        ("prediction_emap", "emap"),
        ("prediction_emap_leave_one_out", "emap_leave_one_out"),
    ):
        table[column] = inference.prediction_names(
            run.scores(projection),
            run.classes,
            run.task if run.decides else "regression",
            run.space,
        )
        table[column.replace("prediction", "correct")] = _right(run, run.scores(projection))
    table["flip"] = run.flips
    table["kind"] = run.kinds
    table["interaction_size"] = np.linalg.norm(run.shares.interaction, axis=1)
    table["text_index"] = d.row_index
    table["image_index"] = d.column_index
    for place in range(2, len(run.sides)):
        table[index_column(place)] = d.index[place]
    if run.labels is not None and run.labels.ndim == 1:
        table["label_index"] = run.labels
    return table.assign(**{f"{OF_DATA}{name}": run.columns[name] for name in run.columns})


def _right(run: CachedInference, scores: Array) -> NDArray[Any] | None:
    if run.labels is None or not run.decides:
        return None
    earned = inference.earned(inference.predict(scores, run.task, run.space), run.labels)
    # With several annotators, at least two of ten agree.
    right = earned >= (run.labels.shape[1] if run.task == "multilabel" else 0.5)
    undefined = np.isnan(scores).any(axis=1)
    if not undefined.any():
        return right
    known = right.astype(object)
    known[undefined] = None
    return known
