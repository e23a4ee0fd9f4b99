"""How often the 95% interval of a gap holds the gap of the whole population.

Data sets are drawn from a model whose additive part is known in closed form: texts x and images z
are independent standard normal vectors, and class c scores x·a_c + z·b_c + λ xᵀM_c z. The last
term has mean 0 given either side, so the first two are the projection in the population. The
gap in the population is taken over four million fresh examples.

    python -m benchmarks.coverage                   # hours on one core
    python -m benchmarks.coverage --sizes 100 --data-sets 100 --interactions weak

Kinds of limits: `corrected` is what `emap_core.inference.limits` gives and every run uses;
percentile, basic, BCa and studentised ones are from the same resamples, with the projection
computed anew in each; `scores alone` are percentile limits with the projection of the sample
kept. All numbers are in points. Rows `interaction share` are about the share of the variance.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from scipy import stats

import emap_core as emap
from emap_core.inference.limits import estimate, rule_of_three, variance_of
from emap_core.inference.metrics import evaluate_shuffled, metric
from emap_core.inference.population import population_of
from emap_core.inference.resampling import reproject
from emap_core.inference.scores import Scored, predict

N_FEATURES, N_CLASSES = 3, 3
LABEL_NOISE = 0.5
STRENGTHS = {"barely any": 0.03, "weak": 0.1, "strong": 1.0, "nearly all": 3.0}
KINDS = ("corrected", "percentile", "basic", "BCa", "studentised", "scores alone")
COLUMNS = ("interaction", "N", "images", "data sets", "projection", "gap", "bias", "width", *KINDS)

_coefficients = np.random.default_rng(123)
TEXT = _coefficients.normal(size=(N_FEATURES, N_CLASSES))
IMAGE = _coefficients.normal(size=(N_FEATURES, N_CLASSES))
MIXED = _coefficients.normal(size=(N_CLASSES, N_FEATURES, N_FEATURES))


@dataclass(frozen=True)
class Setting:
    """One population, and how many examples and images a data set holds."""

    interaction: str
    n_examples: int
    n_images: int

    @property
    def strength(self) -> float:
        """The factor λ of the interaction term."""
        return STRENGTHS[self.interaction]


def population_gap(strength: float) -> float:
    """Return what accuracy loses in the population without interactions."""
    rng = np.random.default_rng(9)
    gaps = []
    for _ in range(20):
        x, z = rng.normal(size=(2, 200_000, N_FEATURES))
        additive = x @ TEXT + z @ IMAGE
        scores = additive + strength * np.einsum("id,cde,ie->ic", x, MIXED, z, optimize=True)
        labels = noisy_labels(scores, rng)
        gaps.append(((scores.argmax(1) == labels) * 1.0 - (additive.argmax(1) == labels)).mean())
    return float(np.mean(gaps))


def population_interaction_share(strength: float) -> float:
    """Return the share of the variance of the scores that interactions carry, pooled."""
    interaction = strength**2 * (MIXED**2).sum()
    return float(interaction / (interaction + (TEXT**2).sum() + (IMAGE**2).sum()))


def noisy_labels(scores: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return labels that the model gets right most of the time."""
    return (scores + LABEL_NOISE * rng.gumbel(size=scores.shape)).argmax(axis=1)


def draw(setting: Setting, rng: np.random.Generator) -> tuple:
    """Return the grid of one data set, its decomposition and its labels."""
    x = rng.normal(size=(setting.n_examples, N_FEATURES))
    z = rng.normal(size=(setting.n_images, N_FEATURES))
    mixed = np.einsum("id,cde,je->ijc", x, MIXED, z, optimize=True)
    grid = (x @ TEXT)[:, None] + (z @ IMAGE)[None] + setting.strength * mixed
    text = np.arange(setting.n_examples)
    decomposition = emap.decompose(grid, text, text % setting.n_images)
    return grid, decomposition, noisy_labels(decomposition.logits, rng)


def limits_of_one(setting: Setting, n_resamples: int, rng: np.random.Generator) -> dict:
    """Return the estimate, and the limits of every kind, for each projection and for the share."""
    grid, decomposition, labels = draw(setting, rng)
    population = population_of(decomposition)
    (units,) = population.draws
    weights = units.draw(n_resamples, rng)
    accuracy = metric("accuracy")
    full = (decomposition.logits.argmax(axis=1) == labels).astype(float)
    differences, flips, squares = defaultdict(list), defaultdict(list), []
    for part in reproject(grid, decomposition, weights):
        squares.append(part.sums_of_squares.sum(axis=2))
        places = units.places(len(part.weights), rng)
        for name in ("emap", "emap_leave_one_out"):
            scored = Scored(labels, part.scores[name], "multiclass", "logits")
            differences[name].append(full - (scored.predictions == labels))
            flips[name].append(evaluate_shuffled(accuracy, scored, places).var(ddof=1))
    found = {}
    for name in differences:
        own = full - (predict(getattr(decomposition, name), "multiclass") == labels)
        found[name] = (
            own.mean(),
            gap_limits(
                own,
                np.concatenate(differences[name]),
                weights,
                float(np.mean(flips[name])),
                population,
            ),
        )
    shares = np.concatenate(squares)
    shares = shares[:, 2] / shares.sum(axis=1)
    value = float(decomposition.pooled_shares[2])
    variance = variance_of(shares, units.size)
    interval = estimate(value, [variance], population).interval((0.0, 1.0))
    kinds = {"corrected": (interval.low, interval.high)}
    kinds["percentile"] = tuple(np.quantile(shares, [0.025, 0.975]))
    kinds["basic"] = tuple(2 * value - np.quantile(shares, [0.975, 0.025]))
    found["interaction share"] = value, kinds
    return found


