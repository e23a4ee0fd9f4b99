"""The arrays beside a run's sums, by name on disk; those of the sums are each method's `layouts`.

The version of all of them is `emap_core.runs.manifest.FORMAT`, which ``run.json`` holds. Whoever
renames an array, or stores something else under a name, adds one to it, keeps what reads the
older one, and adds runs of the new one to ``tests/runs/golden``.
"""

from __future__ import annotations

from emap_core.inference import LINEAR_PROBES
from emap_core.methods.arrays import Layout

LINEAR_PROBE_ARRAYS = dict.fromkeys(LINEAR_PROBES, Layout("NC", optional=True))
DENSITY_ARRAYS = {"log_ratio": Layout("TV"), "auc": Layout("")}
"""Logarithm of how much likelier each pair is among the examples, and how well that is known."""
