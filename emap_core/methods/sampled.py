"""The sampled method: a balanced part of the grid, and on request more until the gap is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from emap_core import inference
from emap_core.decomposition.design import Design, design
from emap_core.decomposition.design_of_sides import (
    DesignOfSides,
    design_of_sides,
    most_cells_per_item,
)
from emap_core.decomposition.incomplete import SampledDecomposition, SampledFit, fit
from emap_core.decomposition.incomplete_sides import SampledSides, fit_sides
from emap_core.decomposition.projection import TEXT_AND_IMAGE
from emap_core.decomposition.recombined import Recombined
from emap_core.decomposition.sets_of_sides import Sides
from emap_core.errors import SettingError
from emap_core.inference import Gap, Intervals, PairError
from emap_core.inference.intervals.extrapolation import next_cells_per_item, sampled_gap
from emap_core.inference.intervals.pair_sampling import (
    PairSampling,
    from_json,
    pair_sampling,
    to_json,
    with_pair_sampling,
)
from emap_core.inference.predictions.answers import recombine_sample
from emap_core.methods import exact
from emap_core.methods.base import CellList, CellMethod, Method, Pairs, Result, Rounds
from emap_core.methods.method_settings import MethodSettings
from emap_core.methods.statistics import KeptNumbers, ScoredRun, Statistics
from emap_core.methods.stored_arrays import (
    DECOMPOSITION,
    DECOMPOSITION_FIELDS,
    RECOMBINED,
    Arrays,
    Layout,
    arrays_of,
    arrays_of_single_sides,
    decomposition_of,
    layouts_of_single_sides,
    recombined_arrays,
    single_sides_of,
    size_of_side,
)
from emap_core.modalities.side_names import cells_of
from emap_core.option_names import option, option_name
from emap_core.types import Index

if TYPE_CHECKING:
    import pandas as pd

FIRST_IMAGES_PER_TEXT = 16
"""Where a run that samples until it knows enough starts."""

_FIT_FIELDS = {"fraction": "fraction", "explained": "explained"}
_NOISE = ("text_noise", "image_noise")
_FURTHER_FIELDS = {
    "noise_variance": "noise_variance",
    "centred_noise_variance": "centred_noise_variance",
}


class Sampled(CellMethod):
    """Every row meets a few columns, and the projection is fitted to these pairs."""

    name = "sampled"
    summary = "estimates from a part of the grid, for data too large for that"
    any_number_of_sides = True
    identity = frozenset({"images_per_text", "until", "seed"})
    why_no_grid = "This run scored only a part of the grid."
    term = (
        "sampled",
        "A gap estimated from a part of the grid: interval and p add the error from the choice of "
        "that part to the error from the choice of examples. It is not the gap on fewer examples; "
        "more images per text, or combinations per item with more than two sides, bring it closer "
        "to that of the whole grid.",
    )
    layouts = (
        DECOMPOSITION
        | RECOMBINED
        | {
            "text_noise": Layout("BTC"),
            "image_noise": Layout("BVC"),
            "fraction": Layout(""),
            "explained": Layout("C", finite=False),
            "noise_variance": Layout((2, "C")),
            "centred_noise_variance": Layout((2, "C")),
        }
    )

    def layouts_of(self, n_sides: int) -> Mapping[str, Layout]:
        """Return the arrays of the fit."""
        return self.layouts if n_sides == 2 else _layouts_of_sides(n_sides)

    def check(self, settings: MethodSettings) -> None:
        """Refuse a sample without a size."""
        chosen = settings.method == self.name
        if chosen and settings.images_per_text is None and settings.until is None:
            raise SettingError(
                f"{option('method', self.name, 'run')} needs "
                f"{option('images_per_text', of='run')}, how many images each text meets, or "
                f"{option('until', of='run')}, how well the gap is to be known"
            )

    def on_grid(self, settings: MethodSettings, sizes: Sequence[int]) -> Method:
        """Return the exact method for a sample that is the whole grid."""
        k = settings.images_per_text
        most = sizes[1] if len(sizes) == 2 else most_cells_per_item(sizes)
        return exact.METHOD if k is not None and k >= most else self

    def n_pairs(self, settings: MethodSettings, pairs: Pairs) -> int:
        """Return the largest possible number of pairs, or of combinations, in the first design."""
        k = settings.images_per_text or FIRST_IMAGES_PER_TEXT
        n_items = pairs.sizes[0] if len(pairs.sizes) == 2 else max(pairs.sizes)
        # The examples' cells come on top of the drawn ones.
        return min(n_items * k + len(pairs.index[0]), prod(pairs.sizes))

    def plan(self, settings: MethodSettings) -> dict[str, Any]:
        """Return the first design and when to stop."""
        return {
            "images_per_text": settings.images_per_text or FIRST_IMAGES_PER_TEXT,
            "seed": settings.seed,
            "until": settings.until,
        }

    def rounds(
        self,
        pairs: Pairs,
        n_classes: int,
        plan: Mapping[str, Any],
        tell: Callable[..., None],
    ) -> Rounds:
        """Choose a design, then larger ones until the gap is known, and fit the projection."""
        seed, until = plan["seed"], plan["until"]
        cells_per_item: int | None = plan["images_per_text"]
        values = np.empty((0, n_classes))
        before = np.empty(0, np.int64)
        encodings = None
        while cells_per_item is not None:
            chosen = _design(pairs, cells_per_item, seed)
            keys = chosen.numbers
            new = ~np.isin(keys, before)
            wanted = _new_cells(pairs, chosen, np.flatnonzero(new))
            read = yield [wanted.cells]
            known, values = values, np.empty((len(keys), n_classes))
            values[~new] = known
            values[wanted.places] = read(wanted.cells)
            if isinstance(chosen, DesignOfSides):
                found = fit_sides(chosen, pairs.sides, values, seed=seed)
            else:
                if len(before) == 0:
                    encodings = pairs.encodings()
                found = fit(chosen, values, encodings, seed=seed)
            cells_per_item = _more(pairs, chosen, found, until, tell)
            before = keys
        if isinstance(chosen, DesignOfSides) or not pairs.reads_answers:
            return found
        recombined = recombine_sample(
            values,
            chosen.rows,
            chosen.columns,
            chosen.weights,
            pairs.shape,
            pairs.task,
            pairs.space,
        )
        return replace(found, recombined=recombined)

    def arrays(self, result: Result) -> dict[str, NDArray[Any]]:
        """Return the decomposition's arrays, and draws of its error."""
        fitted = cast(SampledFit, result)
        kept = arrays_of(fitted, _FIT_FIELDS)
        if isinstance(fitted.decomposition, SampledSides):
            return kept | _arrays_of_sides(fitted)
        kept |= dict(zip(_NOISE, fitted.noise, strict=True))
        kept |= arrays_of(fitted.decomposition, DECOMPOSITION_FIELDS | _FURTHER_FIELDS)
        return kept | recombined_arrays(fitted.recombined)

    def result(self, arrays: Arrays, sides: Sides = TEXT_AND_IMAGE) -> SampledFit:
        """Return the fit to a part of the grid."""
        two = len(sides) == 2
        names = _NOISE if two else [f"side_{side}_noise" for side in range(len(sides))]
        return SampledFit(
            decomposition_of(arrays, SampledDecomposition, _FURTHER_FIELDS)
            if two
            else _sampled_sides(arrays, sides),
            tuple(arrays[name] for name in names),
            float(arrays["fraction"]),
            arrays["explained"],
            recombined=Recombined.from_arrays(arrays),
        )

    def statistics(self, run: ScoredRun, kept: KeptNumbers) -> SampledStatistics:
        """Return what the scores say, including the error from the choice of pairs."""
        return SampledStatistics(run, kept)

    def told(self, event: Mapping[str, Any]) -> str:
        """Return how well the gap is known so far, in words."""
        return (
            f"{event['images_per_text']} {event['met']}: gap {event['gap']:.4f} "
            f"± {event['reach']:.4f} from the choice of {event['cells']}, including a bias of "
            f"about {event['bias']:.4f} (standard error {event['bias_standard_error']:.4f}); "
            f"wanted {event['until']}"
        )


