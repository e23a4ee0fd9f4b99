"""What a model still answers with a side taken away, which no dataset shows it.

Rows of the table average over the other side's items, so their pairs at least look like the data.
Here the picture is one colour or noise, or the text is empty: this is outside the data and reported
separately.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from PIL import Image

from emap_core.errors import RunError
from emap_core.figures import Chart
from emap_core.figures.measure_dots import measure_dots
from emap_core.inference import Interval, metric
from emap_core.inference.metrics import evaluate, evaluate_resamples
from emap_core.inference.number_format import percent, with_interval
from emap_core.inference.predictions.scores import Scored
from emap_core.inference.resamples.limits import estimate, share_estimate, variance_of
from emap_core.inference.table.rows import ROWS
from emap_core.probes.base import Cost
from emap_core.runs import Run
from emap_core.themes import LIGHT, Theme
from emap_core.types import Array

if TYPE_CHECKING:
    from emap_core.engine.progress import Progress
    from emap_core.probes.probe_folder import ProbeFolder
    from emap_core.probes.probed_run import ProbedRun

_MOST_PICTURES = 100
_CELLS_PER_PART = 2048

BLIND = {
    "blank_image": ("Picture of one colour", "the mean colour of the data, outside the data"),
    "noise_image": ("Picture of noise", "of the data’s mean and spread, outside the data"),
    "empty_text": ("Empty text", "outside the data"),
}
"""Each row outside the data, and what it is made of."""

_OF_TABLE = {
    "full": "texts with their images",
    "text_only": "averaged over other pictures",
    "image_only": "averaged over other texts",
}
"""Rows of the table to compare them with, and what these are made of."""

_ORDER = ("full", "text_only", "blank_image", "noise_image", "image_only", "empty_text")


@dataclass(frozen=True)
class BlindRows:
    """Ask what a model answers without a picture, and without a text.

    Parameters
    ----------
    seed : int
        Seed of the noise.
    """

    seed: int = 0

    name: ClassVar[str] = "blind-rows"
    question: ClassVar[str] = "What does it answer with a side taken away?"

    def key(self, run: Run) -> str:
        """Return the metric, and the seed unless it is the default."""
        return self._metric(run) + ("" if self.seed == 0 else f"-{self.seed}")

    def needs(self, probed: ProbedRun) -> str | None:
        """Return why the run cannot be asked, or None if it can."""
        run = probed.run
        if run.labels is None or not any(metric(one).unit == "points" for one in run.metrics):
            return "it has no score between 0 and 1, such as accuracy, to compare"
        return probed.why_not

    def cost(self, run: Run) -> Cost:
        """Return two passes for each text, and one for each image."""
        return Cost(2 * run.manifest["n_texts"] + run.manifest["n_images"], None)

    def answer(self, probed: ProbedRun, folder: ProbeFolder, progress: Progress) -> Blinded:
        """Score every text with a blank and a noisy picture, and every image with no text.

        Raises
        ------
        EmapError
            If the model cannot be asked, or is not the run's.
        """
        run, d = probed.run, probed.run.decomposition
        if getattr(probed.dataset, "image_inputs", None) is not None:
            raise RunError(
                "the model reads regions instead of pictures, and they have no colour; ask another "
                "run"
            )
        progress.tell("checking")
        probed.check(0)
        stated = probed.fingerprint
        folder.resume(None if stated is None else {"model": stated, "seed": self.seed})
        _, first = np.unique(d.column_index, return_index=True)
        images = [probed.image(int(i)) for i in first]
        blank, noise = _pictures(images[:: max(1, len(images) // _MOST_PICTURES)], self.seed)
        n_passes = self.cost(run).passes
        progress.tell("asking", pairs_total=n_passes)
        progress.start_pairs(0, n_passes)
        of_texts = self._scores(probed, folder, progress, "pictures", run.texts, [blank, noise])
        of_images = self._scores(probed, folder, progress, "no-text", [""], images)
        scores = {
            "full": run.scores("full"),
            "text_only": run.scores("text_only"),
            "blank_image": of_texts[d.row_index, 0],
            "noise_image": of_texts[d.row_index, 1],
            "image_only": run.scores("image_only"),
            "empty_text": of_images[0, d.column_index],
        }
        name = self._metric(run)
        return Blinded(
            name,
            {
                # Rows that the table already has are shown as they are there.
                row: run.intervals().rows[name].get(row) or _interval(run, name, scores[row])
                for row in _ORDER
            },
            run.population.words,
            len(run.ids),
        )

    def read(self, content: Mapping[str, Any]) -> Blinded:
        """Return a result from the output of `Blinded.to_json`."""
        return Blinded.from_json(content)

    def _metric(self, run: Run) -> str:
        return next((one for one in run.metrics if metric(one).unit == "points"), "")

    def _scores(
        self,
        probed: ProbedRun,
        folder: ProbeFolder,
        progress: Progress,
        name: str,
        texts: list[str],
        images: list[Any],
    ) -> Array:
        """Return the outputs of each text with each picture, shape (texts, pictures, C)."""
        evaluator = probed.evaluator(probed.encoded_texts(texts), probed.encoded_images(images))
        n_classes = probed.run.manifest["n_classes"]
        found = np.empty((len(texts), len(images), n_classes))
        # The longer side goes in steps; the other one is one or two pictures, or an empty text.
        long = 0 if len(texts) > len(images) else 1
        for start in range(0, found.shape[long], _CELLS_PER_PART):
            progress.check()
            step = slice(start, min(start + _CELLS_PER_PART, found.shape[long]))
            rows, columns = (
                step if axis == long else slice(0, found.shape[axis]) for axis in (0, 1)
            )
            shape = found[rows, columns].shape

            def compute(rows: slice = rows, columns: slice = columns) -> Array:
                return np.asarray(evaluator.cells(rows, columns), dtype=np.float64)

            found[rows, columns] = folder.tile(f"{name}-{start:08d}", shape, compute)
        return found


@dataclass(frozen=True)
class Blinded:
    """What the model scores with a side taken away.

    Attributes
    ----------
    metric : str
    rows : dict of Interval
        By the names in `BLIND`, and the rows of the table to compare with.
    population : str
    n_examples : int
    """

    metric: str
    rows: dict[str, Interval]
    population: str
    n_examples: int

    @property
    def sentence(self) -> str:
        """What is left without a picture and without a text."""
        value = {row: percent(one.value) for row, one in self.rows.items()}
        return (
            f"Without a picture {metric(self.metric).label} is still {value['blank_image']}; "
            f"averaged over other pictures {value['text_only']}. Without a text it is "
            f"{value['empty_text']}; averaged over other texts {value['image_only']}."
        )

    @property
    def details(self) -> list[str]:
        """What a reader has to know besides the figure."""
        return [
            f"95% intervals in brackets, {self.population}, N = {self.n_examples:,}. Rows outside "
            "the data are not part of EMAP, which averages over the texts and images of the data. "
            "The model may never have seen a picture of one colour or an empty text."
        ]

    def chart(self, theme: Theme = LIGHT) -> Chart:
        """Return one dot per row, within the data and outside it."""
        table = pd.DataFrame(
            [
                {
                    **dict(zip(("measure", "counts"), _told(row), strict=True)),
                    "unit": "share",
                    **{"value": one.value, "low": one.low, "high": one.high},
                    "emap": row in ("text_only", "image_only"),
                }
                for row, one in self.rows.items()
            ]
        )
        return measure_dots(table, population=self.population, theme=theme)

    def __str__(self) -> str:
        lines = [
            f"{name:30}{with_interval(one.value, one.low, one.high, 'points'):22}{made_of}"
            for one, (name, made_of) in zip(self.rows.values(), map(_told, self.rows), strict=True)
        ]
        return "\n".join([self.sentence, "", *lines, "", *self.details])

    def to_json(self) -> dict[str, Any]:
        """Return plain values, with None for NaN."""
        return {
            "metric": self.metric,
            "rows": {row: one.to_json() for row, one in self.rows.items()},
            "population": self.population,
            "n_examples": self.n_examples,
            "sentence": self.sentence,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Blinded:
        """Return the result that `to_json` was called on.

        Raises
        ------
        RunError
            If the content is something else.
        """
        try:
            rows = {row: Interval.from_json(content["rows"][row]) for row in _ORDER}
            metric(content["metric"])
            return cls(
                str(content["metric"]),
                rows,
                str(content["population"]),
                int(content["n_examples"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"what the probe blind-rows found cannot be read: {error}") from error


def _told(row: str) -> tuple[str, str]:
    """Return a row's name, and what it is made of."""
    return BLIND[row] if row in BLIND else (ROWS[row].label, _OF_TABLE[row])


