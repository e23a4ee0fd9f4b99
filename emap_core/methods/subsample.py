"""The protocol of published papers: the exact method on random sub-samples of the examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from emap_core.decomposition import decompose
from emap_core.decomposition.projection import PARTS, TEXT_AND_IMAGE, Decomposition
from emap_core.decomposition.sets_of_sides import Sides
from emap_core.decomposition.subsets import (
    SUBSAMPLE_ROWS,
    SubsampledDecomposition,
    combine,
    draw_examples,
)
from emap_core.errors import SettingError
from emap_core.inference import Intervals
from emap_core.inference.intervals.subsamples import (
    Scores,
    spread,
    subsample_intervals,
    subsample_scores,
)
from emap_core.methods.arrays import (
    DECOMPOSITION,
    DECOMPOSITION_FIELDS,
    Arrays,
    Layout,
    arrays_of,
    decomposition_of,
)
from emap_core.methods.base import CellList, CellMethod, Pairs, Projected, Result, Rounds
from emap_core.methods.method_settings import MethodSettings
from emap_core.methods.statistics import KeptNumbers, ScoredRun, Spread, Statistics
from emap_core.options import option
from emap_core.types import Index

if TYPE_CHECKING:
    import pandas as pd

_FURTHER_FIELDS = {
    "drawn": "drawn",
    "block_scores": "subsample_scores",
    "block_sums_of_squares": "subsample_sums_of_squares",
    "centred_block_sums_of_squares": "centred_subsample_sums_of_squares",
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
    layouts = DECOMPOSITION | {
        "drawn": Layout("Rn", counts="N"),
        "block_scores": Layout(("R", len(SUBSAMPLE_ROWS), "n", "C"), finite=False),
        "block_sums_of_squares": Layout(("R", len(PARTS), "C")),
        "centred_block_sums_of_squares": Layout(("R", len(PARTS), "C")),
    }

    def check(self, settings: MethodSettings) -> None:
        """Refuse sub-samples of no size, and a size without sub-samples."""
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
        """Return how many pairs the sub-samples have in all."""
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
        """Ask for the grid of every sub-sample, and project each alone."""
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
        return Projected(combine(subsamples, pairs.row_index, pairs.column_index))

    def arrays(self, result: Result) -> dict[str, NDArray[Any]]:
        """Return the decomposition's arrays, and those of each sub-sample."""
        return arrays_of(result.decomposition, DECOMPOSITION_FIELDS | _FURTHER_FIELDS)

    def result(self, arrays: Arrays, sides: Sides = TEXT_AND_IMAGE) -> Projected:
        """Return what the sub-samples say of their examples."""
        return Projected(decomposition_of(arrays, SubsampledDecomposition, _FURTHER_FIELDS))

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
        """Return that sub-samples stand in place of resamples."""
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
    """The cells of one sub-sample: all its rows for one column before the next column."""

    def __init__(self, rows: Index, columns: Index) -> None:
        self.n_pairs = len(rows) * len(columns)
        self._rows = rows
        self._columns = columns

    def cells(self, start: int, stop: int) -> tuple[Index, Index]:
        """Return the rows and columns of some cells."""
        numbers = np.arange(start, stop)
        return self._rows[numbers % len(self._rows)], self._columns[numbers // len(self._rows)]

    def decomposition(self, values: NDArray[Any], pairs: Pairs, examples: Index) -> Decomposition:
        """Project the grid, of which all cells are given in their order."""
        grid = values.reshape(len(self._columns), len(self._rows), -1).swapaxes(0, 1)
        return decompose(
            grid,
            np.searchsorted(self._rows, pairs.row_index[examples]),
            np.searchsorted(self._columns, pairs.column_index[examples]),
        )


def _grids(pairs: Pairs) -> list[_Grid]:
    return [
        _Grid(np.unique(pairs.row_index[examples]), np.unique(pairs.column_index[examples]))
        for examples in pairs.subsamples
    ]