METHOD = Sampled()


class SampledStatistics(Statistics):
    """Metrics of the projection corrected for noise, and intervals with the error of the pairs."""

    def points(self, names: Sequence[str]) -> pd.DataFrame:
        """Return the table, with metrics of the projection as on the whole grid."""
        points = super().points(names)
        sampling = self._pair_sampling()
        for name in names if sampling else ():
            for row, found in sampling[name].items():
                points.loc[row, name] = found.projected
        return points

    def intervals(self) -> Intervals:
        """Return intervals to which the error from the choice of pairs is added."""
        manifest = self._run.manifest
        return with_pair_sampling(
            super().intervals(),
            self._pair_sampling(),
            manifest["n_pairs_evaluated"],
            self._sizes,
        )

    def pair_error(self, gap: Gap) -> PairError:
        """Return the part of a gap's interval that comes from the choice of pairs."""
        manifest = self._run.manifest
        return PairError(
            self._pair_sampling()[gap.metric][gap.projection].reach,
            manifest["n_pairs_evaluated"],
            prod(self._sizes),
            cells_of(len(self._sizes)),
        )

    @property
    def _sizes(self) -> tuple[int, ...]:
        """Unique items of each side."""
        return tuple(map(len, self._run.result.decomposition.shares))

    def _pair_sampling(self) -> dict[str, dict[str, PairSampling]]:
        """Return the effect of the choice of pairs on each metric; empty without labels."""
        run = self._run
        if run.labels is None:
            return {}
        kept = from_json(self._kept.read("pairs") or {})
        missing = [name for name in run.metrics if name not in kept]
        if missing:
            fitted = cast(SampledFit, run.result)
            kept |= pair_sampling(fitted, run.labels, run.task, run.space, missing)
            self._kept.write("pairs", to_json(kept))
        return kept


