"""The sampled method: a balanced part of the pairs, and more until the gap is known if wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from emap_core import inference
from emap_core.decomposition.design import Design, design
from emap_core.decomposition.incomplete import SampledDecomposition, SampledFit, fit
from emap_core.decomposition.projection import TEXT_AND_IMAGE
from emap_core.decomposition.recombined import Recombined
from emap_core.decomposition.sets_of_sides import Sides
from emap_core.errors import SettingError
from emap_core.inference import Gap, Intervals, PairError
from emap_core.inference.intervals.extrapolation import next_columns_per_row, sampled_gap
from emap_core.inference.intervals.pair_sampling import (
    PairSampling,
    from_json,
    pair_sampling,
    to_json,
    with_pair_sampling,
)
from emap_core.inference.predictions.answers import recombine_sample
from emap_core.methods import exact
from emap_core.methods.arrays import (
    DECOMPOSITION,
    DECOMPOSITION_FIELDS,
    RECOMBINED,
    Arrays,
    Layout,
    arrays_of,
    decomposition_of,
    fields_of,
    recombined_arrays,
)
from emap_core.methods.base import CellList, CellMethod, Method, Pairs, Result, Rounds
from emap_core.methods.method_settings import MethodSettings
from emap_core.methods.statistics import KeptNumbers, ScoredRun, Statistics
from emap_core.options import option, option_name
from emap_core.types import Index

if TYPE_CHECKING:
    import pandas as pd

FIRST_IMAGES_PER_TEXT = 16
"""Where a run that samples until it knows enough begins."""

_FIT_FIELDS = {
    "text_noise": "row_noise",
    "image_noise": "column_noise",
    "fraction": "fraction",
    "explained": "explained",
}
_FURTHER_FIELDS = {
    "noise_variance": "noise_variance",
    "centred_noise_variance": "centred_noise_variance",
}


class Sampled(CellMethod):
    """Every row meets a few columns, and the projection is fitted to these pairs."""

    name = "sampled"
    summary = "estimates from a part of the pairs, for data too large for that"
    identity = frozenset({"images_per_text", "until", "seed"})
    why_no_grid = "This run scored a part of the pairs, not the whole grid."
    term = (
        "sampled",
        "A gap estimated from a part of the pairs: interval and p add the error from the choice of "
        "pairs to that from the choice of examples. It is not the gap of fewer examples; more "
        "images per text bring it closer to that of the whole grid.",
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

    def check(self, settings: MethodSettings) -> None:
        """Refuse a sample of no size."""
        chosen = settings.method == self.name
        if chosen and settings.images_per_text is None and settings.until is None:
            raise SettingError(
                f"{option('method', self.name, 'run')} needs "
                f"{option('images_per_text', of='run')}, how many images each text meets, or "
                f"{option('until', of='run')}, how well the gap is to be known"
            )

    def on_grid(self, settings: MethodSettings, shape: tuple[int, int]) -> Method:
        """Return the exact method for a sample in which every row meets every column."""
        k = settings.images_per_text
        return exact.METHOD if k is not None and k >= shape[1] else self

    def n_pairs(self, settings: MethodSettings, pairs: Pairs) -> int:
        """Return how many pairs the first design has at most."""
        n_rows, n_columns = pairs.shape
        k = settings.images_per_text or FIRST_IMAGES_PER_TEXT
        # Cells of the examples come on top of the columns that each row meets.
        return min(n_rows * k + len(pairs.row_index), n_rows * n_columns)

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
        """Choose a design and larger ones until the gap is known, and fit the projection."""
        seed, until = plan["seed"], plan["until"]
        images_per_text: int | None = plan["images_per_text"]
        values = np.empty((0, n_classes))
        before = np.empty(0, np.int64)
        encodings = None
        while images_per_text is not None:
            chosen = design(
                *pairs.shape, pairs.row_index, pairs.column_index, images_per_text, seed
            )
            keys = chosen.rows.astype(np.int64) * chosen.shape[1] + chosen.columns
            new = ~np.isin(keys, before)
            wanted = _new_cells(pairs, chosen, np.flatnonzero(new))
            read = yield [wanted.cells]
            known, values = values, np.empty((len(keys), n_classes))
            values[~new] = known
            values[wanted.places] = read(wanted.cells)
            if len(before) == 0:
                encodings = pairs.encodings()
            found = fit(chosen, values, encodings, seed=seed)
            images_per_text = _more(pairs, chosen, found, until, tell)
            before = keys
        if not pairs.reads_answers:
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
        kept = arrays_of(result, _FIT_FIELDS) | arrays_of(
            result.decomposition, DECOMPOSITION_FIELDS | _FURTHER_FIELDS
        )
        return kept | recombined_arrays(result.recombined)

    def result(self, arrays: Arrays, sides: Sides = TEXT_AND_IMAGE) -> SampledFit:
        """Return the fit to a part of the grid."""
        fitted = fields_of(arrays, _FIT_FIELDS)
        return SampledFit(
            decomposition_of(arrays, SampledDecomposition, _FURTHER_FIELDS),
            **{**fitted, "fraction": float(fitted["fraction"])},
            recombined=Recombined.from_arrays(arrays),
        )

    def statistics(self, run: ScoredRun, kept: KeptNumbers) -> SampledStatistics:
        """Return what the scores say, the error from the choice of pairs included."""
        return SampledStatistics(run, kept)

    def told(self, event: Mapping[str, Any]) -> str:
        """Return how well the gap is known so far, in words."""
        return (
            f"{event['images_per_text']} images per text: gap {event['gap']:.4f} "
            f"± {event['reach']:.4f} from the choice of pairs, of which bias "
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
            max(manifest["n_texts"], manifest["n_images"]),
        )

    def pair_error(self, gap: Gap) -> PairError:
        """Return the part of a gap's interval that comes from the choice of pairs."""
        manifest = self._run.manifest
        return PairError(
            self._pair_sampling()[gap.metric][gap.projection].reach,
            manifest["n_pairs_evaluated"],
            manifest["n_texts"] * manifest["n_images"],
        )

    def _pair_sampling(self) -> dict[str, dict[str, PairSampling]]:
        """Return what the choice of pairs does to each metric; nothing without labels."""
        run = self._run
        if run.labels is None:
            return {}
        kept = from_json(self._kept.read("pairs") or {})
        missing = [name for name in run.metrics if name not in kept]
        for name in missing:
            kept[name] = {
                row: pair_sampling(
                    cast(SampledFit, run.result), run.labels, run.task, run.space, name, row
                )
                for row in ("emap", "emap_leave_one_out")
            }
        if missing:
            self._kept.write("pairs", to_json(kept))
        return kept


