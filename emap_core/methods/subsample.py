"""The protocol of published papers: the exact method on random sub-samples of the examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from emap_core.decomposition import decompose
from emap_core.decomposition.projection import TEXT_AND_IMAGE, Decomposition
from emap_core.decomposition.random_subsamples import (
    SubsampledDecomposition,
    combine,
    draw_examples,
)
from emap_core.decomposition.sets_of_sides import Sides
from emap_core.errors import SettingError
from emap_core.inference import Intervals
from emap_core.inference.intervals.subsamples import (
    Scores,
    projections_of_subsamples,
    spread,
    subsample_intervals,
    subsample_scores,
)
from emap_core.inference.table.rows import projections_of
from emap_core.methods.base import CellList, CellMethod, Pairs, Projected, Result, Rounds
from emap_core.methods.method_settings import MethodSettings
from emap_core.methods.statistics import KeptNumbers, ScoredRun, Spread, Statistics
from emap_core.methods.stored_arrays import (
    DECOMPOSITION,
    DECOMPOSITION_FIELDS,
    Arrays,
    Layout,
    arrays_of,
    arrays_of_sides,
    decomposition_of,
    decomposition_of_sides,
    fields_of,
    layouts_of_sides,
)
from emap_core.option_names import option
from emap_core.types import Index

if TYPE_CHECKING:
    import pandas as pd

_FURTHER_FIELDS = {
    "drawn": "drawn",
    "block_scores": "subsample_scores",
    "block_sums_of_squares": "subsample_sums_of_squares",
    "centred_block_sums_of_squares": "centred_subsample_sums_of_squares",
}


def _layouts_of_subsamples(n_sides: int) -> dict[str, Layout]:
    n_sets = 2**n_sides - 1
    # Two projections of order 1, one for each order between that and the model, one per side.
    n_rows = 2 + (n_sides - 2) + n_sides
    return {
        "drawn": Layout("Rn", counts="N"),
        "block_scores": Layout(("R", n_rows, "n", "C"), finite=False),
        "block_sums_of_squares": Layout(("R", n_sets, "C")),
        "centred_block_sums_of_squares": Layout(("R", n_sets, "C")),
    }


class Subsample(CellMethod):
    """All pairs of every sub-sample, one sub-sample after the other."""

    name = "subsample"
    summary = "averages over random sub-samples, to compare with published figures"
    draws_examples = True
    identity = frozenset({"subsample_size", "repeats", "seed"})
    record_entry = "subsample"
    manifest_needs = ("settings.subsample_size", "n_available")
    why_no_grid = "This run scored random sub-samples of the examples, not the whole grid."
    term = (
        "sub-samples",
        "The protocol of published papers for large data: EMAP on random sub-samples of the "
        "examples, averaged, with the standard deviation between them. It is not an estimate of "
        "the gap on all examples: small sub-samples make noisier projections, which look worse.",
    )
    any_number_of_sides = True
    layouts = DECOMPOSITION | _layouts_of_subsamples(2)

    def layouts_of(self, n_sides: int) -> Mapping[str, Layout]:
        """Return the arrays of the decomposition, and those of each sub-sample."""
        if n_sides == 2:
            return self.layouts
        return layouts_of_sides(n_sides) | _layouts_of_subsamples(n_sides)

    def check(self, settings: MethodSettings) -> None:
        """Refuse sub-samples without a size, and a size without sub-samples."""
        if (settings.method == self.name) != (settings.subsample_size is not None):
            raise SettingError(
                f"{option('subsample_size', of='run')}, how many examples a sub-sample has, and "
                f"{option('method', self.name, 'run')} belong together; set both or neither"
            )

    def draw(self, n_examples: int, settings: MethodSettings) -> Index:
        """Draw the examples of each sub-sample."""
        size = settings.subsample_size
        if size is None:
            return super().draw(n_examples, settings)
        return draw_examples(n_examples, size, settings.repeats, settings.seed)

    def n_pairs(self, settings: MethodSettings, pairs: Pairs) -> int:
        """Return the total number of pairs in the sub-samples."""
        return sum(grid.n_pairs for grid in _grids(pairs))

    def plan(self, settings: MethodSettings) -> dict[str, Any]:
        """Return nothing: the sub-samples were drawn with the data."""
        return {}

    def rounds(
        self,
        pairs: Pairs,
        n_classes: int,
        plan: Mapping[str, Any],
        tell: Callable[..., None],
    ) -> Rounds:
        """Ask for the grid of every sub-sample, and project each separately."""
        grids = _grids(pairs)
        lists = [
            CellList(number, grid.n_pairs, grid.cells, f" of sub-sample {number}")
            for number, grid in enumerate(grids)
        ]
        read = yield lists
        subsamples = [
            (examples, grid.decomposition(read(cells), pairs, examples))
            for examples, grid, cells in zip(pairs.subsamples, grids, lists, strict=True)
        ]
        parts = [d for _, d in subsamples]
        scores = projections_of_subsamples(parts, pairs.task, pairs.space)
        return Projected(combine(subsamples, pairs.index, scores))

    def arrays(self, result: Result) -> dict[str, NDArray[Any]]:
        """Return the decomposition's arrays, and those of each sub-sample."""
        found = result.decomposition
        if len(found.sides) > 2:
            return arrays_of_sides(found) | arrays_of(found, _FURTHER_FIELDS)
        return arrays_of(found, DECOMPOSITION_FIELDS | _FURTHER_FIELDS)

    def result(self, arrays: Arrays, sides: Sides = TEXT_AND_IMAGE) -> Projected:
        """Return what the sub-samples say about their examples."""
        whole = (
            decomposition_of(arrays, Decomposition, {})
            if len(sides) == 2
            else decomposition_of_sides(arrays, sides)
        )
        further = fields_of(arrays, _FURTHER_FIELDS)
        rows = projections_of(sides)[1:-1]
        return Projected(whole.as_kind(SubsampledDecomposition, rows=rows, **further))

    def statistics(self, run: ScoredRun, kept: KeptNumbers) -> SubsampleStatistics:
        """Return what the sub-samples say on average, and how much they differ."""
        return SubsampleStatistics(run, kept)


