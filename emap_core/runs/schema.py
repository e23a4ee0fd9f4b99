"""A run's arrays other than sums, by name on disk; each method's `layouts` has those of the sums.

Their version is `emap_core.runs.manifest.FORMAT`, stored in ``run.json``. To rename an array, or to
store something else under a name, add one to the version, keep the code that reads the older one,
and add runs of the new one to ``tests/runs/golden``.
"""

from __future__ import annotations

from emap_core.inference import LINEAR_PROBES
from emap_core.methods.stored_arrays import Layout

LINEAR_PROBE_ARRAYS = dict.fromkeys(LINEAR_PROBES, Layout("NC", optional=True))
DENSITY_ARRAYS = {"log_ratio": Layout("TV"), "auc": Layout("")}
"""Log of how much likelier each pair is among the examples, and how well that is known."""
