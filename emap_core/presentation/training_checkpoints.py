"""Runs of one training at several steps, as checkpoints to draw."""

from __future__ import annotations

from collections.abc import Sequence

from emap_core.figures.gap_over_training import Checkpoint
from emap_core.presentation.run_titles import run_title
from emap_core.runs import Run


def checkpoints(runs: Sequence[Run], name: str) -> list[Checkpoint]:
    """Return the gaps of the runs that name a training step; none unless there are two steps.

    Runs with one title, such as ``training``, belong to one training.

    Parameters
    ----------
    runs : sequence of Run
    name : str
        A metric that all of them have.
    """
    found = [
        Checkpoint(run_title(run.manifest), step, run.gap(name))
        for run in runs
        if (step := run.manifest["settings"].get("step")) is not None and run.shared_by_all is None
    ]
    return found if len({one.step for one in found}) > 1 else []
