"""What a run learns from its encodings: linear probes, and how likely each pair is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emap_core.datasets.grid_cells import find_cells
from emap_core.engine.binding import encoded_rows, unique_others
from emap_core.engine.encoded_items import encoded_side
from emap_core.engine.output_space import to_space
from emap_core.engine.problem import Problem
from emap_core.errors import DatasetError
from emap_core.inference.robustness.density_ratio import density_ratio
from emap_core.inference.table.linear_probe import linear_probe
from emap_core.runs.folder import RunFolder
from emap_core.runs.store import replacing


def keep_linear_probes(folder: RunFolder, problem: Problem) -> None:
    """Train linear probes on the training split, and keep their scores in the run's folder.

    They see the model's encodings of the text (``linear_text``), of the image (``linear_image``) or
    of both (``linear_both``). The encoders stay as they are.

    Parameters
    ----------
    folder : RunFolder
    problem : Problem
        Its model has encoders; its texts and images are encoded. Its training split has labels.

    Raises
    ------
    DatasetError
        If the training split has no labels.
    """
    scores: dict[str, Any] = _linear_probes(problem, problem.train)
    with replacing(folder.linear_probes) as temporary, temporary.open("wb") as file:
        np.savez(file, **scores)


def keep_density(folder: RunFolder, problem: Problem) -> None:
    """Estimate the density ratio of all pairs, and keep it in the run's folder.

    Parameters
    ----------
    folder : RunFolder
    problem : Problem
        Its texts and images are encoded.
    """
    plan_row = np.argsort(problem.row_order)
    first, second = problem.evaluator.vectors()
    found = density_ratio(
        first[plan_row],
        second,
        problem.cells.row_index,
        problem.cells.column_index,
        seed=problem.settings.seed,
    )
    with replacing(folder.density) as temporary, temporary.open("wb") as file:
        # Half precision is exact to a thousandth and takes little space compared with the grid.
        np.savez(file, log_ratio=np.log(found.ratio).astype(np.float16), auc=np.float64(found.auc))


def _linear_probes(problem: Problem, train: Any) -> dict[str, NDArray[np.float64]]:
    """Return the linear probes' scores of the examples, each of shape (N, C)."""
    cells = find_cells(train)
    labels = problem.labels_of(train)
    if labels is None:
        raise DatasetError("the training data has no labels")
    if problem.task == "multiclass" and labels.ndim == 2:
        labels = labels.argmax(axis=1)
    (others,) = unique_others(train, cells)
    order = np.arange(len(cells.row_words))
    first, rows = encoded_rows(problem.scorer, train, cells, order)
    try:
        train_first = first.vectors()[cells.row_index]
        train_second = encoded_side(problem.scorer, others, 1).vectors()[cells.column_index]
    finally:
        others.close()
        if rows is not None:
            rows.close()
    of_rows, of_columns = problem.evaluator.vectors()
    test_first = of_rows[problem.targets.row_index]
    test_second = of_columns[problem.targets.column_index]
    sides = {
        "linear_text": (train_first, test_first),
        "linear_image": (train_second, test_second),
        "linear_both": (
            np.concatenate([train_first, train_second], axis=1),
            np.concatenate([test_first, test_second], axis=1),
        ),
    }
    return {
        name: to_space(
            linear_probe(
                trained_on,
                labels,
                tested_on,
                problem.task,
                problem.n_classes,
                # Examples of one image are not independent.
                groups=cells.column_index,
                seed=problem.settings.seed,
            ),
            "logits",
            problem.settings.space,
            problem.task,
        )
        for name, (trained_on, tested_on) in sides.items()
    }
