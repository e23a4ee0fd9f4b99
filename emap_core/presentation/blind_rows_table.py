"""What a model still answers with a side taken away, as a table of words."""

from __future__ import annotations

from emap_core.human_readable import capitalised
from emap_core.inference import metric
from emap_core.inference.number_format import with_interval
from emap_core.presentation.tables import Table
from emap_core.probes.blind_rows import BLIND, Blinded


def blind_table(found: Blinded) -> Table:
    """Return the rows of blind pictures and texts, which are outside the data."""
    ends = [found.rows[row] for row in BLIND]
    return {
        "Outside the data": [name for name, _ in BLIND.values()],
        capitalised(metric(found.metric).label): [
            with_interval(one.value, one.low, one.high, "points") for one in ends
        ],
    }
