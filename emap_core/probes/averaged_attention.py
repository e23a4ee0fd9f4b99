"""Which attention a model's answers rest on: within the sides, or between words and picture.

A quadrant of the attention weights is averaged in all layers, or in one, and the examples are
scored again (QUAG, Rawal et al., ICML 2024, arXiv 2306.08889). It is not EMAP: the mean of the
other side still gets through, and interactions outside attention stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from emap_core import inference
from emap_core.decomposition import decompose
from emap_core.errors import RunError
from emap_core.figures import Chart
from emap_core.figures.attention_quadrants import attention_quadrants
from emap_core.human_readable import capitalised
from emap_core.inference import evaluate, metric, paired_difference
from emap_core.inference.number_format import bracket, change, measured, percent
from emap_core.inference.resamples.population import population_of_items
from emap_core.probes.base import Cost
from emap_core.runs import Run
from emap_core.themes import LIGHT, Theme
from emap_core.types import Array, Index

if TYPE_CHECKING:
    from emap_core.engine.progress import Progress
    from emap_core.models.attention_of_pairs import AttentionOfPairs
    from emap_core.probes.probe_folder import ProbeFolder
    from emap_core.probes.probed_run import ProbedRun

IMPAIRMENTS = {
    "unimodal": "attention within the sides averaged",
    "crossmodal": "attention between the sides averaged",
    "text": "attention to words averaged",
    "image": "attention to the picture averaged",
}
"""Each impairment in words, by its name in `emap_core.models.attention`."""

_REACHED = (
    *("Blip", "BridgeTower", "Flava", "Gemma3", "Idefics3", "InternVL", "Llava", "Lxmert"),
    *("PaliGemma", "Qwen", "SmolVLM", "Vilt", "VisualBert"),
)
"""Beginnings of the architectures whose families say where words and picture are."""
_DEMOS = ("demo:self-attention", "demo:cross-attention")
_TWO_TOWERS = "two towers"
_NOT_REACHED = {
    **dict.fromkeys(
        ("hf-any", "onnx", "torchscript", "export"),
        "the model is run as a whole, so its attention cannot be reached",
    ),
    "openai": "a server sends only answers, not the attention behind them",
}
"""Reasons, by the prefix of a spec."""
_MOST_LAYERS = 12
_PAIRS = 16


@dataclass(frozen=True)
class Attention:
    """Ask which attention a model's answers rest on.

    Parameters
    ----------
    n_examples : int
        Number of examples, drawn at random, to score under each impairment.
    n_items : int
        Number of texts and images to recombine for the share of interactions.
    seed : int
    """

    n_examples: int = 200
    n_items: int = 12
    seed: int = 0

    name: ClassVar[str] = "attention"
    question: ClassVar[str] = "Which attention do the answers rest on?"

    def key(self, run: Run) -> str:
        """Return the settings that differ from the defaults."""
        usual = Attention()
        return "-".join(
            f"{name.removeprefix('n_')}-{value}"
            for name, value in asdict(self).items()
            if value != getattr(usual, name)
        )

    def needs(self, probed: ProbedRun) -> str | None:
        """Return why the run cannot be asked, or None if it can."""
        run = probed.run
        if run.labels is None or not run.metrics:
            return "the data has no labels, so there is no score to lose"
        return _without_attention(probed.recorded_model) or probed.why_not

    def cost(self, run: Run) -> Cost:
        """Return the largest possible cost: the number of layers is not known in advance."""
        n = min(self.n_examples, len(run.ids))
        passes = n * (1 + len(IMPAIRMENTS) + _MOST_LAYERS)
        passes += (1 + len(IMPAIRMENTS)) * min(self.n_items, n) ** 2
        return Cost(passes, None)

    def answer(self, probed: ProbedRun, folder: ProbeFolder, progress: Progress) -> Quadrants:
        """Score examples under each impairment, in all layers and in single ones.

        Raises
        ------
        EmapError
            If the model's attention cannot be reached, or the model is not the run's.
        """
        run = probed.run
        progress.tell("checking")
        probed.check(0)
        rng = np.random.default_rng(self.seed)
        n = min(self.n_examples, len(run.ids))
        chosen = np.sort(rng.choice(len(run.ids), n, replace=False))
        stated = probed.fingerprint
        folder.resume(None if stated is None else {"model": stated, **asdict(self)})
        asked = _Asked(probed, folder, progress, self.cost(run).passes)
        scores, layers = asked.examples(chosen)
        shares = asked.shares(chosen[rng.permutation(n)[: self.n_items]])
        progress.check()
        return self._found(run, chosen, scores, layers, shares, sorted(asked.quadrants))

    def _found(
        self,
        run: Run,
        chosen: Index,
        scores: dict[str, Array],
        layers: list[int],
        shares: dict[str, float],
        quadrants: list[tuple[str, str]],
    ) -> Quadrants:
        name, labels, d = run.metrics[0], np.asarray(run.labels)[chosen], run.decomposition
        task, space = run.task, run.space
        resampling = run.manifest["resampling"]
        population = population_of_items(
            d.row_index[chosen], d.column_index[chosen], resampling["cluster"]
        )
        impaired = {}
        for which in IMPAIRMENTS:
            lost = paired_difference(
                name,
                labels,
                scores["whole"],
                scores[which],
                task,
                space,
                population,
                n_resamples=resampling["n_resamples"],
                seed=resampling["seed"],
            )
            value = evaluate(name, labels, scores[which], task, space)
            impaired[which] = Impaired(value, lost.value, lost.low, lost.high, shares[which])
        alone = {layer: scores[f"layer-{layer}"] for layer in layers}
        return Quadrants(
            name,
            evaluate(name, labels, scores["whole"], task, space),
            shares["whole"],
            impaired,
            {k: evaluate(name, labels, one, task, space) for k, one in alone.items()},
            tuple(f"{query}-{key}" for query, key in quadrants),
            len(chosen),
            population.words,
        )

    def read(self, content: Mapping[str, Any]) -> Quadrants:
        """Return a result from the output of `Quadrants.to_json`."""
        return Quadrants.from_json(content)


def _without_attention(made: Mapping[str, Any]) -> str | None:
    """Return why a model has no attention to impair, as far as the run can tell."""
    spec, about = str(made.get("spec", "")), made.get("description") or {}
    prefix, architecture = spec.partition(":")[0], str(about.get("architecture", ""))
    if prefix == "demo" and spec not in _DEMOS:
        return f"{spec} has no attention between text and image"
    if prefix == "hf" and about.get("family") == _TWO_TOWERS:
        return f"{architecture} compares two vectors, so text and image do not meet in attention"
    if prefix == "hf" and architecture and not architecture.startswith(_REACHED):
        return f"it is not known where {architecture} has words and where the picture"
    return _NOT_REACHED.get(prefix)


class _Asked:
    """The model's scores under each impairment, some pairs at a time."""

    def __init__(
        self, probed: ProbedRun, folder: ProbeFolder, progress: Progress, n_passes: int
    ) -> None:
        self._probed, self._folder, self._progress = probed, folder, progress
        self.quadrants: set[tuple[str, str]] = set()
        self._done = 0
        progress.tell("asking", pairs_total=n_passes)
        progress.start_pairs(0, n_passes)

    def examples(self, chosen: Index) -> tuple[dict[str, Array], list[int]]:
        """Return the scores of examples under each condition, (n, C), and the layers used."""
        found: dict[str, list[Array]] = {}
        layers: list[int] = []
        for start in range(0, len(chosen), _PAIRS):
            some = chosen[start : start + _PAIRS]
            pairs = self._pairs([int(i) for i in some])
            if not layers:
                pairs.scores()
                layers = _spread(sorted(pairs.seen))
            conditions: dict[str, tuple[str | None, set[int] | None]] = {
                "whole": (None, None),
                **{name: (name, None) for name in IMPAIRMENTS},
                **{f"layer-{layer}": ("crossmodal", {layer}) for layer in layers},
            }
            for name, (impairment, which) in conditions.items():
                tile = self._tile(
                    f"{name}-{start:06d}", pairs, len(some), impairment=impairment, layers=which
                )
                found.setdefault(name, []).append(tile)
            self.quadrants |= pairs.quadrants
        return {name: np.concatenate(parts) for name, parts in found.items()}, layers

    def shares(self, chosen: Index) -> dict[str, float]:
        """Return the interactions' share of the variance over all pairs of some examples' items."""
        pairs = self._pairs([int(i) for i in chosen])
        n = len(chosen)
        rows, columns = np.repeat(np.arange(n), n), np.tile(np.arange(n), n)
        found = {}
        for name in ("whole", *IMPAIRMENTS):
            impairment = None if name == "whole" else name
            cells = [
                self._tile(
                    f"grid-{name}-{row:03d}",
                    pairs,
                    n,
                    impairment=impairment,
                    rows=rows[row * n : (row + 1) * n].tolist(),
                    columns=columns[row * n : (row + 1) * n].tolist(),
                )
                for row in range(n)
            ]
            d = decompose(np.stack(cells))
            d = d.class_centred() if self._probed.run.softmax else d
            found[name] = float(d.pooled_shares[-1])
        return found

    def _pairs(self, chosen: list[int]) -> AttentionOfPairs:
        from emap_core.models.attention_of_pairs import AttentionOfPairs

        probed = self._probed
        return AttentionOfPairs(
            probed.scorer,
            [probed.text(i) for i in chosen],
            [probed.image(i) for i in chosen],
        )

    def _tile(self, name: str, pairs: AttentionOfPairs, n: int, **asked: Any) -> Array:
        from emap_core.engine.output_space import to_space

        run, scorer = self._probed.run, self._probed.scorer

        def compute() -> Array:
            values = to_space(pairs.scores(**asked), scorer.output, run.space, run.task)
            return np.asarray(values, dtype=np.float64)

        self._progress.check()
        found = self._folder.tile(name, (n, run.manifest["n_classes"]), compute)
        self._done += n
        self._progress.pairs(self._done, lambda: None)
        return found


