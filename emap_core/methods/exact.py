"""The exact method: every text with every image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from emap_core.decomposition import Decomposition
from emap_core.decomposition.projection import TEXT_AND_IMAGE
from emap_core.decomposition.recombined import Recombined
from emap_core.decomposition.sets_of_sides import Sides
from emap_core.methods.base import Method, Pairs, Projected, Result
from emap_core.methods.method_settings import MethodSettings
from emap_core.methods.stored_arrays import (
    DECOMPOSITION,
    DECOMPOSITION_FIELDS,
    RECOMBINED,
    Arrays,
    Layout,
    arrays_of,
    arrays_of_sides,
    decomposition_of,
    decomposition_of_sides,
    layouts_of_sides,
    recombined_arrays,
)


class Exact(Method):
    """All pairs are scored, and only their sums are needed."""

    name = "exact"
    summary = "scores every text with every image"
    scores_all_pairs = True
    any_number_of_sides = True
    layouts = DECOMPOSITION | RECOMBINED
    why_no_grid = "This run kept only sums, not its grid."

    def n_pairs(self, settings: MethodSettings, pairs: Pairs) -> int:
        """Return how many recombinations there are."""
        return pairs.shape[0] * pairs.shape[1]

    def layouts_of(self, n_sides: int) -> Mapping[str, Layout]:
        """Return the arrays of the decomposition, and with two sides of the answers."""
        return self.layouts if n_sides == 2 else layouts_of_sides(n_sides)

    def arrays(self, result: Result) -> dict[str, NDArray[Any]]:
        """Return the arrays of the decomposition, and of the answers if they were read."""
        if len(result.decomposition.sides) > 2:
            return arrays_of_sides(result.decomposition)
        kept = arrays_of(result.decomposition, DECOMPOSITION_FIELDS)
        return kept | recombined_arrays(result.recombined)

    def result(self, arrays: Arrays, sides: Sides = TEXT_AND_IMAGE) -> Projected:
        """Return the decomposition, and the answers if they were read."""
        if len(sides) > 2:
            return Projected(decomposition_of_sides(arrays, sides))
        return Projected(
            decomposition_of(arrays, Decomposition, {}), Recombined.from_arrays(arrays)
        )


METHOD = Exact()