def _pictures(some: list[Any], seed: int) -> tuple[Image.Image, Image.Image]:
    """Return a picture of the mean colour, and one of noise, as large as the first image."""
    pixels = [np.asarray(one.convert("RGB"), dtype=np.float64).reshape(-1, 3) for one in some]
    mean = np.mean([one.mean(axis=0) for one in pixels], axis=0)
    squares = np.mean([(one**2).mean(axis=0) for one in pixels], axis=0)
    spread = np.sqrt(np.maximum(squares - mean**2, 0.0))
    width, height = some[0].size
    noise = np.random.default_rng(seed).normal(mean, spread, (height, width, 3))
    return (
        Image.new("RGB", (width, height), tuple(round(float(one)) for one in mean)),
        Image.fromarray(np.clip(noise.round(), 0, 255).astype(np.uint8)),
    )


def _interval(run: Run, name: str, scores: Array) -> Interval:
    """Return a metric of some scores, with limits from resamples of the examples."""
    value = evaluate(name, run.labels, scores, run.task, run.space)  # type: ignore[arg-type]
    resampling = run.manifest["resampling"]
    rng, population = np.random.default_rng(resampling["seed"]), run.population
    each = population.share_out(resampling["n_resamples"])
    variances = []
    for units in population.draws:
        drawn = [
            evaluate_resamples(name, run.labels, scores, weights, run.task, run.space)  # type: ignore[arg-type]
            for weights in units.resamples(each, rng)
        ]
        variances.append(variance_of(np.concatenate(drawn), units.size))
    scored = Scored(run.labels, scores, run.task, run.space)  # type: ignore[arg-type]
    values = metric(name).values(scored)
    if values is not None and np.isfinite(value):
        return share_estimate(values, population.variance(variances), population)
    return estimate(value, variances, population).interval(metric(name).range)