def _spread(layers: list[int]) -> list[int]:
    """Return at most `_MOST_LAYERS` layers, the first and the last among them."""
    if len(layers) <= _MOST_LAYERS:
        return layers
    places = np.linspace(0, len(layers) - 1, _MOST_LAYERS).round().astype(int)
    return [layers[place] for place in places]


@dataclass(frozen=True)
class Impaired:
    """The score with some quadrants averaged.

    Attributes
    ----------
    value : float
        The metric.
    lost, low, high : float
        How much worse that is than the intact model, with 95% limits.
    interaction_share : float
        Share of the variance over recombinations of some texts and images.
    """

    value: float
    lost: float
    low: float
    high: float
    interaction_share: float


@dataclass(frozen=True)
class Quadrants:
    """Which attention the answers rest on.

    Attributes
    ----------
    metric : str
    whole : float
        The metric of the intact model on these examples.
    interaction_share : float
        Of the intact model.
    impaired : dict of Impaired
        By the names of `IMPAIRMENTS`.
    layers : dict of int to float
        The metric with attention between the sides averaged in only one layer.
    quadrants : tuple of str
        The quadrants that the model has, as ``QUERY-KEY``.
    n_examples : int
    population : str
    """

    metric: str
    whole: float
    interaction_share: float
    impaired: dict[str, Impaired]
    layers: dict[int, float]
    quadrants: tuple[str, ...]
    n_examples: int
    population: str

    @property
    def sentence(self) -> str:
        """What averaging attention between the sides costs, compared with attention within them."""
        which = metric(self.metric)
        between, within = self.impaired["crossmodal"], self.impaired["unimodal"]
        said = (
            f"With attention between the sides averaged, {which.label} goes from "
            f"{measured(self.whole, which.unit)} to {self._told(between)}; with attention within "
            f"the sides averaged, to {measured(within.value, which.unit)}."
        )
        shares = self.interaction_share, between.interaction_share
        said += f" Interactions carry {percent(shares[0])}, then {percent(shares[1])}."
        if len(self.layers) > 1:
            sign = 1.0 if which.higher_is_better else -1.0
            layer = min(self.layers, key=lambda one: sign * self.layers[one])
            if sign * (self.whole - self.layers[layer]) > 0:
                said += (
                    f" Among single layers, layer {layer + 1} costs most: "
                    f"{measured(self.layers[layer], which.unit)} without its attention between "
                    "the sides."
                )
        return said

    def _told(self, one: Impaired) -> str:
        unit = metric(self.metric).unit
        change_of, low, high = self._change(one)
        return f"{measured(one.value, unit)}, {change(change_of, unit)} {bracket(low, high, unit)}"

    def _change(self, one: Impaired) -> tuple[float, float, float]:
        """Return how much the metric rises, with limits."""
        if metric(self.metric).higher_is_better:
            return -one.lost, -one.high, -one.low
        return one.lost, one.low, one.high

    @property
    def details(self) -> list[str]:
        """What a reader has to know besides the figure."""
        there = [one.replace("-", " to ") for one in self.quadrants]
        missing = [
            f"{query} to {key}"
            for query in ("text", "image")
            for key in ("text", "image")
            if f"{query} to {key}" not in there
        ]
        return [
            f"95% intervals in brackets, {self.population}, N = {self.n_examples:,} examples drawn "
            "at random. Encoders stay intact. Averaging keeps the total that a row of attention "
            "gives to each side, but removes the choice within the side.",
            *(
                [f"The model has no attention from {', from '.join(missing)} here."]
                if missing
                else []
            ),
        ]

    def chart(self, theme: Theme = LIGHT) -> Chart:
        """Return the metric under each impairment, and layer by layer."""
        table = pd.DataFrame(
            [
                {
                    "row": capitalised(IMPAIRMENTS[name]),
                    "value": one.value,
                    **dict(zip(("change", "low", "high"), self._change(one), strict=True)),
                    "interaction_share": one.interaction_share,
                }
                for name, one in self.impaired.items()
            ]
        )
        return attention_quadrants(
            table, self.whole, self.interaction_share, self.layers, self.metric, theme=theme
        )

    def __str__(self) -> str:
        unit = metric(self.metric).unit
        lines = [
            f"{'the model as it is':40}{measured(self.whole, unit):45}"
            f"interactions {percent(self.interaction_share)}",
            *(
                f"{IMPAIRMENTS[name]:40}{self._told(one):45}"
                f"interactions {percent(one.interaction_share)}"
                for name, one in self.impaired.items()
            ),
            "",
            *(
                f"{f'between the sides, only layer {layer + 1}':40}{measured(value, unit)}"
                for layer, value in self.layers.items()
            ),
        ]
        return "\n".join([self.sentence, "", *lines, "", *self.details])

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        layers = {str(layer): value for layer, value in self.layers.items()}
        return {**asdict(self), "layers": layers, "sentence": self.sentence}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Quadrants:
        """Return the result that `to_json` was called on.

        Raises
        ------
        RunError
            If the content is something else.
        """
        try:
            inference.metric(content["metric"])
            return cls(
                str(content["metric"]),
                float(content["whole"]),
                float(content["interaction_share"]),
                {name: Impaired(**content["impaired"][name]) for name in IMPAIRMENTS},
                {int(layer): float(value) for layer, value in content["layers"].items()},
                tuple(map(str, content["quadrants"])),
                int(content["n_examples"]),
                str(content["population"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise RunError(f"what the probe attention found cannot be read: {error}") from error
