"""Find out whether a model of images and texts uses both sides together.

The public names are loaded when they are first used, so that reading a run needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emap_core.datasets import load_dataset
    from emap_core.datasets.base import Examples
    from emap_core.decomposition import Decomposition, decompose
    from emap_core.engine import compute, compute_shard, estimate, merge_shards
    from emap_core.engine.pairs_to_score import pairs_to_score
    from emap_core.errors import EmapError
    from emap_core.inference import Gap
    from emap_core.models import load_model
    from emap_core.runs import Run, load_run
    from emap_core.runs.edit_run import annotate_run, archive_run, delete_run

__version__ = "0.1.0"

_HOME = {
    "Decomposition": "emap_core.decomposition",
    "EmapError": "emap_core.errors",
    "Examples": "emap_core.datasets.base",
    "Gap": "emap_core.inference",
    "Run": "emap_core.runs",
    "annotate_run": "emap_core.runs.edit_run",
    "archive_run": "emap_core.runs.edit_run",
    "compare": "emap_core.presentation.compare_runs",
    "compute": "emap_core.engine",
    "compute_shard": "emap_core.engine",
    "decompose": "emap_core.decomposition",
    "delete_run": "emap_core.runs.edit_run",
    "estimate": "emap_core.engine",
    "load_dataset": "emap_core.datasets",
    "load_model": "emap_core.models",
    "load_run": "emap_core.runs",
    "merge_shards": "emap_core.engine",
    "pairs_to_score": "emap_core.engine.pairs_to_score",
}

__all__ = [
    "Decomposition",
    "EmapError",
    "Examples",
    "Gap",
    "Run",
    "__version__",
    "annotate_run",
    "archive_run",
    "compare",
    "compute",
    "compute_shard",
    "decompose",
    "delete_run",
    "estimate",
    "load_dataset",
    "load_model",
    "load_run",
    "merge_shards",
    "pairs_to_score",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from emap_core.installation import computing

    with computing():
        return getattr(importlib.import_module(_HOME[name]), name)