class _NewCells:
    """Cells of a design that no smaller one had, and where they stand among all of them."""

    def __init__(self, chosen: Design, places: Index) -> None:
        self.places = places
        self.cells = CellList(chosen.columns_per_row, len(places), self._cells)
        self._chosen = chosen

    def _cells(self, start: int, stop: int) -> tuple[Index, Index]:
        some = self.places[start:stop]
        columns = np.asarray(self._chosen.columns[some], dtype=np.intp)
        return np.asarray(self._chosen.rows[some], dtype=np.intp), columns


def _new_cells(pairs: Pairs, chosen: Design, new: Index) -> _NewCells:
    """Return the new cells by chunk of columns, then by length of row.

    Each chunk of columns is thus decoded once, and rows of like length meet.
    """
    chunk = chosen.columns[new] // pairs.columns_per_chunk
    return _NewCells(chosen, new[np.lexsort((pairs.row_places[chosen.rows[new]], chunk))])


def _more(
    pairs: Pairs,
    chosen: Design,
    found: SampledFit,
    until: float | None,
    tell: Callable[..., None],
) -> int | None:
    """Return how many columns each row should meet next, None where the gap is known."""
    if until is None or chosen.fraction >= 1:
        return None
    if pairs.labels is None:
        raise SettingError(
            f"{option_name('until')} waits for the interval of a gap, and the data has no labels"
        )
    labels, name = pairs.labels, pairs.metrics[0]

    def score(scores: NDArray[np.float64]) -> float:
        return inference.evaluate(name, labels, scores, pairs.task, pairs.space)

    gap = sampled_gap(found, score)
    higher_is_better = inference.metric(name).higher_is_better
    tell(
        images_per_text=chosen.columns_per_row,
        gap=gap.difference if higher_is_better else -gap.difference,
        reach=(gap.high - gap.low) / 2,
        bias=gap.bias if higher_is_better else -gap.bias,
        bias_standard_error=gap.bias_standard_error,
        until=until,
    )
    return next_columns_per_row(chosen, gap, until)
