"""A finished run: everything the pages, the command line and a notebook read."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from emap_core import inference
from emap_core.decomposition import Decomposition
from emap_core.decomposition.exact import PARTS
from emap_core.errors import RunError, SettingError
from emap_core.inference import BASELINES, Gap, Interval, Verdict
from emap_core.inference.calibration import calibrated_gaps
from emap_core.inference.column_order import better_order
from emap_core.inference.gap import RECORD_VERSION
from emap_core.inference.metrics import Space, Task
from emap_core.inference.population import Population, population_of
from emap_core.inference.unlikely_pairs import UnlikelyPairs, unlikely_pairs
from emap_core.methods import method, methods
from emap_core.methods.arrays import Layout
from emap_core.methods.base import Method, Result
from emap_core.methods.statistics import Spread, Statistics
from emap_core.runs.folder import RunFolder, find_run
from emap_core.runs.grid import Grid, Reading, n_channels
from emap_core.runs.sealed import read_sealed, write_sealed
from emap_core.runs.slices import to_csv
from emap_core.runs.store import replacing
from emap_core.runs.stored import Stored

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from emap_core.inference import Intervals

Array = NDArray[np.float64]

_DENSITY = {"log_ratio": Layout("TV"), "auc": Layout("")}


class Run:
    """A finished run, read from its folder when asked.

    Attributes
    ----------
    path : Path
    id : str
        The folder's name.
    manifest : dict
        What was computed, with which settings and versions.
    """

    def __init__(self, folder: RunFolder, manifest: dict[str, Any]) -> None:
        self._folder = folder
        self.path = folder.path
        self.id = folder.id
        self.manifest = manifest
        self._stored = Stored(
            folder.id,
            {
                letter: manifest[name]
                for letter, name in (
                    ("N", "n_examples"),
                    ("C", "n_classes"),
                    ("T", "n_texts"),
                    ("V", "n_images"),
                )
            },
        )
        self._intervals: Intervals | None = None
        self._parts: dict[int, list[bytes]] = {}

    @classmethod
    def load(cls, path: str | Path) -> Run:
        """Open a finished run by its path or its id.

        Raises
        ------
        RunError
            If there is no such run, or it is not finished.
        """
        folder = RunFolder(find_run(path))
        manifest = folder.manifest()
        if manifest["status"] != "finished":
            status = folder.status()
            why = f": {manifest['error']}" if manifest["error"] else ""
            raise RunError(f"run {folder.id!r} is not finished but {status}{why}")
        return cls(folder, manifest)

    def verify(self) -> None:
        """Read all that a comparison with other runs reads.

        Raises
        ------
        RunError
            If a part of it is damaged or gone.
        """
        for _ in (
            self.decomposition,
            self.labels,
            self.ids,
            self.texts,
            self.baselines,
            self.density,
            self._kept_grid,
        ):
            pass

    @property
    def classes(self) -> list[str]:
        """Names of the classes; for a binary task the two labels."""
        return list(self.manifest["classes"])

    @property
    def task(self) -> Task:
        """One of multiclass, binary, multilabel, regression."""
        return cast(Task, self.manifest["task"])

    @property
    def space(self) -> Space:
        """What was projected: logits, log_probabilities or probabilities."""
        return cast(Space, self.manifest["space"])

    @property
    def softmax(self) -> bool:
        """Whether a number added to all logits of an example changes nothing."""
        return (
            self.task == "multiclass"
            and self.manifest["n_classes"] > 1
            and self.space != "probabilities"
        )

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics in the table, those that fit the task; empty without labels."""
        return usable_metrics(self.manifest)

    @property
    def skipped(self) -> list[str]:
        """What was wrong with each row of the data that was left out."""
        return list(self.manifest.get("skipped") or [])

    @property
    def notes(self) -> list[str]:
        """What a reader has to know beside the numbers, a sentence each."""
        told = (self.unknown_labels_note, self._noise_note, self._order_note)
        return [*(self.manifest.get("notes") or []), *(note for note in told if note)]

    def _chance_note(self, labels: NDArray[np.intp]) -> str:
        """Return that a model is right less often than a constant; empty where it is not."""
        right = float((self.decomposition.logits.argmax(axis=1) == labels).mean())
        most = float(np.bincount(labels[labels >= 0], minlength=1).max() / len(labels))
        if right >= most:
            return ""
        return (
            f"The model is right in {right:.0%} of the examples, and the most frequent label alone "
            f"would be in {most:.0%}: see that its outputs are in the order of the labels' names."
        )

    @property
    def noise_share(self) -> float | None:
        """Share of the outputs' variance that is noise, of a model that was allowed to be noisy.

        Measured on pairs that were scored twice; it is counted as interaction. None where noise
        was not asked for, or nothing varies.
        """
        noise = self.manifest["noise"]
        total = float(self.shares.sums_of_squares.sum())
        # Measured on few pairs, it may come out as more than there is.
        return None if noise is None or total == 0 else min(noise["variance"] / total, 1.0)

    @property
    def _noise_note(self) -> str:
        share = self.noise_share
        if share is None:
            return ""
        n = self.manifest["noise"]["n_pairs"]
        return (
            f"The model was allowed to be noisy. Noise makes up about {share:.0%} of the variance "
            f"of its outputs, by {n:,} pairs that were scored twice, and is counted as interaction."
        )

    @cached_property
    def _order_note(self) -> str:
        """That outputs in another order fit the labels far better; empty where they do not."""
        labels = self.true_classes
        if labels is None or not self.decides or self.task != "multiclass":
            return ""
        found = better_order(self.decomposition.logits, labels)
        if found is None:
            return self._chance_note(labels) if self.manifest["classes_guessed"] else ""
        order, before, after = found
        names = np.array(self.classes, dtype=object)[np.argsort(order)]
        listed = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
        return (
            f"The model's outputs may be in another order than its classes: its accuracy is "
            f"{before:.0%}, and {after:.0%} if they are {listed}, in this order."
        )

    @property
    def skipped_note(self) -> str:
        """How many rows were left out, in words; empty if none was."""
        n = len(self.skipped)
        return f"{n:,} {'row was' if n == 1 else 'rows were'} left out" if n else ""

    @property
    def unknown_labels_note(self) -> str:
        """How many labels are not classes of the model and what became of them; empty if none."""
        told = self.manifest["unknown_labels"] or {"rule": "error"}
        left_out = ("It was left out.", "They were left out.")
        not_right = ("It counts as not right.", "They count as not right.")

        def sentence(n: int, whose: str, done: tuple[str, str]) -> str:
            if n == 1:
                return f"1 {whose}example has a label that is not a class of the model. {done[0]}"
            return f"{n:,} {whose}examples have labels that are not classes of the model. {done[1]}"

        n, n_training = told.get("n_examples", 0), told.get("n_training", 0)
        said = [sentence(n, "", left_out if told["rule"] == "skip" else not_right)] * bool(n)
        said += [sentence(n_training, "training ", left_out)] * bool(n_training)
        return " ".join(said)

    @property
    def method(self) -> Method:
        """How its pairs were chosen."""
        return method(self.manifest["method"])

    @cached_property
    def result(self) -> Result:
        """What the method made of the scores."""
        return self.method.result(self._arrays)

    @property
    def decomposition(self) -> Decomposition:
        """The predictions, split into text, image and interaction parts."""
        return self.result.decomposition

    @cached_property
    def statistics(self) -> Statistics:
        """What the scores say, as the method tells it; nothing of it is kept here."""
        return self.method.statistics(self, _KeptNumbers(self))

    @cached_property
    def shares(self) -> Decomposition:
        """The decomposition that shares are read from: centred over classes under a softmax."""
        return self.decomposition.class_centred() if self.softmax else self.decomposition

    @cached_property
    def labels(self) -> NDArray[Any] | None:
        """Labels on the class axis, (N,); multilabel and regression (N, C); None without any.

        With the answers of several annotators, the credit of each class, (N, C).
        """
        return self._stored.labels(self.path / "labels.npy", self.task, len(self.classes))

    @property
    def true_classes(self) -> NDArray[np.intp] | None:
        """The one true class of each example, (N,), -1 where there is none; None of other tasks.

        Of several annotators' answers, that which most gave.
        """
        if self.labels is None or self.task not in ("multiclass", "binary"):
            return None
        if self.labels.ndim == 1:
            return np.asarray(self.labels, dtype=np.intp)
        return np.where(self.labels.any(axis=1), self.labels.argmax(axis=1), -1)

    @property
    def decides(self) -> bool:
        """Whether scores decide for classes.

        Not those of a regression, without a threshold, or with a single class to choose from.
        """
        if self.task == "multiclass" and self.manifest["n_classes"] == 1:
            return False
        if self.task in ("binary", "multilabel") and not self.manifest.get("has_threshold", True):
            return False
        return self.task != "regression"

    @cached_property
    def ids(self) -> list[str]:
        """The examples' ids."""
        return self._stored.column(self._folder.examples, "id", "text", self.manifest["n_examples"])

    @cached_property
    def texts(self) -> list[str]:
        """The unique texts, in order of first appearance."""
        return self._stored.column(self._folder.texts, "text", "text", self.manifest["n_texts"])

    @cached_property
    def grid(self) -> Grid | None:
        """The grid of all classes, None where it was not kept."""
        return self._kept_grid if self.manifest["keep"] == "grid" else None

    @property
    def kept_classes(self) -> list[int]:
        """Numbers of the classes whose grid can be read; empty where only sums were kept."""
        if self.manifest["keep"] == "classes":
            return list(self.manifest["kept_classes"])
        return list(range(self.manifest["n_classes"])) if self.manifest["keep"] == "grid" else []

    def class_grid(self, c: int, reading: Reading = "logits") -> NDArray[np.float32]:
        """Return the model's output for one class on every pair, shape (U_t, U_v).

        Parameters
        ----------
        c : int
            One of `kept_classes`.
        reading : {"logits", "centred", "probabilities"}
            As projected; minus the mean over classes; or what the softmax makes of it.

        Raises
        ------
        RunError
            If the grid of this class was not kept.
        """
        if self._kept_grid is None:
            raise RunError(f"only sums were kept of run {self.id!r}, not its grid")
        return self._kept_grid.load_class(c, reading)

    def pair(self, text: int, image: int) -> Decomposition:
        """Return one cell of the kept grid as the only example of a decomposition.

        Centred over classes under a softmax; NaN for classes that were not kept.

        Raises
        ------
        RunError
            If only sums were kept.
        """
        if self._kept_grid is None:
            raise RunError(f"only sums were kept of run {self.id!r}, not its grid")
        cell = self._kept_grid.cell(text, image).astype(np.float64)
        logits = np.full(self.manifest["n_classes"], np.nan)
        if self._kept_grid.kept is None:
            logits[:] = cell - (cell.mean() if self.softmax else 0.0)
        else:
            logits[self.kept_classes] = cell[:-2] - (cell[-2] if self.softmax else 0.0)
        return dataclasses.replace(
            self.shares,
            logits=logits[None],
            text_index=np.array([text]),
            image_index=np.array([image]),
        )

    @cached_property
    def _kept_grid(self) -> Grid | None:
        if self.manifest["keep"] == "sums":
            return None
        kept = self.manifest["kept_classes"] if self.manifest["keep"] == "classes" else None
        shape = (
            self.manifest["n_texts"],
            self.manifest["n_images"],
            n_channels(self.manifest["n_classes"], kept),
        )
        return Grid(self._folder.grid, self._arrays["text_order"], kept, shape)

    def thumbnail(self, image: int) -> bytes:
        """Return the JPEG of a unique image, at most 256 pixels a side.

        Raises
        ------
        RunError
            If the run holds no such image.
        """
        per_part, n_images = self.manifest["images_per_part"], self.manifest["n_images"]
        if not 0 <= image < n_images:
            raise RunError(f"run {self.id!r} has no image {image}")
        number = image // per_part
        if number not in self._parts:
            self._parts[number] = self._stored.thumbnails(
                self._folder.images / f"part-{number:06d}.parquet",
                min(per_part, n_images - number * per_part),
            )
        return self._parts[number][int(image % per_part)]

    def scores(self, projection: str) -> Array:
        """Return the predictions of one row of the table, shape (N, C)."""
        if projection not in self._projections:
            known = ", ".join(self._projections)
            raise RunError(f"there is no projection {projection!r}; known are {known}")
        return self._projections[projection]

    def table(self, intervals: bool = False, by: str | Sequence[str] | None = None) -> pd.DataFrame:
        """Return the scores: rows full, emap, …, constant, `BASELINES`; a column a metric.

        With `intervals` two further columns a metric, ``…_low`` and ``…_high``, computed on first
        use. With `by`, a column of the examples or a name for each, the gap of the first metric in
        each group instead, see `emap_core.runs.groups`.
        """
        if by is not None:
            from emap_core.runs.groups import table_by

            return table_by(self, by)
        kept = self._kept("points") or {}
        missing = [name for name in self.metrics if name not in kept]
        if missing:
            points = self.statistics.points(missing)
            kept |= {name: _without_nan(points[name].to_dict()) for name in missing}
            self._keep("points", kept)
        columns: dict[str, list[Any]] = {}
        index = [*inference.PROJECTIONS, *self.baselines]
        for name in self.metrics:
            columns[name] = [kept[name][row] for row in index]
            if intervals:
                limits = self.intervals().rows[name]
                columns[f"{name}_low"] = [limits[row].low for row in index]
                columns[f"{name}_high"] = [limits[row].high for row in index]
        return pd.DataFrame(columns, index=pd.Index(index, name="projection"), dtype=float)

    def gap(self, metric: str, projection: str = "emap_leave_one_out") -> Gap:
        """Return what a metric loses without interactions, with interval and test.

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
        """P-value of each metric's leave-one-out gap, after Holm (1979) for being several."""
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
        """Whether the intervals are there already, so that nobody has to wait for them."""
        return self._intervals is not None or self._kept_intervals() is not None

    @cached_property
    def population(self) -> Population:
        """What is drawn at random for every interval of this run, and whom they speak of."""
        return population_of(self.decomposition, self.manifest["resampling"]["cluster"])

    def _kept_intervals(self) -> Intervals | None:
        kept = self._kept_of_resampling("intervals")
        return None if kept is None else inference.Intervals.from_json(kept)

    def _kept_of_resampling(self, name: str) -> dict[str, Any] | None:
        """Return what was kept under a name, None where it depends on other resamples."""
        kept = self._kept(name)
        if kept is None or any(kept.get(k) != v for k, v in self._resampling.items()):
            return None
        return cast(dict[str, Any], kept[name])

    @cached_property
    def calibrated_gaps(self) -> dict[str, dict[str, Gap]]:
        """Gaps of metrics that read probabilities, both sides on their best scale.

        For each such metric a `Gap` for ``"emap"`` and ``"emap_leave_one_out"``, computed on
        first use. Only exact runs have them: other methods estimate scores, not predictions.
        """
        if self.labels is None or not self.method.scores_all_pairs:
            return {}
        gaps = self.intervals().gaps
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

    @cached_property
    def density(self) -> Array | None:
        """How much more likely each pair is among the examples than among recombinations.

        Shape (U_t, U_v), where ``density="encodings"`` was asked for; else None.
        """
        if not self._folder.density.exists():
            return None
        log_ratio = self._stored_density["log_ratio"]
        return np.asarray(np.exp(log_ratio.astype(np.float64)))

    @cached_property
    def _stored_density(self) -> dict[str, Any]:
        return self._stored.arrays(self._folder.density, _DENSITY)

    def unlikely_pairs(self, density: ArrayLike | None = None) -> UnlikelyPairs | None:
        """Return gaps to projections in which unlikely pairs count less.

        Parameters
        ----------
        density : array of shape (U_t, U_v), optional
            How much more likely each pair is among the examples than among recombinations, texts
            and images in the run's order; by default `density`, None where there is none.

        Raises
        ------
        RunError
            If the grid was not kept, or the data has no labels.
        DatasetError
            If a density is not such an array.
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
            raise RunError(f"run {self.id!r} has no labels, so there are no gaps to compare")
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
    def spread(self) -> Spread | None:
        """How much the repeats of the method differ; None where it has none."""
        return self.statistics.spread()

    def _new_intervals(self) -> Intervals:
        found = self.statistics.intervals()
        self._keep("intervals", {**self._resampling, "intervals": found.to_json()})
        return found

    @property
    def _resampling(self) -> dict[str, Any]:
        """What the intervals depend on."""
        return {
            "metrics": self.metrics,
            **self.manifest["resampling"],
        }

    @property
    def shared_by_all(self) -> str | None:
        """What all examples share one of, so that nothing can be recombined; else None."""
        single = [side for side in ("text", "image") if self.manifest[f"n_{side}s"] < 2]
        return " and one ".join(single) or None

    def verdict(self, smallest_gap: float | None = None, metric: str | None = None) -> Verdict:
        """Return what a metric's leave-one-out gap says, in a sentence.

        Parameters
        ----------
        smallest_gap : float, optional
            The smallest gap that matters, in units of the metric (0.01 of accuracy is 1 point); by
            default 0.01, or 1% of the best constant's score where the metric has units.
        metric : str, optional
            One of `metrics`; the first by default.

        Raises
        ------
        SettingError
            If `smallest_gap` is not a possible gap above 0.
        RunError
            If the run has no such metric.
        """
        share = float(self.shares.pooled_shares[2])
        shared = self.shared_by_all
        if not self.metrics or shared is not None:
            return inference.verdict(
                None, interaction_share=share, space=self.space, shared_by_all=shared
            )
        name = self.metrics[0] if metric is None else inference.metric(metric).name
        gap, flips = self.gap(name), self._flips
        return inference.verdict(
            gap,
            smallest_gap=smallest_gap,
            scores=self.table()[name].to_dict() | self._weighted_scores(name),
            interaction_share=share,
            decisions_changed=None if flips is None else int((flips != "same").sum()),
            space=self.space,
            pairs=self.statistics.pair_error(gap),
            why_undefined=None
            if self.labels is None
            else inference.why_undefined(name, self.labels, self.decomposition.logits, self.task),
            warnings=self._cautions[name],
        )

    def _weighted_scores(self, name: str) -> dict[str, float]:
        """Return a metric of additive fits in which unlikely pairs count less, if there are any."""
        found = None if self.density is None or self.grid is None else self.unlikely_pairs()
        return {
            f"weighted_{row.power:g}": row.gaps[name].projected
            for row in (found.rows[1:] if found else ())
        }

    @property
    def warnings(self) -> tuple[str, ...]:
        """Where the numbers of any metric lean on few examples, in sentences."""
        if self.shared_by_all is not None:
            return ()
        return tuple(dict.fromkeys(one for name in self.metrics for one in self._cautions[name]))

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

    def probe(
        self,
        name: str,
        *,
        model: Any = None,
        dataset: Any = None,
        model_args: dict[str, Any] | None = None,
        data_args: dict[str, Any] | None = None,
        device: str = "auto",
        **choices: Any,
    ) -> Any:
        """Return what a probe finds: which words meet which regions, say.

        What was found before is read from the run; else the model is loaded again and asked, and
        what it says is kept.

        Parameters
        ----------
        name : str
            One of `emap_core.probes.ask.PROBES`.
        model, dataset : object or str, optional
            In place of what the run recorded: objects have to be given again.
        model_args, data_args : dict, optional
            Keyword arguments of their loaders, on top of those that the run recorded.
        device : str
            As for `emap_core.compute`.
        **choices
            Of the probe: ``example="test-3"`` of ``"attribution"``.

        Raises
        ------
        EmapError
            If there is no such probe, or this run cannot be asked it.
        """
        from emap_core.probes.ask import ask, probe_named
        from emap_core.probes.subject import Subject

        probe = probe_named(name, **choices)
        subject = Subject(
            self, model, dataset, model_args=model_args, data_args=data_args, device=device
        )
        return ask(subject, probe)

    def examples(self) -> pd.DataFrame:
        """Return a row an example: text, label, predictions, flip, kind, size of the interaction.

        ``interaction_size`` is the length of the interaction vector over all classes, class-centred
        under a softmax, in units of the projected space; the interaction of one class is that of
        `decomposition`. ``flip`` and ``kind`` hold the model against its leave-one-out projection.
        """
        return self._examples.copy()

    def proportions(self, column: str) -> dict[str, Interval]:
        """Return the share of examples of each ``kind`` or ``flip``, with its 95% interval.

        Nothing for a regression, which has neither.
        """
        names = {"kind": inference.KINDS, "flip": inference.FLIPS}[column]
        found = self._examples[column]
        if found.isna().any():
            return {}
        return inference.proportions(found.to_numpy(dtype=str), names, self.population)

    def write_examples(self, path: Path) -> None:
        """Write the examples as CSV in which no cell is a formula to a spreadsheet."""
        with replacing(path) as temporary:
            temporary.write_text(to_csv(self._examples, np.ones(len(self.ids), dtype=bool)))

    def figure(self, name: str, **choice: Any) -> go.Figure:
        """Return one of the run's figures.

        Parameters
        ----------
        name : str
            ``gap``, ``shares``, ``decisions``, ``contributions``, ``modes``, ``mode-ends`` or
            ``waterfall``.
        **choice
            ``class_name`` of contributions, modes and mode-ends; ``mode`` of mode-ends, counted
            from 1; ``example``, an id, of the waterfall.

        Raises
        ------
        SettingError
            If the run has no such figure, or the figure no such choice.
        """
        # Only this method and the next look up to the rooms that show a run: whoever holds one in
        # a notebook asks it for its picture, and nobody should have to know who draws it.
        from emap_core.presentation import notebook

        return notebook.figure(self, name, **choice)

    def _repr_html_(self) -> str:
        from emap_core.presentation import notebook

        return notebook.html(self)

    def record(self, smallest_gap: float | None = None) -> dict[str, Any]:
        """Return the numbers of the run as one JSON-able object; what is not computed is None.

        Parameters
        ----------
        smallest_gap : float, optional
            See `verdict`; of the first metric.
        """
        verdict = self.verdict(smallest_gap)
        points, found, unlikely = self.table(), self.intervals(), self.unlikely_pairs()
        manifest = self.manifest
        return {
            **{name: manifest[name] for name in ("n_examples", "n_texts", "n_images")},
            "n_pairs_evaluated": manifest["n_pairs_evaluated"],
            "method": manifest["method"],
            "space": self.space,
            "classes": self.classes,
            "metrics": {
                name: self._metric_record(name, points[name])
                | {"p_value_holm": _number(self.adjusted_p_values[name])}
                for name in self.metrics
            },
            "variance_shares": _shares_record(self.shares),
            "variance_shares_raw": _shares_record(self.decomposition),
            "variance_shares_intervals": {
                part: [_interval_record(one) for one in found.shares[part]] for part in PARTS
            }
            | {"pooled": {part: _interval_record(found.pooled_shares[part]) for part in PARTS}},
            "kinds": {name: one.to_json() for name, one in self.proportions("kind").items()},
            "flips": {name: one.to_json() for name, one in self.proportions("flip").items()},
            "resampling": {
                "cluster": found.cluster,
                "population": found.population,
                "n_resamples": found.n_resamples,
                "seed": found.seed,
                "notes": found.notes,
            },
            **self._of_method,
            "unlikely_pairs": None if unlikely is None else unlikely.to_json(),
            "skipped": self.skipped,
            "notes": self.notes,
            "classes_guessed": manifest["classes_guessed"],
            "noise_share": self.noise_share,
            "dtype": manifest.get("dtype"),
            "unknown_labels": self.manifest["unknown_labels"],
            "verdict": str(verdict),
            "verdict_kind": verdict.kind,
            "smallest_gap": verdict.smallest_gap,
            "warnings": list(self.warnings),
            "verdicts": {
                name: (self.verdict(metric=name) if place else verdict).to_json()
                for place, name in enumerate(self.metrics)
            },
            "run": self.id,
            "model": manifest["model"],
            "dataset": manifest["dataset"],
            "name": manifest.get("name"),
            "provenance": manifest.get("provenance"),
        }

    @property
    def _of_method(self) -> dict[str, Any]:
        """The entries that single methods have; None in those of the others."""
        entries = {one.record_entry: None for one in methods() if one.record_entry is not None}
        own = self.method.record_entry
        return entries if own is None else entries | {own: _plain(self.statistics.record())}

    def _metric_record(self, name: str, points: pd.Series) -> dict[str, Any]:
        plain, left_out = self.gap(name, "emap"), self.gap(name)
        return _without_nan(
            {
                **_calibrated_record(self.calibrated_gaps.get(name, {})),
                **dict.fromkeys(BASELINES),
                **points.to_dict(),
                "gap": plain.difference,
                "gap_low": plain.low,
                "gap_high": plain.high,
                "p_value": plain.p_value,
                "gap_leave_one_out": left_out.difference,
                "gap_leave_one_out_low": left_out.low,
                "gap_leave_one_out_high": left_out.high,
                "p_value_leave_one_out": left_out.p_value,
                "standard_error": plain.standard_error,
                "standard_error_leave_one_out": left_out.standard_error,
                "standard_error_of_examples": left_out.standard_error_of_examples,
                "standard_error_of_pairs": left_out.standard_error_of_pairs,
                "degrees_of_freedom": left_out.degrees_of_freedom,
                "population": left_out.population,
                "n_units": left_out.n_units,
                "unit": left_out.unit,
                "method": left_out.method,
                "n_resamples": left_out.n_resamples,
                "seed": left_out.seed,
            }
        )

    @cached_property
    def _examples(self) -> pd.DataFrame:
        d = self.decomposition
        table = pd.DataFrame(
            {
                "id": self.ids,
                "text": [self.texts[u] for u in d.text_index],
                "label": inference.label_names(self.labels, self.classes, self.task)
                or [None] * len(self.ids),
            }
        )
        for column, projection in (
            ("prediction", "full"),
            ("prediction_emap", "emap"),
            ("prediction_emap_leave_one_out", "emap_leave_one_out"),
        ):
            table[column] = inference.prediction_names(
                self.scores(projection),
                self.classes,
                self.task if self.decides else "regression",
                self.space,
            )
            table[column.replace("prediction", "correct")] = self._right(self.scores(projection))
        table["flip"] = self._flips
        table["kind"] = inference.kinds(d, self.task, self.space) if self.decides else None
        table["interaction_size"] = np.linalg.norm(self.shares.interaction, axis=1)
        table["text_index"] = d.text_index
        table["image_index"] = d.image_index
        if self.labels is not None and self.labels.ndim == 1:
            table["label_index"] = self.labels
        return table

    @cached_property
    def _flips(self) -> NDArray[np.str_] | None:
        if not self.decides:
            return None
        return inference.flips(self.decomposition, self.labels, self.task, self.space)

    def _right(self, scores: Array) -> NDArray[Any] | None:
        if self.labels is None or not self.decides:
            return None
        earned = inference.earned(inference.predict(scores, self.task, self.space), self.labels)
        # Of several annotators, two of ten or more agree.
        right = earned >= (self.labels.shape[1] if self.task == "multilabel" else 0.5)
        undefined = np.isnan(scores).any(axis=1)
        if not undefined.any():
            return right
        known = right.astype(object)
        known[undefined] = None
        return known

    def _kept(self, name: str) -> dict[str, Any] | None:
        """Return what was kept under a name; None where it is to be computed, or computed again."""
        try:
            kept = read_sealed(self._folder.inference / f"{name}.json", self.manifest["created"])
        except RunError:
            # What is damaged there is computed again.
            return None
        return kept if kept is not None and kept.pop("version", None) == RECORD_VERSION else None

    def _keep(self, name: str, content: dict[str, Any]) -> None:
        try:
            path = self._folder.inference / f"{name}.json"
            content = {"version": RECORD_VERSION, **content}
            write_sealed(path, content, self.manifest["created"])
        except OSError:
            # A run on a read-only disk can be read all the same; it is only computed again.
            return

    @cached_property
    def baselines(self) -> dict[str, Array]:
        """Scores of linear baselines, each of shape (N, C); empty without a training split."""
        if not self._folder.baselines.exists():
            return {}
        rows = dict.fromkeys(BASELINES, Layout("NC", optional=True))
        return self._stored.arrays(self._folder.baselines, rows)

    @cached_property
    def _projections(self) -> dict[str, Array]:
        return inference.projections(self.decomposition, self.labels, self.task, self.space)

    @cached_property
    def _arrays(self) -> dict[str, Any]:
        return self._stored.arrays(self._folder.sums, self.method.layouts)


class _KeptNumbers:
    """What a method keeps beside a run."""

    def __init__(self, run: Run) -> None:
        self.read = run._kept
        self.write = run._keep


def _calibrated_record(gaps: dict[str, Gap]) -> dict[str, float | None]:
    record: dict[str, float | None] = {}
    for row, name in (("emap", "gap"), ("emap_leave_one_out", "gap_leave_one_out")):
        gap = gaps.get(row)
        record[f"{name}_calibrated"] = None if gap is None else gap.difference
        record[f"{name}_calibrated_low"] = None if gap is None else gap.low
        record[f"{name}_calibrated_high"] = None if gap is None else gap.high
    return record


def usable_metrics(manifest: dict[str, Any]) -> list[str]:
    """Return the metrics of a manifest that are for its task and its number of classes.

    Each goes by its own name, where the manifest has another one for it.
    """

    def fits(name: str) -> bool:
        try:
            inference.check_use(name, manifest["task"], manifest["n_classes"])
        except SettingError:
            return False
        return True

    return list(
        dict.fromkeys(inference.metric(name).name for name in manifest["metrics"] if fits(name))
    )


def _shares_record(decomposition: Decomposition) -> dict[str, Any]:
    shares, pooled = decomposition.variance_shares, decomposition.pooled_shares
    return {
        **{part: [_number(v) for v in shares[i]] for i, part in enumerate(PARTS)},
        "pooled": {part: _number(pooled[i]) for i, part in enumerate(PARTS)},
    }


def _interval_record(interval: Interval) -> list[float | None]:
    return [_number(interval.low), _number(interval.high)]


def _without_nan(content: dict[str, Any]) -> dict[str, Any]:
    return {k: _number(v) if isinstance(v, float) else v for k, v in content.items()}


def _plain(content: Any) -> Any:
    """Return a record with None for every number that is not finite."""
    if isinstance(content, dict):
        return {name: _plain(value) for name, value in content.items()}
    return _number(content) if isinstance(content, float) else content


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