def gap_limits(own, differences, weights, flips, population) -> dict:
    """Return the limits of every kind for one gap."""
    (units,) = population.draws
    total = weights.sum(axis=1)
    gap = own.mean()
    replicates = (weights * differences).sum(axis=1) / total
    alone = weights @ own / total
    numbers, n_clusters = units.groups, units.size
    error = np.sqrt((np.bincount(numbers, own - gap) ** 2).sum()) / len(own)
    centred = differences - replicates[:, None]
    members = numbers[:, None] == np.arange(n_clusters)
    first = members.argmax(axis=0)
    squares = (weights[:, first] * (centred @ members) ** 2).sum(axis=1)
    errors = np.sqrt(squares) / total

    used = estimate(
        gap,
        [variance_of(replicates, n_clusters, flips)],
        population,
        at_least=rule_of_three(own != 0, population),
    )
    tails = np.array([0.025, 0.975])
    influence = np.bincount(numbers, own - gap)
    acceleration = (influence**3).sum() / 6 / max((influence**2).sum(), 1e-12) ** 1.5
    below = (replicates < gap).mean() + (replicates == gap).mean() / 2
    shift = stats.norm.ppf(np.clip(below, 1 / len(replicates), 1 - 1 / len(replicates)))
    z = shift + stats.norm.ppf(tails)
    t = np.quantile((replicates - gap) / np.maximum(errors, 1e-9), tails)
    return {
        "corrected": (used.low, used.high),
        "percentile": tuple(np.quantile(replicates, tails)),
        "basic": tuple(2 * gap - np.quantile(replicates, tails[::-1])),
        "BCa": tuple(np.quantile(replicates, stats.norm.cdf(shift + z / (1 - acceleration * z)))),
        "studentised": (gap - error * t[1], gap - error * t[0]),
        "scores alone": tuple(np.quantile(alone, tails)),
    }


def rows(setting: Setting, n_sets: int, n_resamples: int, seed: int) -> list[dict]:
    """Return the lines of the table for one setting."""
    truth = dict.fromkeys(("emap", "emap_leave_one_out"), population_gap(setting.strength))
    truth["interaction share"] = population_interaction_share(setting.strength)
    held, bias, width = defaultdict(list), defaultdict(list), defaultdict(list)
    for number in range(n_sets):
        rng = np.random.default_rng([seed, number])
        for name, (value, limits) in limits_of_one(setting, n_resamples, rng).items():
            bias[name].append(value - truth[name])
            width[name].append(limits["corrected"][1] - limits["corrected"][0])
            for kind, (low, high) in limits.items():
                held[name, kind].append(low <= truth[name] <= high)
    return [
        {
            "interaction": setting.interaction,
            "N": f"{setting.n_examples:,}",
            "images": f"{setting.n_images:,}",
            "data sets": f"{n_sets:,}",
            "projection": name.replace("_", " "),
            "gap": f"{100 * truth[name]:.2f}",
            "bias": f"{100 * np.mean(bias[name]):+.2f}".replace("-", "−"),
            "width": f"{100 * np.mean(width[name]):.1f}",
            **{
                kind: f"{100 * np.mean(held[name, kind]):.1f}" if (name, kind) in held else ""
                for kind in KINDS
            },
        }
        for name in truth
    ]


def line(cells: list[str]) -> str:
    """Return a line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 400, 1600])
    parser.add_argument("--interactions", nargs="+", default=list(STRENGTHS), choices=STRENGTHS)
    parser.add_argument("--data-sets", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=300)
    parser.add_argument("--texts-per-image", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(line(list(COLUMNS)))
    print(line(["---"] * len(COLUMNS)))
    start = time.monotonic()
    for size in given.sizes:
        for interaction in given.interactions:
            setting = Setting(interaction, size, size // given.texts_per_image)
            for row in rows(setting, given.data_sets, given.resamples, given.seed):
                print(line([row[column] for column in COLUMNS]), flush=True)
    print(f"\n{given.resamples} resamples a data set; {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
