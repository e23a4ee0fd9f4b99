"""The exact method: every text with every image."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from emap_core.decomposition import Decomposition
from emap_core.decomposition.recombined import Recombined
from emap_core.methods.arrays import (
    DECOMPOSITION,
    DECOMPOSITION_FIELDS,
    RECOMBINED,
    Arrays,
    arrays_of,
    decomposition_of,
    recombined_arrays,
)
from emap_core.methods.base import Method, Pairs, Projected, Result
from emap_core.methods.method_settings import MethodSettings


class Exact(Method):
    """All pairs are scored, and their sums are all that is needed."""

    name = "exact"
    summary = "scores every text with every image"
    scores_all_pairs = True
    layouts = DECOMPOSITION | RECOMBINED
    why_no_grid = "Only sums were kept of this run, not its grid."

    def n_pairs(self, settings: MethodSettings, pairs: Pairs) -> int:
        """Return how many recombinations there are."""
        return pairs.shape[0] * pairs.shape[1]

    def arrays(self, result: Result) -> dict[str, NDArray[Any]]:
        """Return the arrays of the decomposition, and of the answers if they were read."""
        kept = arrays_of(result.decomposition, DECOMPOSITION_FIELDS)
        return kept | recombined_arrays(result.recombined)

    def result(self, arrays: Arrays) -> Projected:
        """Return the decomposition, and the answers if they were read."""
        return Projected(
            decomposition_of(arrays, Decomposition, {}), Recombined.from_arrays(arrays)
        )


METHOD = Exact()