METHOD = Subsample()


class SubsampleStatistics(Statistics):
    """Averages over sub-samples, with intervals from their spread."""

    def points(self, names: Sequence[str]) -> pd.DataFrame:
        """Return each metric as its average over the sub-samples."""
        import pandas as pd

        scores = self._scores
        if scores is None:
            return super().points(names)
        return pd.DataFrame(
            {name: {row: v.mean() for row, v in scores[name].items()} for name in names}
        )

    def intervals(self) -> Intervals:
        """Return averages over the sub-samples with intervals; nothing is tested."""
        manifest = self._run.manifest
        return subsample_intervals(
            self._decomposition,
            self._scores or {},
            n_available=manifest["n_available"],
            centred=self._run.softmax,
            seed=manifest["settings"]["seed"],
        )

    def spread(self) -> Spread | None:
        """Return the standard deviation over sub-samples of each metric's rows and gaps."""
        if self._scores is None:
            return None
        return Spread(
            "sub-samples", self._run.manifest["settings"]["repeats"], spread(self._scores)
        )

    def resamples(self, found: Intervals) -> str:
        """Say that sub-samples replace resamples."""
        manifest = self._run.manifest
        settings = manifest["settings"]
        return (
            f"none; {settings['repeats']:,} random sub-samples of "
            f"{settings['subsample_size']:,} of {manifest['n_available']:,} examples"
        )

    def record(self) -> dict[str, Any]:
        """Return what the sub-samples are and how much they differ."""
        manifest, found = self._run.manifest, self.spread()
        settings = manifest["settings"]
        return {
            "size": settings["subsample_size"],
            "repeats": settings["repeats"],
            "seed": settings["seed"],
            "n_available": manifest["n_available"],
            "standard_deviation": {} if found is None else found.deviations,
        }

    @property
    def _decomposition(self) -> SubsampledDecomposition:
        return cast(SubsampledDecomposition, self._run.result.decomposition)

    @cached_property
    def _scores(self) -> Scores | None:
        run = self._run
        if run.labels is None:
            return None
        return subsample_scores(
            self._decomposition, run.labels, run.task, run.metrics, run.space, run.linear_probes
        )


class _Grid:
    """The cells of one sub-sample: all its rows for one column before the next column.

    Parameters
    ----------
    items : sequence of ndarray
        The items of each side in the sub-sample, in order.
    sizes : sequence of int
        Total number of items of each side.
    """

    def __init__(self, items: Sequence[Index], sizes: Sequence[int]) -> None:
        self.n_pairs = prod(map(len, items))
        self._items, self._sizes = items, sizes

    def cells(self, start: int, stop: int) -> tuple[Index, Index]:
        """Return the rows and columns of some cells."""
        rows, *others = self._items
        columns, row = np.divmod(np.arange(start, stop), len(rows))
        places = np.unravel_index(columns, [len(one) for one in others])
        numbers = tuple(one[place] for one, place in zip(others, places, strict=True))
        return rows[row], np.ravel_multi_index(numbers, self._sizes[1:])

    def decomposition(self, values: NDArray[Any], pairs: Pairs, examples: Index) -> Decomposition:
        """Project the grid, given all its cells in order."""
        n_rows, *others = map(len, self._items)
        grid = np.moveaxis(values.reshape(*others, n_rows, -1), -2, 0)
        index = (
            np.searchsorted(items, numbers[examples])
            for items, numbers in zip(self._items, pairs.index, strict=True)
        )
        return decompose(grid, index=dict(zip(pairs.sides, index, strict=True)))


def _grids(pairs: Pairs) -> list[_Grid]:
    return [
        _Grid([np.unique(numbers[examples]) for numbers in pairs.index], pairs.sizes)
        for examples in pairs.subsamples
    ]
