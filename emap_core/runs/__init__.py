"""The run folder: what is in it, how it is written, how it is read."""

from emap_core.runs.folder import RunInfo, describe_run, find_run, list_runs, runs_root
from emap_core.runs.grid import Grid
from emap_core.runs.run import Run, usable_metrics

__all__ = [
    "Grid",
    "Run",
    "RunInfo",
    "describe_run",
    "find_run",
    "list_runs",
    "runs_root",
    "usable_metrics",
]
