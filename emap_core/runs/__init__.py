"""The run folder: what is in it, how it is written, how it is read."""

from pathlib import Path

from emap_core.runs.folder import RunInfo, describe_run, find_run, list_runs, runs_root
from emap_core.runs.grid import Grid
from emap_core.runs.reader import usable_metrics
from emap_core.runs.run import Run


def load_run(path: str | Path) -> Run:
    """Open a finished run by its path or its id; see `Run.load`."""
    return Run.load(path)


__all__ = [
    "Grid",
    "Run",
    "RunInfo",
    "describe_run",
    "find_run",
    "list_runs",
    "load_run",
    "runs_root",
    "usable_metrics",
]
