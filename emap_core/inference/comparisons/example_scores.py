"""Examples with the scores of a model and of its projection, for gaps on parts of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emap_core.decomposition import Decomposition
from emap_core.inference.gap import Projection
from emap_core.inference.predictions.scores import Scored
from emap_core.inference.resamples.population import N_RESAMPLES
from emap_core.inference.table.score_table import projections
from emap_core.types import Cluster, Space, Task


@dataclass(frozen=True, eq=False)
class ExampleScores:
    """What a metric reads on every example, with and without interactions.

    The projection is that of all examples, whichever part of them is asked about.

    Attributes
    ----------
    decomposition : Decomposition
    labels : array of shape (N,) or (N, C)
    task, metric, space : str
        As for `evaluate`.
    projection : {"emap_leave_one_out", "emap"}
    cluster : str
        What is drawn, as for `intervals`.
    n_resamples, seed : int
    """

    decomposition: Decomposition
    labels: ArrayLike
    task: Task
    metric: str
    space: Space = "logits"
    projection: Projection = "emap_leave_one_out"
    cluster: Cluster = "auto"
    n_resamples: int = N_RESAMPLES
    seed: int = 0

    def on(self, mask: NDArray[np.bool_]) -> tuple[Scored, Scored]:
        """Return the scores of the model and of the projection on some of the examples."""
        full, other = (Scored(s.labels[mask], s.scores[mask], s.task, s.space) for s in self._pair)
        return full, other

    @cached_property
    def _pair(self) -> tuple[Scored, Scored]:
        labels = np.asarray(self.labels)
        scores = projections(self.decomposition, labels, self.task, self.space)
        full, other = scores["full"], scores[self.projection]
        return (
            Scored(labels, full, self.task, self.space),
            Scored(labels, other, self.task, self.space),
        )
