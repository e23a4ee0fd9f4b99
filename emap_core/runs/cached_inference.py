"""What a run's scores say: computed on first use, then kept in the folder."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emap_core import inference
from emap_core.errors import RunError, SettingError
from emap_core.inference import Gap, Interval, Verdict
from emap_core.inference.gap import RECORD_VERSION
from emap_core.inference.other_measures.group_scores import GroupScores, group_scores
from emap_core.inference.other_measures.measures import Measures, measures, options_differ
from emap_core.inference.other_measures.one_sided import one_sided_answers
from emap_core.inference.other_measures.partial_information import (
    PartialInformation,
    Target,
    partial_information,
)
from emap_core.inference.resamples.population import Population, population_of
from emap_core.inference.robustness.calibration import calibrated_gaps
from emap_core.inference.robustness.unlikely_pairs import UnlikelyPairs, unlikely_pairs
from emap_core.installation import program
from emap_core.methods.statistics import Spread, Statistics
from emap_core.modalities import why_not_two
from emap_core.modalities.side_names import worded
from emap_core.runs import whole_groups
from emap_core.runs.checksummed_results import read_sealed, write_sealed
from emap_core.runs.reader import RunReader
from emap_core.types import Array

if TYPE_CHECKING:
    import pandas as pd

    from emap_core.inference import Intervals


class CachedInference(RunReader):
    """A run with its table, intervals, tests and verdicts, each computed once.

    They depend on the run and on how it is resampled, and are sealed in its folder. If a file is
    damaged or from another version, it is computed again.
    """

    _intervals: Intervals | None = None

    @cached_property
    def population(self) -> Population:
        """What every interval of this run draws at random, and whom the intervals speak of."""
        return population_of(self.decomposition, self.manifest["resampling"]["cluster"])

    def scores(self, projection: str) -> Array:
        """Return the predictions of one row of the table, shape (N, C)."""
        if projection not in self._projections:
            known = ", ".join(self._projections)
            raise RunError(f"there is no projection {projection!r}; choose one of {known}")
        return self._projections[projection]

    @cached_property
    def _projections(self) -> dict[str, Array]:
        return inference.projections(self.decomposition, self.labels, self.task, self.space)

    def table(self, intervals: bool = False) -> pd.DataFrame:
        """Return the scores: rows full, emap, …, constant, `LINEAR_PROBES`; one column per metric.

        With `intervals` two more columns per metric, ``…_low`` and ``…_high``, computed on first
        use.
        """
        import pandas as pd

        columns: dict[str, list[float]] = {}
        for name, points in self.points.items():
            columns[name] = list(points.values())
            if intervals:
                limits = self.intervals().rows[name]
                columns[f"{name}_low"] = [limits[row].low for row in points]
                columns[f"{name}_high"] = [limits[row].high for row in points]
        index = pd.Index(self.rows, name="projection")
        return pd.DataFrame(columns, index=index, dtype=float)

    @property
    def rows(self) -> list[str]:
        """The rows of the table, in its order."""
        return [*inference.projections_of(self.decomposition.sides), *self.linear_probes]

    @property
    def points(self) -> dict[str, dict[str, float]]:
        """The scores by metric and row, in the order of the table."""
        kept = self._kept("points") or {}
        missing = [name for name in self.metrics if name not in kept]
        if missing:
            points = self.statistics.points(missing)
            kept |= {name: _without_nan(points[name].to_dict()) for name in missing}
            self._keep("points", kept)

        def score(name: str, row: str) -> float:
            value = kept[name][row]
            return np.nan if value is None else float(value)

        return {name: {row: score(name, row) for row in self.rows} for name in self.metrics}

    def gap(self, metric: str, projection: str = "emap_leave_one_out") -> Gap:
        """Return what a metric loses without interactions, with an interval and a test.

        Parameters
        ----------
        metric : str
            One of `metrics`.
        projection : {"emap_leave_one_out", "emap"}

        Raises
        ------
        RunError
            If the run has no labels, or was not asked for this metric.
        SettingError
            If there is no such metric.
        """
        gaps = self.intervals().gaps
        metric = inference.metric(metric).name
        if metric not in gaps:
            raise RunError(
                f"run {self.id!r} has no metric {metric!r}; "
                + (f"it has {', '.join(gaps)}" if gaps else "its data has no labels")
            )
        if projection not in gaps[metric]:
            raise RunError(
                f"projection is {projection!r}; expected one of {', '.join(gaps[metric])}"
            )
        return gaps[metric][projection]

    @property
    def adjusted_p_values(self) -> dict[str, float]:
        """P-value of each metric's leave-one-out gap, after Holm (1979) for multiple tests."""
        raw = [self.gap(name).p_value for name in self.metrics]
        return dict(zip(self.metrics, inference.holm(raw), strict=True))

    def intervals(self) -> Intervals:
        """Return intervals and tests of everything in the table, computed on first use."""
        if self._intervals is None:
            with self._folder.inference_lock():
                self._intervals = self._kept_intervals() or self._new_intervals()
        return self._intervals

    @property
    def has_intervals(self) -> bool:
        """Whether the intervals already exist, so that nobody has to wait for them."""
        if self._intervals is None:
            self._intervals = self._kept_intervals()
        return self._intervals is not None

    @property
    def known_gap(self) -> Gap | None:
        """The leave-one-out gap of the first metric, or None if it would take time to compute."""
        found = self._intervals or self._kept_intervals()
        if found is None or not self.metrics:
            return None
        gap = found.gaps.get(self.metrics[0], {}).get("emap_leave_one_out")
        return None if gap is None or np.isnan(gap.difference) else gap

    def _kept_intervals(self) -> Intervals | None:
        kept = self._kept_of_resampling("intervals")
        return None if kept is None else inference.Intervals.from_json(kept)

    def _new_intervals(self) -> Intervals:
        found = self.statistics.intervals()
        self._keep("intervals", {**self._resampling, "intervals": found.to_json()})
        return found

    @cached_property
    def statistics(self) -> Statistics:
        """What the scores say according to the method; nothing is cached here."""
        return self.method.statistics(self, _KeptNumbers(self))

    @property
    def spread(self) -> Spread | None:
        """How much the method's repeats differ; None if it has none."""
        return self.statistics.spread()

    @cached_property
    def calibrated_gaps(self) -> dict[str, dict[str, Gap]]:
        """Gaps of metrics that read probabilities, both sides on their best scale.

        Each such metric has a `Gap` for ``"emap"`` and ``"emap_leave_one_out"``, computed on first
        use. Only exact runs have them: other methods estimate scores, not predictions.
        """
        if self.labels is None or not self.method.scores_all_pairs:
            return {}
        # With more than two sides, there are also gaps to projections of other orders.
        gaps = {
            name: {row: of[row] for row in ("emap", "emap_leave_one_out")}
            for name, of in self.intervals().gaps.items()
        }
        with self._folder.inference_lock():
            kept = self._kept_of_resampling("calibrated")
            if kept is not None:
                return {
                    name: {row: Gap.from_json(gap) for row, gap in of.items()}
                    for name, of in kept.items()
                }
            found = calibrated_gaps(
                self.decomposition,
                self.labels,
                self.task,
                gaps,
                self.population,
                space=self.space,
            )
            content = {
                name: {row: gap.to_json() for row, gap in of.items()} for name, of in found.items()
            }
            self._keep("calibrated", {**self._resampling, "calibrated": content})
            return found

    def unlikely_pairs(self, density: ArrayLike | None = None) -> UnlikelyPairs | None:
        """Return gaps to projections in which unlikely pairs count less.

        Parameters
        ----------
        density : array of shape (U_1, U_2), optional
            How much likelier each pair is among the examples than among recombinations, with rows
            and columns in the run's order; by default the run's `density`.

        Raises
        ------
        RunError
            If the grid was not kept, or the data has no labels.
        DatasetError
            If `density` is not such an array.
        """
        if density is not None:
            return self._new_unlikely_pairs(density, None)
        if self.density is None:
            return None
        self.intervals()
        with self._folder.inference_lock():
            kept = self._kept_of_resampling("unlikely_pairs")
            if kept is not None:
                return UnlikelyPairs.from_json(kept)
            found = self._new_unlikely_pairs(self.density, float(self._stored_density["auc"]))
            self._keep("unlikely_pairs", {**self._resampling, "unlikely_pairs": found.to_json()})
            return found

    def _new_unlikely_pairs(self, density: ArrayLike, auc: float | None) -> UnlikelyPairs:
        if self.grid is None:
            raise RunError(f"the grid of run {self.id!r} was not kept; compute it with keep='grid'")
        if self.labels is None:
            raise RunError(f"run {self.id!r} has no labels, so it has no gaps to compare")
        return unlikely_pairs(
            self.grid,
            self.decomposition,
            density,
            self.labels,
            self.task,
            {name: self.gap(name) for name in self.metrics},
            self.population,
            space=self.space,
            auc=auc,
        )

    @property
    def why_no_measures(self) -> str | None:
        """A sentence on why other papers' measures do not apply to this run; None if they do."""
        if self.shared_by_all is not None:
            return f"All examples share one {self.shared_by_all}, so nothing can be recombined."
        if (why := why_not_two(self.sides, "Each of these measures")) is not None:
            return f"{why}."
        if not self.chooses_one:
            return "These measures are for models that choose one of several classes."
        if self.method.draws_examples:
            return "Sub-samples are projected one by one; compute the run with the exact method."
        return None

    def measures(self) -> Measures:
        """Return other papers' measures with intervals, computed on first use.

        Shuffled accuracy and perceptual score, InterSHAP, SHAPE, MMoE types, and bits; see
        `emap_core.inference.other_measures.measures`.

        Raises
        ------
        RunError
            If they do not apply; `why_no_measures` says so beforehand.
        """
        if self.why_no_measures is not None:
            raise RunError(f"run {self.id!r} has no measures: {self.why_no_measures}")
        with self._folder.inference_lock():
            # Earlier versions kept other measures, from fixed one-sided answers, under
            # ``measures``.
            kept = self._kept_of_resampling("other_measures")
            if kept is not None:
                a_part = not self.method.scores_all_pairs
                return replace(Measures.from_json(kept), a_part=a_part)
            found = self._new_measures()
            self._keep("other_measures", {**self._resampling, "other_measures": found.to_json()})
            return found

    def _new_measures(self) -> Measures:
        grid, resampling = self.grid, self.manifest["resampling"]
        return measures(
            self.decomposition,
            self.labels,
            self.task,
            self.space,
            self.recombined,
            self.population,
            why_not=f"an earlier version kept no answers of recombinations; {self.again}",
            strips=None if grid is None else grid.strips,
            options_differ=options_differ(self.classes, self.texts),
            a_part=not self.method.scores_all_pairs,
            n_resamples=resampling["n_resamples"],
            seed=resampling["seed"],
        )

    def partial_information(self, target: Target = "label") -> PartialInformation:
        """Return what text and image tell alike, alone and only together, computed on first use.

        Parameters
        ----------
        target : {"label", "prediction"}
            What they tell about: the true label, or the model's own answer.

        Raises
        ------
        RunError
            If one-sided answers are not defined; `why_no_measures` says so beforehand.
        SettingError
            If there are too few examples or no labels.
        MissingExtraError
            If the package it needs is not installed.
        """
        if self.why_no_measures is not None:
            raise RunError(f"run {self.id!r} has no one-sided answers: {self.why_no_measures}")
        if target not in get_args(Target):
            raise SettingError(
                f"target is {target!r}; expected one of {', '.join(get_args(Target))}"
            )
        labels = self.labels
        if target == "label" and (labels is None or labels.ndim != 1):
            raise SettingError(
                f"run {self.id!r} has no single true label for each example; ask about the "
                "prediction"
            )
        # Earlier versions kept other values, from fixed one-sided answers, under ``information-…``.
        entry = f"partial-information-{target}"
        with self._folder.inference_lock():
            kept = self._kept_of_resampling(entry)
            if kept is not None:
                return PartialInformation.from_json(kept)
            grid = self.grid
            text, image, full = (
                np.asarray(inference.predict(self.scores(row), self.task, self.space))
                for row in ("text_only", "image_only", "full")
            )
            found = partial_information(
                text,
                image,
                full if target == "prediction" else cast(NDArray[np.intp], labels),
                self.classes if len(self.classes) > 1 else ["no", "yes"],
                self.population,
                target=target,
                anew=None
                if grid is None
                else lambda weights: one_sided_answers(
                    grid.strips, self.decomposition, self.task, self.space, weights
                ),
                seed=self.manifest["resampling"]["seed"],
            )
            self._keep(entry, {**self._resampling, entry: found.to_json()})
            return found

    @property
    def why_no_groups(self) -> str | None:
        """A sentence on why no group of examples can be right as a whole; None if some can."""
        return whole_groups.why_no_groups(self)

    @cached_property
    def groupings(self) -> list[str]:
        """What examples can be grouped by: columns of the data, their image or their text."""
        return whole_groups.groupings(self)

    def group_scores(self, by: str | None = None) -> GroupScores:
        """Return how many groups of examples are right as a whole, computed on first use.

        Parameters
        ----------
        by : str, optional
            A column of the data that says which examples belong together, or ``image`` or ``text``
            to group examples that share one; the first of `groupings` by default.

        Raises
        ------
        RunError
            If no group can be right as a whole; `why_no_groups` says so beforehand.
        SettingError
            If there are no such groups.
        """
        if self.why_no_groups is not None:
            raise RunError(f"run {self.id!r} has no groups: {self.why_no_groups}")
        if by is None and not self.groupings:
            raise SettingError(
                f"run {self.id!r} has no column of groups; name one that says which examples "
                "belong together"
            )
        chosen = self.groupings[0] if by is None else by
        names = whole_groups.names_of_groups(self, chosen)
        # Earlier versions kept other values, guessing among all classes, under ``groups-…``.
        entry = f"whole-groups-{hashlib.sha256(chosen.encode()).hexdigest()[:12]}"
        with self._folder.inference_lock():
            kept = self._kept_of_resampling(entry)
            if kept is not None:
                return GroupScores.from_json(kept)
            resampling = self.manifest["resampling"]
            found = group_scores(
                self.decomposition,
                cast(Array, self.labels),
                names,
                self.task,
                self.space,
                by=chosen,
                decides=self.decides,
                grid=self.grid,
                n_resamples=resampling["n_resamples"],
                seed=resampling["seed"],
            )
            self._keep(entry, {**self._resampling, entry: found.to_json()})
            return found

    @property
    def again(self) -> str:
        """How to compute the same run again, in words: the command if it is known."""
        made = self.manifest["provenance"]
        if made is None or any(
            made[side]["spec"].endswith("an object") for side in ("model", "data")
        ):
            return "compute the run again"
        given = {"model": made["model"], "data": made["data"]}
        words = [f"--{side} {one['spec']}" for side, one in given.items()]
        words += [
            f"--{side}-arg {name}={value}"
            for side, one in given.items()
            for name, value in (one.get("arguments") or {}).items()
        ]
        return f"compute the run again: {program()} run {' '.join(words)} --out FOLDER"

    def verdict(
        self, equivalence_margin: float | None = None, metric: str | None = None
    ) -> Verdict:
        """Return in a sentence what a metric's leave-one-out gap says.

        Parameters
        ----------
        equivalence_margin : float, optional
            The smallest gap that matters, in units of the metric (0.01 of accuracy is 1 point); by
            default 0.01, or 1% of the best constant's score if the metric has units.
        metric : str, optional
            One of `metrics`; the first by default.

        Raises
        ------
        SettingError
            If `equivalence_margin` is not a possible gap above 0.
        RunError
            If the run has no such metric.
        """
        found = self._verdict(equivalence_margin, metric)
        return replace(
            found,
            sentence=worded(self.sides, found.sentence),
            details=tuple(worded(self.sides, one) for one in found.details),
            warnings=tuple(worded(self.sides, one) for one in found.warnings),
        )

    @property
    def verdict_sentence(self) -> str:
        """The sentence of `verdict`, without the time that its details take."""
        return worded(self.sides, self._verdict(None, None, in_detail=False).sentence)

    def _verdict(
        self, equivalence_margin: float | None, metric: str | None, *, in_detail: bool = True
    ) -> Verdict:
        share = float(self.shares.pooled_shares[-1])
        shared, sides = self.shared_by_all, self.decomposition.sides
        if not self.metrics or shared is not None:
            return inference.verdict(
                None,
                interaction_share=share,
                space=self.space,
                shared_by_all=shared,
                sides=sides,
            )
        name = self.metrics[0] if metric is None else inference.metric(metric).name
        gap, flips = self.gap(name), self.flips if in_detail else None
        return inference.verdict(
            gap,
            equivalence_margin=equivalence_margin,
            scores=self.points[name] | self._weighted_scores(name),
            interaction_share=share,
            decisions_changed=None if flips is None else int((flips != "same").sum()),
            space=self.space,
            pairs=self.statistics.pair_error(gap),
            why_undefined=None
            if self.labels is None
            else inference.why_undefined(name, self.labels, self.decomposition.logits, self.task),
            warnings=self._cautions[name] if in_detail else (),
            sides=sides,
            steps=self.intervals().steps.get(name),
        )

    def _weighted_scores(self, name: str) -> dict[str, float]:
        """Return one metric of the additive fits in which unlikely pairs count less, if any."""
        found = None if self.density is None or self.grid is None else self.unlikely_pairs()
        return {
            f"weighted_{row.power:g}": row.gaps[name].projected
            for row in (found.rows[1:] if found else ())
        }

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences on metrics whose numbers rest on few examples."""
        if self.shared_by_all is not None:
            return ()
        found = dict.fromkeys(one for name in self.metrics for one in self._cautions[name])
        return tuple(worded(self.sides, one) for one in found)

    @cached_property
    def _cautions(self) -> dict[str, tuple[str, ...]]:
        return {
            name: inference.cautions(
                name,
                self.labels,
                self.scores("full"),
                self.scores("emap_leave_one_out"),
                self.task,
                self.space,
                classes=self.classes,
                gap=self.gap(name),
            )
            for name in self.metrics
            if self.labels is not None
        }

    @cached_property
    def flips(self) -> NDArray[np.str_] | None:
        """What interactions do to each example's decision; None if the run decides nothing."""
        if not self.decides:
            return None
        return inference.flips(self.decomposition, self.labels, self.task, self.space)

    @cached_property
    def kinds(self) -> NDArray[np.str_] | None:
        """Which side each example's decision follows; None if the run decides nothing.

        Also None with more than two sides.
        """
        if not self.decides or len(self.sides) > 2:
            return None
        return inference.kinds(self.decomposition, self.task, self.space)

    def proportions(self, column: Literal["kind", "flip"]) -> dict[str, Interval]:
        """Return the share of examples of each ``kind`` or ``flip``, with its 95% interval.

        Empty for a regression, which has neither.
        """
        names, found = {
            "kind": (inference.KINDS, self.kinds),
            "flip": (inference.FLIPS, self.flips),
        }[column]
        if found is None:
            return {}
        # Its quantile needs a library that takes longer to load than everything else shown.
        kept = self._kept_of_resampling(f"{column}_shares")
        if kept is None:
            shares = inference.proportions(found, names, self.population)
            kept = {name: share.to_json() for name, share in shares.items()}
            self._keep(f"{column}_shares", {**self._resampling, f"{column}_shares": kept})
        return {name: Interval.from_json(share) for name, share in kept.items()}

    def _kept_of_resampling(self, name: str) -> dict[str, Any] | None:
        """Return what was kept under a name, or None if it depends on other resamples."""
        kept = self._kept(name)
        if kept is None or any(kept.get(k) != v for k, v in self._resampling.items()):
            return None
        return cast(dict[str, Any], kept[name])

    @property
    def _resampling(self) -> dict[str, Any]:
        """What the intervals depend on."""
        return {
            "metrics": self.metrics,
            **self.manifest["resampling"],
        }

    def _kept(self, name: str) -> dict[str, Any] | None:
        """Return what was kept under a name, or None if it has to be computed (again)."""
        try:
            kept = read_sealed(self._folder.inference / f"{name}.json", self.manifest["created"])
        except RunError:
            # Damaged results are computed again.
            return None
        return kept if kept is not None and kept.pop("version", None) == RECORD_VERSION else None

    def _keep(self, name: str, content: dict[str, Any]) -> None:
        try:
            path = self._folder.inference / f"{name}.json"
            content = {"version": RECORD_VERSION, **content}
            write_sealed(path, content, self.manifest["created"])
        except OSError:
            # A run on a read-only disk still works; it only computes this again each time.
            return


class _KeptNumbers:
    """What a method keeps with a run."""

    def __init__(self, run: CachedInference) -> None:
        self.read = run._kept
        self.write = run._keep


def _without_nan(content: dict[str, Any]) -> dict[str, Any]:
    return {k: _number(v) if isinstance(v, float) else v for k, v in content.items()}


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
