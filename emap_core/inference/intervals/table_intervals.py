"""Intervals and tests of everything in the table and of the variance shares, in one call.

Resamples are drawn (`population`), the table is evaluated in each (`resampled_table`), and its
values become intervals (`interval_summary`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from emap_core.decomposition import Decomposition
from emap_core.inference.gap import Intervals
from emap_core.inference.intervals.interval_summary import Summary
from emap_core.inference.intervals.resampled_table import ResampledTable, Sample
from emap_core.inference.metrics import default_metrics, metric
from emap_core.inference.resamples.population import N_RESAMPLES
from emap_core.inference.resamples.resampling import reproject
from emap_core.types import Array, Cluster, Space, Task

__all__ = ["Intervals", "intervals"]


def intervals(
    decomposition: Decomposition,
    labels: ArrayLike | None,
    task: Task,
    metrics: Sequence[str] | None = None,
    *,
    space: Space = "logits",
    grid: Any = None,
    centred: bool = False,
    cluster: Cluster = "auto",
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
    linear_probes: Mapping[str, Array] | None = None,
) -> Intervals:
    """Return 95% intervals and tests of the table, the gaps and the variance shares.

    Every resample computes the projection anew from the grid. Without the grid, the scores are
    fixed, and the method of each gap says so.

    Parameters
    ----------
    decomposition : Decomposition
    labels : array or None
        As for `evaluate`; None gives only the variance shares.
    task : str
    metrics : sequence of str, optional
        By default, `default_metrics` of the task.
    space : str
        What was projected.
    grid : ndarray of shape (U_1, U_2, C), or an object with ``strips()``, optional
        See `reproject`; with more than two sides (U_1, …, U_M, C).
    centred : bool
        Whether shares are those of the logits minus their mean over classes.
    cluster : str
        What is drawn: ``auto``, ``none``, ``image``, ``text`` or ``both``; for other sides see
        `emap_core.inference.resamples.population.population_of_sides`.
    n_resamples : int
        In total; shared between several ways to draw.
    seed : int
    linear_probes : mapping, optional
        Further rows of the table: scores of shape (N, C) that do not change with the resample.

    Raises
    ------
    SettingError, LabelError
        If a setting is unknown or labels do not fit.
    """
    names = (
        [] if labels is None else list(metrics if metrics is not None else default_metrics(task))
    )
    truth = np.zeros(len(decomposition.logits), dtype=int) if labels is None else np.asarray(labels)
    sample = Sample(
        decomposition,
        truth,
        task,
        space,
        [metric(name) for name in names],
        cluster,
        linear_probes or {},
    )
    rng = np.random.default_rng(seed)
    each = sample.population.share_out(n_resamples)
    tables = [ResampledTable(sample, units) for units in sample.population.draws]
    # Many short steps get in each other's way: more threads would take more time.
    n_threads = min(len(sample.projected), max(1, (os.cpu_count() or 1) // 2))
    with ThreadPoolExecutor(n_threads) as pool:
        for table in tables:
            for weights in table.units.resamples(each, rng):
                if grid is None:
                    table.add_scores(weights)
                else:
                    for some in reproject(grid, decomposition, weights, centred=centred):
                        table.add(some, rng, pool)
    return Summary(tables, grid is not None, each, seed).intervals(centred)
