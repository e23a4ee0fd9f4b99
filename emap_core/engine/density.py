"""How likely pairs are, by what the model's encoders make of their texts and images."""

from __future__ import annotations

import numpy as np

from emap_core.engine.problem import Problem
from emap_core.inference.density import DensityRatio, density_ratio
from emap_core.runs.folder import RunFolder
from emap_core.runs.store import replacing


def keep_density(folder: RunFolder, problem: Problem) -> None:
    """Estimate the density ratio of all pairs and keep it in the run's folder.

    Parameters
    ----------
    folder : RunFolder
    problem : Problem
        Its texts and images are encoded.
    """
    found = _density(problem)
    with replacing(folder.density) as temporary, temporary.open("wb") as file:
        # Half precision tells a ratio to a thousandth, and takes little beside the grid.
        np.savez(file, log_ratio=np.log(found.ratio).astype(np.float16), auc=np.float64(found.auc))


def _density(problem: Problem) -> DensityRatio:
    row_of_text = np.argsort(problem.text_order)
    return density_ratio(
        problem.evaluator.texts.vectors()[row_of_text],
        problem.evaluator.images.vectors(),
        problem.cells.text_index,
        problem.cells.image_index,
        seed=problem.settings.seed,
    )
