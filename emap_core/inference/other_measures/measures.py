"""Other papers' measures, from a run's answers over all recombinations.

`known_measures` lists them with their sources. Names say what is computed if it differs from a
paper's own estimator.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emap_core.decomposition import Decomposition
from emap_core.decomposition.projection import example_shares
from emap_core.decomposition.recombined import Recombined
from emap_core.inference.example_kinds import earned, proportions
from emap_core.inference.gap import Interval
from emap_core.inference.number_format import points
from emap_core.inference.other_measures.known_measures import MEASURES
from emap_core.inference.other_measures.one_sided import Strips, one_sided_answers
from emap_core.inference.predictions.answers import n_answers, read_answers
from emap_core.inference.predictions.scores import predict
from emap_core.inference.resamples.limits import (
    estimate,
    rule_of_three,
    share_estimate,
    variance_of,
)
from emap_core.inference.resamples.population import Population
from emap_core.inference.resamples.replicates import Mixtures, Replicates
from emap_core.inference.table.score_table import best_constant, projections
from emap_core.types import AnyArray, Array, Space, Task

_BYTES_OF_SUMS = 2**28
# What may remain of a difference by rounding.
_NOTHING = 1e-9


# This many give their variance to a tenth, and it is a part of the whole.
_MOST_MIXTURES = 250
_MMOE = ("mmoe_synergistic", "mmoe_unique", "mmoe_redundant")
_EXAMPLES_ALONE = (
    "The grid was not kept, so limits come from the examples alone: what a side averages over is "
    "fixed, which makes limits a little too narrow."
)
_NO_LABELS = "the data has no labels"
_OF_SHUFFLING = tuple(n for n in MEASURES if n.startswith(("accuracy", "perceptual")))


@dataclass(frozen=True)
class Measures:
    """The values of the measures for a run.

    Attributes
    ----------
    values : dict of Interval
        By name, in the order of `MEASURES`.
    missing : dict of str
        Why there is no value, by name of the measure.
    population : str
        Whom the limits speak of.
    n_examples : int
    notes : list of str
        What a reader has to know about the limits.
    a_part : bool
        Whether the answers cover only some of the recombinations. It is not stored, since the run
        says so.
    """

    values: dict[str, Interval]
    missing: dict[str, str]
    population: str
    n_examples: int
    notes: list[str]
    a_part: bool = False

    @property
    def sentence(self) -> str:
        """The result in words."""
        found, said = self.values, []
        if "perceptual_image" in found and "perceptual_text" in found:
            image, text = (points(found[f"perceptual_{side}"].value) for side in ("image", "text"))
            said.append(f"Shuffling images costs {image} points of accuracy, texts {text}.")
        if "bits_both" in found:
            both, together = found["bits_both"].value, found["bits_together"].value
            told = f"The pair tells {both:.2f} bits about the answer"
            # From a part of the pairs, what both tell together can come out as 0, whatever it is.
            if not self.a_part:
                told += f"; {together:.2f} of them come only from both sides together"
            said.append(f"{told}.")
        if not said and "shape_cooperation" in found:
            said.append(
                f"Cooperation of text and image is {points(found['shape_cooperation'].value)} "
                "points of accuracy (SHAPE)."
            )
        return " ".join(said) or "None of the measures can be computed for this run."

    def to_json(self) -> dict[str, Any]:
        """Return plain values, with None for NaN."""
        content = asdict(self) | {"values": {k: v.to_json() for k, v in self.values.items()}}
        del content["a_part"]
        return content

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Measures:
        """Return what `to_json` was called on."""
        values = {name: Interval.from_json(one) for name, one in content["values"].items()}
        return cls(**{**content, "values": values})


def measures(
    decomposition: Decomposition,
    labels: AnyArray | None,
    task: Task,
    space: Space,
    recombined: Recombined | None,
    population: Population,
    *,
    why_not: str = "",
    strips: Strips | None = None,
    options_differ: bool = False,
    a_part: bool = False,
    n_resamples: int = 400,
    seed: int = 0,
) -> Measures:
    """Return other papers' measures, with 95% intervals.

    Parameters
    ----------
    decomposition : Decomposition
    labels : ndarray or None
        As for `evaluate`.
    task, space : str
        The task is multiclass or binary.
    recombined : Recombined or None
        The answers over all recombinations.
    population : Population
        What is drawn for the intervals.
    why_not : str
        Why there are no such answers, if there are none.
    strips : callable, optional
        Returns the grid in strips: numbers of texts and their cells. With it, every resample
        weights all recombinations anew. Without it, limits resample only the examples, and bits
        have none.
    options_differ : bool
        Whether the classes mean something different for each example, like the letters of a
        multiple choice: the answer to another picture is then not an answer.
    a_part : bool
        Whether the answers cover only some of the recombinations.
    n_resamples, seed : int
        As for `intervals`.
    """
    sample = _Sample(decomposition, labels, task, space)
    missing = {}
    for name, one in MEASURES.items():
        if labels is None and one.needs in ("labels", "both"):
            missing[name] = _NO_LABELS
        elif recombined is None and one.needs in ("grid", "both"):
            missing[name] = why_not
        elif options_differ and name in _OF_SHUFFLING:
            missing[name] = (
                "the classes are letters of options that differ by example, so the answer to "
                "another pair is neither right nor wrong"
            )
    ones = np.ones(len(decomposition.logits))
    every = sample.values(recombined, ones)
    values = {name: every[name] for name in MEASURES if name in every and name not in missing}
    missing |= {k: "it is not defined here" for k, v in values.items() if not np.isfinite(v)}
    replicates = sample.replicates(
        recombined, None if recombined is None else strips, population, n_resamples, seed
    )
    found = {
        name: _interval(sample, name, values[name], [r.get(name) for r in replicates], population)
        for name in values
        if name not in missing
    }
    if labels is not None and strips is None:
        found |= proportions(sample.types, _MMOE, population)
    elif labels is not None and strips is not None:
        found |= _reprojected(sample, strips, population, n_resamples, seed)
    notes = []
    if strips is None:
        notes.append(_EXAMPLES_ALONE + ("" if recombined is None else " Bits have none."))
    if recombined is not None and a_part:
        notes.append(
            "Means over some of the pairs are noisy. Local InterSHAP comes out a little high, and "
            "limits do not include the error from the choice of pairs. The bits of one side come "
            "out too high, and those from both together too low, perhaps as 0: for bits, score "
            "all pairs."
        )
    return Measures(
        {name: found[name] for name in MEASURES if name in found},
        missing,
        population.words,
        len(decomposition.logits),
        notes,
        a_part,
    )


def _reprojected(
    sample: _Sample, strips: Strips, population: Population, n_resamples: int, seed: int
) -> dict[str, Interval]:
    """Return the measures of one-sided answers; each resample computes their means anew."""
    rng = np.random.default_rng(seed)
    each = population.share_out(n_resamples)
    variances: dict[str, list[float]] = {}
    for units in population.draws:
        found: dict[str, Replicates] = {}
        n_mixtures = 0
        for weights in units.resamples(each, rng):
            for some, values in sample.one_sided(strips, weights):
                size = len(some)
                mixtures = None
                if size > 1 and n_mixtures < _MOST_MIXTURES:
                    n_mixtures += size
                    mixtures = Mixtures.drawn(units, size, rng)
                for name, of_examples in values.items():
                    replicates = found.setdefault(name, Replicates(units.size))
                    mean = np.einsum("bn,bn->b", some, of_examples) / some.sum(axis=1)
                    replicates.add(mean)
                    # Without it, limits of the types are too wide; with it, those of SHAPE, which
                    # are differences to a newly chosen constant, hold in only 9 of 10 samples.
                    if mixtures is not None and name in _MMOE:
                        mixed = np.take_along_axis(of_examples, mixtures.places, axis=0)
                        replicates.add_mixed(mixed.mean(axis=1))
        for name, replicates in found.items():
            variances.setdefault(name, []).append(replicates.variance)
    as_they_are = sample.as_they_are
    result = {}
    for name, of_draws in variances.items():
        if name in _MMOE:
            variance = population.variance(of_draws)
            result[name] = share_estimate(as_they_are[name], variance, population)
        else:
            value = float(as_they_are[name].mean())
            result[name] = estimate(value, of_draws, population).interval(MEASURES[name].range)
    return result


def _interval(
    sample: _Sample,
    name: str,
    value: float,
    replicates: list[Array | None],
    population: Population,
) -> Interval:
    known = [one for one in replicates if one is not None]
    if len(known) < len(replicates):
        return Interval(value, float("nan"), float("nan"))
    variances = [
        variance_of(values, units.size)
        for values, units in zip(known, population.draws, strict=True)
    ]
    # If no example shows a difference, resamples would say that there cannot be one.
    least = rule_of_three(sample.differs[name], population) if name in sample.differs else 0.0
    found = estimate(value, variances, population, at_least=least)
    return found.interval(MEASURES[name].range)


def options_differ(classes: Sequence[str], texts: Sequence[str]) -> bool:
    """Return whether classes are letters of options that most texts list: "A) red B) green"."""
    letters = [chr(ord("A") + c) for c in range(len(classes))]
    if len(letters) < 2 or [str(name).strip("(). ").upper() for name in classes] != letters:
        return False
    listed = re.compile(r"\bA[).:].*\bB[).:]", re.DOTALL | re.IGNORECASE)
    return sum(listed.search(text) is not None for text in texts) > len(texts) / 2


class _Sample:
    """The examples, and what is read from them independently of the recombinations."""

    def __init__(
        self, decomposition: Decomposition, labels: AnyArray | None, task: Task, space: Space
    ) -> None:
        self.texts, self.images = decomposition.row_index, decomposition.column_index
        self.shape = len(decomposition.row_share), len(decomposition.column_share)
        self.n_examples, self.n_outputs = decomposition.logits.shape
        self.n_classes = n_answers(task, self.n_outputs) or self.n_outputs
        self.task, self.space = task, space
        self.labels, self._decomposition = labels, decomposition
        rows = projections(decomposition, labels, task, space)
        decided = {row: predict(scores, task, space) for row, scores in rows.items()}
        self.decisions, found, _ = read_answers(decomposition.logits, task, space)
        self.probability = found[self.decisions, np.arange(self.n_examples)].astype(np.float64)
        self.differs: dict[str, NDArray[np.bool_]] = {}
        if labels is not None:
            self.earned = {
                row: np.asarray(earned(of_row, labels), dtype=np.float64)
                for row, of_row in decided.items()
            }
            self._agree = decided["text_only"] == decided["image_only"]
            right = self.earned["text_only"] > 0
            self.types = np.where(self._agree, np.where(right, _MMOE[2], _MMOE[0]), _MMOE[1])

    @property
    def as_they_are(self) -> dict[str, Array]:
        """The measures of one-sided answers as values of the examples, each of shape (N,)."""
        return _one_sided_values(self.earned, self._agree)

    def one_sided(self, strips: Strips, weights: Array) -> Iterator[tuple[Array, dict[str, Array]]]:
        """Yield some of B weightings with what `as_they_are` becomes in each, shape (b, N)."""
        labels, d = self.labels, self._decomposition
        if labels is None:
            raise ValueError("the credit of answers needs labels")

        task, space = self.task, self.space
        for some, text, image in one_sided_answers(strips, d, task, space, weights):
            best = best_constant(labels, some, self.n_outputs, task, space)
            constant = np.broadcast_to(predict(best[:, None], task, space), text.shape)
            rows = {
                "full": np.broadcast_to(self.earned["full"], text.shape),
                "text_only": _earned_each(text, labels),
                "image_only": _earned_each(image, labels),
                "constant": _earned_each(constant, labels),
            }
            yield some, _one_sided_values(rows, text == image)

    def values(self, recombined: Recombined | None, weights: Array) -> dict[str, float]:
        """Return the value of each measure under weights of the examples, shape (N,)."""
        found: dict[str, float] = {}
        if self.labels is not None:
            found |= self._shapley(weights)
        if recombined is not None:
            p, q = example_shares(self.texts, self.images, *self.shape, weights)
            found |= self._intershap(recombined, weights, p) | _bits(recombined, p, q)
            if self.labels is not None:
                found |= self._shuffled(recombined, weights, p, q)
        return found

    def replicates(
        self,
        recombined: Recombined | None,
        strips: Strips | None,
        population: Population,
        n_resamples: int,
        seed: int,
    ) -> list[dict[str, Array]]:
        """Return the values of the measures in the resamples of each way to draw."""
        rng = np.random.default_rng(seed)
        each = population.share_out(n_resamples)
        drawn = []
        for units in population.draws:
            found = [
                self.values(sums, weights)
                for some in units.resamples(each, rng)
                for sums, weights in self._recombined(recombined, strips, some)
            ]
            names = [n for n in found[0] if strips is not None or not n.startswith("bits")]
            drawn.append({name: np.array([one[name] for one in found]) for name in names})
        return drawn

    def _recombined(
        self, recombined: Recombined | None, strips: Strips | None, weights: Array
    ) -> Iterator[tuple[Recombined | None, Array]]:
        if strips is None:
            for one in weights:
                yield recombined, one
            return
        size = 8 * self.n_classes * sum(self.shape)
        step = max(1, _BYTES_OF_SUMS // size)
        for start in range(0, len(weights), step):
            some = weights[start : start + step]
            yield from zip(self._reweighted(strips, some), some, strict=True)

    def _reweighted(self, strips: Strips, weights: Array) -> Iterator[Recombined]:
        """Yield the answers under each of B weightings, reading the grid once."""
        shares = [example_shares(self.texts, self.images, *self.shape, one) for one in weights]
        p, q = (np.array(side, dtype=np.float32) for side in zip(*shares, strict=True))
        (n_rows, n_columns), k = self.shape, self.n_classes
        of_rows = np.empty((2 * k, n_rows, len(weights)), dtype=np.float32)
        of_columns = np.zeros((2 * k, len(weights), n_columns), dtype=np.float32)
        entropy = np.zeros(len(weights))
        for texts, cells in strips():
            decisions, found, entropies = read_answers(cells, self.task, self.space)
            decided = decisions == np.arange(k)[:, None, None]
            both = np.concatenate([decided.astype(np.float32), found])
            of_rows[:, texts] = both @ q.T
            of_columns += p[:, texts] @ both
            entropy += np.einsum("bw,bw->b", p[:, texts] @ entropies, q)
        for b in range(len(weights)):
            rows = of_rows[:, :, b].T.astype(np.float64)
            columns = of_columns[:, b].T.astype(np.float64)
            yield Recombined(
                rows[:, :k], columns[:, :k], rows[:, k:], columns[:, k:], np.asarray(entropy[b])
            )

    def _shuffled(
        self, recombined: Recombined, weights: Array, p: Array, q: Array
    ) -> dict[str, float]:
        right = self.earned["full"]
        column_replaced = self._credit(recombined.row_decisions[self.texts])
        row_replaced = self._credit(recombined.column_decisions[self.images])
        neither = self._credit(p @ recombined.row_decisions)
        self.differs.setdefault("perceptual_image", np.abs(right - column_replaced) > _NOTHING)
        self.differs.setdefault("perceptual_text", np.abs(right - row_replaced) > _NOTHING)
        own_row, own_column = p[self.texts], q[self.images]
        with np.errstate(invalid="ignore", divide="ignore"):
            other_columns = (column_replaced - own_column * right) / (1.0 - own_column)
            other_rows = (row_replaced - own_row * right) / (1.0 - own_row)
        means = {
            "accuracy": right,
            "accuracy_images_shuffled": column_replaced,
            "accuracy_texts_shuffled": row_replaced,
            "accuracy_both_shuffled": neither,
            "accuracy_images_replaced": other_columns,
            "accuracy_texts_replaced": other_rows,
        }
        total = weights.sum()
        found = {name: _mean(values, weights, total) for name, values in means.items()}
        accuracy = found["accuracy"]
        for side, shuffled in (("image", "images"), ("text", "texts")):
            lost = accuracy - found[f"accuracy_{shuffled}_shuffled"]
            found[f"perceptual_{side}"] = lost
            relative = lost / accuracy if accuracy > 0 else float("nan")
            found[f"perceptual_{side}_relative"] = relative
        return found

    def _credit(self, shares: Array) -> Array:
        """Return the credit of decisions with these shares, (N, K) or (K,), for each label."""
        labels = self.labels
        if labels is None:
            raise ValueError("credit needs labels")
        if labels.ndim == 2:
            return np.asarray((labels * shares).sum(axis=1))
        known = np.maximum(labels, 0).astype(np.intp)
        if shares.ndim == 1:
            found = shares[known]
        else:
            found = np.take_along_axis(shares, known[:, None], axis=1)[:, 0]
        return np.where(labels < 0, 0.0, found)

    def _shapley(self, weights: Array) -> dict[str, float]:
        total = weights.sum()
        full, text, image, constant = (
            _mean(self.earned[row], weights, total)
            for row in ("full", "text_only", "image_only", "constant")
        )
        return {
            "shape_cooperation": full + constant - text - image,
            "shape_text": ((text - constant) + (full - image)) / 2,
            "shape_image": ((image - constant) + (full - text)) / 2,
        }

    def _intershap(self, recombined: Recombined, weights: Array, p: Array) -> dict[str, float]:
        mean = p @ recombined.row_probabilities
        r, c = (
            np.take_along_axis(of_items[index], self.decisions[:, None], axis=1)[:, 0]
            for of_items, index in (
                (recombined.row_probabilities, self.texts),
                (recombined.column_probabilities, self.images),
            )
        )
        mean = mean[self.decisions]
        effects = np.stack([self.probability - r - c + mean, r - mean, c - mean])
        # Probabilities have single precision, so smaller effects are rounding.
        effects[np.abs(effects) < 1e-6] = 0.0
        sizes = np.abs(effects)
        self.differs.setdefault("intershap_local", sizes[0] > 0)
        defined = weights * (sizes.sum(axis=0) > 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = np.where(defined > 0, sizes[0] / sizes.sum(axis=0), 0.0)
            of_means = np.abs(effects @ weights / weights.sum())
            of_means[of_means < 1e-6] = 0.0
            return {
                "intershap_local": float(shares @ defined / defined.sum()),
                "intershap_global": float(of_means[0] / of_means.sum()),
            }


def _one_sided_values(earned: Mapping[str, Array], agree: NDArray[np.bool_]) -> dict[str, Array]:
    """Return SHAPE and the MMoE types from the credit of each row, all of the same shape."""
    full, text, image, constant = (
        earned[row] for row in ("full", "text_only", "image_only", "constant")
    )
    right = agree & (text > 0)
    types = dict(zip(_MMOE, (agree & ~right, ~agree, right), strict=True))
    return {
        "shape_cooperation": full + constant - text - image,
        "shape_text": ((text - constant) + (full - image)) / 2,
        "shape_image": ((image - constant) + (full - text)) / 2,
        **{name: one.astype(np.float64) for name, one in types.items()},
    }


def _earned_each(decided: AnyArray, labels: AnyArray) -> Array:
    """Return the credit of decisions of shape (B, N)."""
    if labels.ndim == 1:
        return np.asarray((decided == labels) & (labels >= 0), dtype=np.float64)
    credit = labels[np.arange(len(labels)), np.maximum(decided, 0)]
    return np.where(decided < 0, 0.0, credit)


def _bits(recombined: Recombined, p: Array, q: Array) -> dict[str, float]:
    answers = float(_entropy(p @ recombined.row_probabilities))
    text = answers - float(p @ _entropy(recombined.row_probabilities))
    image = answers - float(q @ _entropy(recombined.column_probabilities))
    both = answers - float(recombined.entropy)
    together = max(both - text - image, 0.0)
    return {
        "bits_answers": answers,
        "bits_text": max(text, 0.0),
        "bits_image": max(image, 0.0),
        "bits_both": max(both, 0.0),
        "bits_together": together,
        "bits_together_share": together / both if both > 1e-6 else float("nan"),
    }


def _entropy(probabilities: Array) -> Array:
    logs = np.log2(np.maximum(probabilities, np.finfo(np.float64).tiny))
    return np.asarray(-(probabilities * logs).sum(axis=-1))


def _mean(values: Array, weights: Array, total: float) -> float:
    return float(weights @ np.where(weights > 0, values, 0.0) / total)
