"""How often intervals hold the truth, how often tests are wrong, and how much they find.

``python -m benchmarks.coverage`` prints the tables and writes benchmarks/coverage.md; it takes
about an hour on one core. ``--data-sets 20`` is quicker, and writes nothing.

Data sets are drawn from a model whose additive part is known in closed form: texts x and images z
are independent standard normal vectors, and class c scores x·a_c + z·b_c + λ xᵀM_c z. The last
term has mean 0 given either side, so the first two are the projection in the population. The
gap in the population is taken over two million fresh examples.

A gap is that of the model against a projection computed from as many texts and images as a data
set has. Its expectation is the mean estimate; the tables also show the gap against the population's
projection. In a null population the model and its projection from the sample do equally well (with
``--population-null``, its projection in the population): where they decide differently, a coin says
which of them is right. There is one coin per text if texts repeat, one per image if images repeat,
and if both repeat, some examples use the text's coin and some the image's. So interactions help on
some questions and hurt on others.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from scipy import stats

import emap_core as emap
from benchmarks.tables import machine, markdown
from emap_core.inference import intervals, paired_difference
from emap_core.inference.gap import Gap
from emap_core.inference.resamples.limits import tango
from emap_core.inference.resamples.population import population_of_items
from emap_core.inference.robustness.cautions import cautions

N_FEATURES, N_CLASSES = 3, 3
LABEL_NOISE = 0.5
LAYOUTS = ("independent", "images shared", "texts shared", "a fifth of texts", "both shared")

_coefficients = np.random.default_rng(123)
TEXT = _coefficients.normal(size=(N_FEATURES, N_CLASSES))
IMAGE = _coefficients.normal(size=(N_FEATURES, N_CLASSES))
MIXED = _coefficients.normal(size=(N_CLASSES, N_FEATURES, N_FEATURES))


@dataclass(frozen=True)
class Setting:
    """One population, and how the examples of a data set share texts and images.

    Attributes
    ----------
    layout : str
        One of `LAYOUTS`.
    n_examples : int
    strength : float
        The factor λ of the interaction; of a fifth of the texts it is 1, and 0 of the others.
    null : bool
        Whether the gap is 0.
    of_population : bool
        Whether a null is one of the population's projection, not of the sample's own.
    """

    layout: str
    n_examples: int
    strength: float = 0.15
    null: bool = False
    of_population: bool = False

    def items(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of the texts and of the images of the examples."""
        n = self.n_examples
        each = np.arange(n)
        if self.layout == "independent":
            return each, each
        if self.layout == "images shared":
            return each, each % (n // 4)
        if self.layout == "both shared":
            # As many texts as images, each with ten examples; a pair occurs at most once.
            side = n // 10
            return each % side, (each + rng.permutation(side)[each // side]) % side
        return each % (n // 10), each

    def strengths(self, n_texts: int, rng: np.random.Generator) -> np.ndarray:
        """Return λ of each text."""
        if self.layout != "a fifth of texts":
            return np.full(n_texts, self.strength)
        return (rng.random(n_texts) < 0.2).astype(np.float64)


def scores_of(x: np.ndarray, z: np.ndarray, strengths: np.ndarray) -> tuple:
    """Return the scores of pairs and their additive part."""
    additive = x @ TEXT + z @ IMAGE
    mixed = np.einsum("id,cde,ie->ic", x, MIXED, z, optimize=True)
    return additive + strengths[:, None] * mixed, additive


def noisy_labels(scores: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return labels that the model gets right most of the time."""
    return (scores + LABEL_NOISE * rng.gumbel(size=scores.shape)).argmax(axis=1)


def null_labels(
    setting: Setting,
    decomposition: emap.Decomposition,
    other: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return labels that the model and a projection, `other`, get right equally often."""
    text, image = decomposition.row_index, decomposition.column_index
    full = decomposition.logits
    coins = {
        "independent": rng.random(len(text)),
        "images shared": rng.random(len(text))[image],
        "texts shared": rng.random(len(text))[text],
        "a fifth of texts": rng.random(len(text))[text],
        "both shared": np.where(
            rng.random(len(text)) < 0.5, rng.random(len(text))[text], rng.random(len(text))[image]
        ),
    }[setting.layout]
    right = np.where(coins < 0.5, full.argmax(axis=1), other.argmax(axis=1))
    return np.where(rng.random(len(right)) < 0.1, rng.integers(0, N_CLASSES, len(right)), right)


def population_gap(setting: Setting) -> float:
    """Return what accuracy loses in the population without interactions."""
    if setting.null:
        return 0.0
    return _gap_of_many(setting.layout == "a fifth of texts", setting.strength)


@cache
def _gap_of_many(a_fifth: bool, strength: float) -> float:
    setting = Setting("a fifth of texts" if a_fifth else "independent", 0, strength)
    rng = np.random.default_rng(9)
    gaps = []
    for _ in range(10):
        x, z = rng.normal(size=(2, 200_000, N_FEATURES))
        scores, additive = scores_of(x, z, setting.strengths(len(x), rng))
        labels = noisy_labels(scores, rng)
        gaps.append(((scores.argmax(1) == labels) * 1.0 - (additive.argmax(1) == labels)).mean())
    return float(np.mean(gaps))


def draw(setting: Setting, rng: np.random.Generator) -> tuple:
    """Return the grid of one data set, its decomposition and its labels."""
    text, image = setting.items(rng)
    n_texts, n_images = text.max() + 1, image.max() + 1
    x = rng.normal(size=(n_texts, N_FEATURES))
    z = rng.normal(size=(n_images, N_FEATURES))
    strengths = setting.strengths(n_texts, rng)
    mixed = np.einsum("id,cde,je->ijc", x, MIXED, z, optimize=True)
    additive = (x @ TEXT)[:, None] + (z @ IMAGE)[None]
    grid = additive + strengths[:, None, None] * mixed
    decomposition = emap.decompose(grid, text, image)
    if setting.null:
        own = decomposition.emap_leave_one_out
        other = additive[text, image] if setting.of_population else own
        labels = null_labels(setting, decomposition, other, rng)
    else:
        labels = noisy_labels(decomposition.logits, rng)
    return grid, decomposition, labels


def gaps_of(setting: Setting, n_sets: int, n_resamples: int, seed: int) -> list[Gap]:
    """Return the leave-one-out gap in accuracy of some data sets."""
    found = []
    for number in range(n_sets):
        rng = np.random.default_rng([seed, number])
        grid, decomposition, labels = draw(setting, rng)
        found.append(
            intervals(
                decomposition,
                labels,
                "multiclass",
                ["accuracy"],
                grid=grid,
                n_resamples=n_resamples,
                seed=number,
            ).gaps["accuracy"]["emap_leave_one_out"]
        )
    return found


def row(setting: Setting, n_sets: int, n_resamples: int, seed: int) -> list[str]:
    """Return the row of the table for one layout and size."""
    truth = population_gap(setting)
    gaps = gaps_of(setting, n_sets, n_resamples, seed)
    estimates = np.array([gap.difference for gap in gaps])
    held, of_population = (
        np.mean([gap.low <= value <= gap.high for gap in gaps])
        for value in (estimates.mean(), truth)
    )
    width = np.mean([gap.high - gap.low for gap in gaps])
    null = replace(setting, null=True)
    nulls = gaps_of(null, n_sets, n_resamples, seed + 1)
    wrong = np.mean([gap.p_value < 0.05 for gap in nulls])
    of_null = np.mean([gap.difference for gap in nulls])
    found = np.mean([gap.p_value < 0.05 for gap in gaps])
    oracle = np.mean(np.abs(estimates) > 1.96 * estimates.std(ddof=1))
    return [
        setting.layout,
        f"{setting.n_examples:,}",
        f"{n_sets:,}",
        f"{100 * truth:.2f}",
        f"{100 * estimates.mean():.2f}",
        f"{100 * held:.1f}",
        f"{100 * of_population:.1f}",
        f"{width / (3.92 * estimates.std(ddof=1)):.2f}",
        f"{100 * of_null:+.2f}".replace("-", "−"),
        f"{100 * wrong:.1f}",
        f"{100 * found:.0f}",
        f"{100 * oracle:.0f}",
    ]


def few_flips() -> list[list[str]]:
    """Return exact coverage and power where all flips go one way, of 400 examples."""
    n, reach = 400, float(stats.t.ppf(0.975, 399))
    numbers = np.arange(60)
    limits = np.array([tango(float(b), 0.0, float(n), reach) for b in numbers])
    rows = []
    for expected in (3, 4, 5, 6, 7, 8, 12, 20):
        weight = stats.binom.pmf(numbers, n, expected / n)
        held = (limits[:, 0] <= expected / n) & (expected / n <= limits[:, 1])
        rows.append(
            [
                str(expected),
                f"{100 * (weight * held).sum():.1f}",
                f"{100 * (weight * (limits[:, 0] > 0)).sum():.0f}",
            ]
        )
    return rows


SKEWED = ("f1_macro", "roc_auc", "log_loss", "root_mean_squared_error", "mean_absolute_error")


def skewed(name: str, n: int, rng: np.random.Generator) -> tuple:
    """Return labels, two sets of scores, and the task, of one data set of a skewed metric."""
    if name in ("f1_macro", "roc_auc"):
        labels = (rng.random(n) < 0.01).astype(int) if name == "f1_macro" else None
        if labels is None:
            labels = (rng.random(n) < 0.03).astype(int)
        common = rng.normal(size=n)
        first = 2.5 * labels - 1.25 + 0.7 * common + 0.7 * rng.normal(size=n)
        second = 1.8 * labels - 0.9 + 0.7 * common + 0.7 * rng.normal(size=n)
        return labels, first[:, None], second[:, None], "binary"
    if name == "log_loss":
        labels = rng.integers(0, 2, n)
        sign = 2 * labels - 1
        common = 2.0 + rng.normal(size=n)
        # A few examples of which the second is sure and wrong.
        tail = np.where(rng.random(n) < 0.03, rng.exponential(8.0, n), 0.0)
        return labels, (sign * common)[:, None], (sign * (common - tail))[:, None], "binary"
    targets = rng.normal(size=(n, 1))
    noise = rng.standard_t(3, size=(n, 1))
    return (
        targets,
        targets + 0.5 * noise,
        targets + 0.5 * noise + 0.5 * rng.standard_t(3, size=(n, 1)),
        "regression",
    )


def skewed_row(name: str, n: int, n_sets: int, n_resamples: int, seed: int) -> list[str]:
    """Return how often the interval of a skewed metric's difference holds the truth."""
    truth = skewed_truth(name, seed)
    held, below, unwarned, estimates, widths = [], [], 0, [], []
    for number in range(n_sets):
        labels, first, second, task = skewed(name, n, np.random.default_rng([seed, number]))
        population = population_of_items(np.arange(n), np.arange(n))
        found = paired_difference(
            name,
            labels,
            first,
            second,
            task,
            "logits",
            population,
            n_resamples=n_resamples,
            seed=number,
        )
        if np.isfinite(found.low):
            held.append(found.low <= truth <= found.high)
            below.append(found.high < truth)
            estimates.append(found.value)
            widths.append(found.high - found.low)
            unwarned += not held[-1] and not cautions(name, labels, first, second, task)
    return [
        name,
        f"{n:,}",
        f"{len(held):,}",
        f"{truth:.3f}",
        f"{100 * np.mean(held):.1f}",
        f"{100 * np.mean(below):.1f}",
        f"{np.mean(widths) / (3.92 * np.std(estimates)):.2f}",
        f"{len(held) - sum(held)}",
        f"{unwarned}",
    ]


def skewed_truth(name: str, seed: int) -> float:
    """Return the difference in the population."""
    if name == "root_mean_squared_error":
        # The variance of a t distribution on 3 degrees of freedom is 3.
        return float(np.sqrt(1.5) - np.sqrt(0.75))
    rng = np.random.default_rng([seed, 77])
    truths = []
    for _ in range(10):
        labels, first, second, task = skewed(name, 200_000, rng)
        truths.append(emap.inference.difference(name, labels, first, second, task))
    return float(np.mean(truths))


def of_layouts(
    chosen: list[str],
    sizes: list[int],
    n_sets: int,
    n_resamples: int,
    seed: int,
    of_population: bool = False,
    strength: float = Setting.strength,
) -> str:
    """Return the table of layouts, with fewer data sets where one takes long."""
    names = (
        *("layout", "N", "data sets", "population's gap", "gap", "held, %"),
        *("population's held, %", "width", "gap of nulls", "size, %"),
    )
    rows = []
    for layout in chosen:
        for size in sizes:
            few = n_sets // 3 if size > 400 and layout == "independent" else n_sets
            began = time.monotonic()
            setting = Setting(layout, size, strength, of_population=of_population)
            rows.append(row(setting, few, n_resamples, seed))
            print(rows[-1], f"{time.monotonic() - began:.0f} s", flush=True)
    return markdown(
        "Layouts",
        "The leave-one-out gap in accuracy, in points; what is drawn is chosen as in every run. "
        "Gap is the mean estimate, against a projection from as many texts and images; "
        "intervals should hold it. The population's gap is against the population's own "
        "projection. Width is the mean width of the intervals, divided by the width that the "
        "spread of the estimates calls for. Size is how often p < .05 in null populations of "
        "the same layout. Power is how often p < .05 here, and for an oracle that knows the "
        f"standard error. {n_resamples:,} resamples in all for each data set.",
        (*names, "power, %", "oracle, %"),
        rows,
    )


def exact() -> str:
    """Return the table of few flips."""
    return markdown(
        "Few flips",
        "400 independent examples of which all that flip go one way, by exact enumeration: how "
        "often Tango's limits hold the truth, and leave out 0.",
        ["flips expected", "held, %", "leave out 0, %"],
        few_flips(),
    )


def skewed_metrics(
    chosen: list[str], sizes: list[int], n_sets: int, n_resamples: int, seed: int
) -> str:
    """Return the table of skewed metrics."""
    rows = []
    for name in chosen:
        for n in sizes:
            rows.append(skewed_row(name, n, n_sets, n_resamples, seed))
            print(rows[-1], flush=True)
    return markdown(
        "Skewed metrics",
        "The difference of two sets of scores that stay as they are: macro F1 with a class of "
        "1%, ROC AUC with a class of 3%, log loss with 3% of examples that are sure and wrong, "
        "and RMSE and MAE of errors with a t distribution on 3 degrees of freedom. Below is how "
        "often the whole interval lies below the truth. The last column counts data sets in "
        "which the interval misses without a warning.",
        [
            *("metric", "N", "data sets", "difference", "held, %", "below, %"),
            *("width", "missed", "without a warning"),
        ],
        rows,
    )


def main() -> None:
    """Print the tables and write them to their file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[400, 1000])
    parser.add_argument("--layouts", nargs="+", default=list(LAYOUTS), choices=LAYOUTS)
    parser.add_argument("--data-sets", type=int, default=600)
    parser.add_argument("--resamples", type=int, default=360)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--strength", type=float, default=Setting.strength)
    parser.add_argument("--population-null", action="store_true")
    parser.add_argument("--metrics", nargs="+", default=list(SKEWED), choices=SKEWED)
    parser.add_argument("--only", choices=["layouts", "exact", "skewed"])
    given = parser.parse_args()
    tables = {
        "layouts": lambda: of_layouts(
            given.layouts,
            given.sizes,
            given.data_sets,
            given.resamples,
            given.seed,
            given.population_null,
            given.strength,
        ),
        "exact": exact,
        "skewed": lambda: skewed_metrics(
            given.metrics, given.sizes, given.data_sets, given.resamples, given.seed
        ),
    }
    found = [table() for name, table in tables.items() if given.only in (None, name)]
    text = "\n".join(found)
    print(text)
    if given.only is None and given.data_sets >= 300:
        heading = f"# Coverage of the intervals\n\nMeasured on {machine()}.\n\n"
        Path(__file__).with_name("coverage.md").write_text(heading + text)


if __name__ == "__main__":
    main()