def _layouts_of_sides(n_sides: int) -> dict[str, Layout]:
    """Return the arrays of the fit for more than two sides, numbered from 0."""
    return layouts_of_single_sides(n_sides) | {
        "side_squares": Layout((n_sides, "C")),
        "centred_side_squares": Layout((n_sides, "C")),
        "all_variance": Layout("C"),
        "fraction": Layout(""),
        "explained": Layout("C", finite=False),
        **{f"side_{k}_noise": Layout(("B", size_of_side(k), "C")) for k in range(n_sides)},
    }


def _arrays_of_sides(fitted: SampledFit) -> dict[str, NDArray[Any]]:
    found = cast(SampledSides, fitted.decomposition)
    noise = {f"side_{k}_noise": draws for k, draws in enumerate(fitted.noise)}
    return (
        noise
        | arrays_of_single_sides(found)
        | {
            "side_squares": found.side_squares,
            "centred_side_squares": found.centred_side_squares,
            "all_variance": found.all_variance,
        }
    )


def _sampled_sides(arrays: Arrays, sides: Sides) -> SampledSides:
    return SampledSides.of_known(
        sides,
        side_squares=arrays["side_squares"],
        centred_side_squares=arrays["centred_side_squares"],
        all_variance=arrays["all_variance"],
        **single_sides_of(arrays, len(sides)),
    )


class _NewCells:
    """Cells of a design that smaller ones did not have, and their places among all cells."""

    def __init__(self, chosen: Design | DesignOfSides, places: Index) -> None:
        self.places = places
        self.cells = CellList(chosen.cells_per_item, len(places), self._cells)
        self._rows, self._columns = chosen.rows[places], chosen.columns[places]

    def _cells(self, start: int, stop: int) -> tuple[Index, Index]:
        rows, columns = self._rows[start:stop], self._columns[start:stop]
        return rows.astype(np.intp), columns.astype(np.intp)


def _design(pairs: Pairs, cells_per_item: int, seed: int) -> Design | DesignOfSides:
    """Return the cells to evaluate; with two sides, spread as evenly as possible."""
    if len(pairs.sizes) == 2:
        rows, columns = pairs.index
        return design(*pairs.shape, rows, columns, cells_per_item, seed)
    return design_of_sides(pairs.index, pairs.sizes, cells_per_item, seed)


def _new_cells(pairs: Pairs, chosen: Design | DesignOfSides, new: Index) -> _NewCells:
    """Return the new cells by chunk of items of the second side, then by length of row.

    So each chunk is decoded once, and rows of similar length come together.
    """
    chunk = chosen.columns[new] // (prod(pairs.sizes[2:]) * pairs.items_per_chunk)
    return _NewCells(chosen, new[np.lexsort((pairs.row_places[chosen.rows[new]], chunk))])


def _more(
    pairs: Pairs,
    chosen: Design | DesignOfSides,
    found: SampledFit,
    until: float | None,
    tell: Callable[..., None],
) -> int | None:
    """Return in how many cells each item should be next, or None if the gap is known."""
    if until is None or chosen.fraction >= 1:
        return None
    if pairs.labels is None:
        raise SettingError(
            f"{option_name('until')} waits for the interval of a gap, but the data has no labels"
        )
    labels, name = pairs.labels, pairs.metrics[0]

    def score(scores: NDArray[np.float64]) -> float:
        return inference.evaluate(name, labels, scores, pairs.task, pairs.space)

    gap = sampled_gap(found, score)
    higher_is_better = inference.metric(name).higher_is_better
    tell(
        images_per_text=chosen.cells_per_item,
        met="images per text" if len(pairs.sizes) == 2 else "combinations per item",
        cells=cells_of(len(pairs.sizes)),
        gap=gap.difference if higher_is_better else -gap.difference,
        reach=(gap.high - gap.low) / 2,
        bias=gap.bias if higher_is_better else -gap.bias,
        bias_standard_error=gap.bias_standard_error,
        until=until,
    )
    return next_cells_per_item(chosen, gap, until)
