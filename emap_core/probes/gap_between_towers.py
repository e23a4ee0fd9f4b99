"""Where the two towers are: the gap between a model's text vectors and image vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from emap_core.errors import ModelError, RunError
from emap_core.figures import Chart, looks_of
from emap_core.figures.two_clouds import two_clouds
from emap_core.inference import Interval
from emap_core.inference.number_format import bracket, number, percent
from emap_core.inference.other_measures.modality_gap import (
    ModalityGap,
    Shift,
    gap_intervals,
    modality_gap,
    unit_rows,
)
from emap_core.probes.base import Cost
from emap_core.runs import Run
from emap_core.themes import LIGHT, Theme
from emap_core.types import Array

if TYPE_CHECKING:
    from emap_core.engine.progress import Progress
    from emap_core.probes.probe_folder import ProbeFolder
    from emap_core.probes.probed_run import ProbedRun

_MOST_POINTS = 400
_NAMES = {
    "gap": "gap",
    "text_cone": "mean cosine of two texts",
    "image_cone": "mean cosine of two images",
    "matched": "mean cosine of matched pairs",
    "relative_gap": "relative gap (RMG)",
    "offset_share": "share of the offset",
    "separability": "accuracy of telling sides apart",
    "centred_texts_found": "recall at 1 of texts, centred",
    "centred_images_found": "recall at 1 of images, centred",
}
"""Names for the numbers of `ModalityGap`."""
_AT_REST = {"texts_found": "recall at 1 of texts", "images_found": "recall at 1 of images"}
"""Names for the numbers without a shift."""


@dataclass(frozen=True)
class TwoTowers:
    """Ask where a two-tower model's vectors of texts and images are.

    Parameters
    ----------
    seed : int
        Seed of the examples that are ranked and drawn, if there are many.
    """

    seed: int = 0

    name: ClassVar[str] = "two-towers"
    question: ClassVar[str] = "Where do the two towers lie?"

    def key(self, run: Run) -> str:
        """Return the seed, unless it is the default."""
        return "" if self.seed == 0 else f"seed-{self.seed}"

    def needs(self, probed: ProbedRun) -> str | None:
        """Return why the run cannot be asked, such as scores that are not similarities."""
        if probed.run.manifest["n_classes"] != 1:
            return "its outputs are classes, not the similarity of a text and an image"
        return probed.why_not

    def cost(self, run: Run) -> Cost:
        """Return a cost of zero pairs: texts and images are only encoded."""
        return Cost(0, None)

    def answer(self, probed: ProbedRun, folder: ProbeFolder, progress: Progress) -> Towers:
        """Encode texts and images, and measure where they are.

        Raises
        ------
        EmapError
            If the model does not compare two vectors, or is not the run's.
        """
        run, scorer = probed.run, probed.scorer
        if not (scorer.staged and scorer.similarity):
            raise ModelError(
                "the model does not say that it compares two vectors (similarity = True), so it "
                "has no towers to look at; ask another run"
            )
        progress.tell("checking")
        probed.check(0)
        d = run.decomposition
        _, first = np.unique(d.column_index, return_index=True)
        texts = probed.encoded_texts(run.texts).vectors()
        progress.check()
        images = probed.encoded_images([probed.image(int(i)) for i in first]).vectors()
        if texts.shape[1] != images.shape[1]:
            raise ModelError(
                f"encodings of texts have {texts.shape[1]} numbers and those of images "
                f"{images.shape[1]}; the towers lie in different spaces"
            )
        found = modality_gap(texts, images, d.row_index, d.column_index, seed=self.seed)
        limits = gap_intervals(texts, images, d.row_index, d.column_index, run.population)
        rows = np.arange(len(run.ids))
        if len(rows) > _MOST_POINTS:
            draws = np.random.default_rng(self.seed)
            rows = np.sort(draws.choice(rows, _MOST_POINTS, replace=False))
        both = unit_rows(np.concatenate([texts[d.row_index[rows]], images[d.column_index[rows]]]))
        centred = both - both.mean(axis=0)
        _, _, axes = np.linalg.svd(centred, full_matrices=False)
        points = centred @ axes[:2].T
        whom = run.population.words
        modalities = tuple(side.modality for side in run.sides)
        return Towers(
            found, points[: len(rows)], points[len(rows) :], limits, whom, len(run.ids), modalities
        )

    def read(self, content: Mapping[str, Any]) -> Towers:
        """Return a result from the output of `Towers.to_json`."""
        return Towers.from_json(content)


@dataclass(frozen=True, eq=False)
class Towers:
    """Where the two towers are.

    Attributes
    ----------
    geometry : ModalityGap
    texts, images : ndarray of shape (n, 2)
        Leading principal components of both clouds together; a matched pair is one row.
    limits : dict of Interval
        Limits of the numbers that follow from means of vectors, by name in `geometry`; empty if an
        earlier version measured them.
    population : str
        Whom the limits speak of.
    n_examples : int
    modalities : tuple of str
        Of both sides, which decide their colours.
    """

    geometry: ModalityGap
    texts: Array
    images: Array
    limits: dict[str, Interval]
    population: str
    n_examples: int
    modalities: tuple[str, ...] = ("text", "image")

    @property
    def sentence(self) -> str:
        """What the numbers say, without praise or blame: a gap is neither good nor bad."""
        g = self.geometry
        best = max(g.shifts, key=lambda one: one.images_found + one.texts_found)
        at_rest = next(one for one in g.shifts if one.shift == 0)
        moved = (
            "No shift along it finds more pairs."
            if best.images_found + best.texts_found
            <= at_rest.images_found + at_rest.texts_found + 1e-12
            else f"Recall at 1 of images is {percent(at_rest.images_found)} now, and would be "
            f"{percent(best.images_found)} with a gap of {number(best.distance)}."
        )
        return (
            f"Texts and images are {number(g.gap)} apart; {percent(g.offset_share)} of the squared "
            "distance of matched pairs is this common offset, which only affects additive parts. "
            f"{moved}"
        )

    def chart(self, theme: Theme = LIGHT) -> Chart:
        """Return the figure of both clouds, and of recall along the gap."""
        looks = looks_of(dict(zip(("text", "image"), self.modalities, strict=True)))
        return two_clouds(self.texts, self.images, self.geometry, looks=looks, theme=theme)

    @property
    def table(self) -> dict[str, list[str]]:
        """The numbers, with limits if there are any."""
        g = self.geometry
        at_rest = next(one for one in g.shifts if one.shift == 0)
        values = {
            **{name: getattr(g, name) for name in _NAMES},
            **{"texts_found": at_rest.texts_found, "images_found": at_rest.images_found},
        }
        return {
            "Number": list(_NAMES.values()) + list(_AT_REST.values()),
            "Value": [
                f"{number(value)} {bracket(one.low, one.high)}"
                if (one := self.limits.get(name))
                else number(value)
                for name, value in values.items()
            ],
        }

    @property
    def details(self) -> list[str]:
        """What a reader has to know besides the figure."""
        n_pairs = self.geometry.n_pairs
        whom = (
            [f"95% intervals in brackets, {self.population}, N = {self.n_examples:,}."]
            if self.limits
            else []
        )
        return [
            " ".join(
                [
                    *whom,
                    f"Recall, loss and the classifier are for {n_pairs:,} examples, ranked against "
                    "each other, and have no interval.",
                ]
            ),
            "None of this is EMAP: a gap only changes the additive parts of a score, and the "
            "interaction is the same at any gap.",
        ]

    def __str__(self) -> str:
        rows = zip(*self.table.values(), strict=True)
        lines = [f"{name:36}{value}" for name, value in rows]
        return "\n".join([self.sentence, "", *lines, "", *self.details])

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            # JSON has no NaN.
            "geometry": {k: v if v == v else None for k, v in asdict(self.geometry).items()},
            "texts": self.texts.tolist(),
            "images": self.images.tolist(),
            "limits": {name: one.to_json() for name, one in self.limits.items()},
            "population": self.population,
            "n_examples": self.n_examples,
            "modalities": self.modalities,
            "sentence": self.sentence,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Towers:
        """Return the result that `to_json` was called on.

        Raises
        ------
        RunError
            If the content is something else.
        """
        try:
            # None means not measured or not defined.
            kept = dict(content["geometry"])
            geometry: dict[str, Any] = {
                k: float("nan") if v is None else v for k, v in kept.items()
            }
            shifts = tuple(Shift(**one) for one in geometry.pop("shifts"))
            texts, images = (np.array(content[side], dtype=float) for side in ("texts", "images"))
            if texts.shape != images.shape or texts.ndim != 2 or texts.shape[1] > 2:
                raise ValueError(f"points have shapes {texts.shape} and {images.shape}")
            limits = {
                name: Interval.from_json(one) for name, one in content.get("limits", {}).items()
            }
            return cls(
                ModalityGap(**geometry, shifts=shifts),
                texts,
                images,
                limits,
                str(content.get("population", "")),
                int(content.get("n_examples", len(texts))),
                tuple(map(str, content.get("modalities", ("text", "image")))),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise RunError(f"what the probe two-towers found cannot be read: {error}") from error
