"""How often intervals of three sides hold the truth, and how often their tests are wrong.

``python -m benchmarks.three_sides_coverage`` prints the table and writes
benchmarks/three_sides_coverage.md; it takes about half an hour on one core. ``--data-sets 20`` is
quicker, and writes nothing; ``--layouts`` chooses some.

Items of the sides are independent standard normal vectors x, y and z, and the logit is
x·a + y·b + z·c + λ₂ (x'A y + x'B z + y'C z) + λ₃ Σ T x y z. Every term has mean 0 given fewer
sides, so that the projections of orders 1 and 2 in the population are the first terms. As in
`benchmarks.coverage`, intervals are to hold the mean estimate: the model against projections from
as many items as a data set has. In null populations the model and its pairs of sides are right
equally often: where they decide differently, a coin says which of them is right. There is one coin
per item of a side that repeats; if several sides repeat, each example uses the coin of one of them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import emap_core as emap
from benchmarks.tables import machine, markdown
from emap_core.inference import Gap, intervals, projections

SIDES = ("question", "written", "spoken")
N_FEATURES = 3
ADDED = {"pairs": "pairs add", "full": "only all together"}
"""Steps by the row that they lead to."""

_coefficients = np.random.default_rng(7)
ALONE = _coefficients.normal(size=(3, N_FEATURES))
OF_PAIRS = 0.35 * _coefficients.normal(size=(3, N_FEATURES, N_FEATURES))
OF_ALL = 0.25 * _coefficients.normal(size=(N_FEATURES,) * 3)


@dataclass(frozen=True)
class Layout:
    """How the examples of a data set share items.

    Attributes
    ----------
    name : str
    n_examples : int
    repeating : tuple of str
        Sides of which each item serves ten examples.
    questions : int
        How many questions there are, the same ones in every data set; 0 where they are drawn.
    """

    name: str
    n_examples: int
    repeating: tuple[str, ...] = ()
    questions: int = 0

    @property
    def cluster(self) -> str:
        """What is drawn: whatever repeats, except questions that stay."""
        return "written+spoken" if self.questions else "auto"

    @property
    def drawn(self) -> tuple[str, ...]:
        """The sides whose items several examples share."""
        return self.repeating

    def items(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return the number of each example's item, by side."""
        n = self.n_examples
        found = {
            side: rng.permutation(n) % (n // 10) if side in self.repeating else np.arange(n)
            for side in SIDES
        }
        if self.questions:
            found["question"] = rng.permutation(n) % self.questions
        return found


LAYOUTS = (
    Layout("independent", 100),
    Layout("one side repeats", 200, ("question",)),
    Layout("two sides repeat", 200, ("question", "written")),
    Layout("all sides repeat", 200, SIDES),
    Layout("all sides repeat", 600, SIDES),
    Layout("two repeat, six questions stay", 200, ("written", "spoken"), questions=6),
)


def grid_of(sides: Sequence[np.ndarray]) -> np.ndarray:
    """Return the logit of every combination of items, given the vectors of each side."""
    x, y, z = sides
    of_one = [items @ alone for items, alone in zip(sides, ALONE, strict=True)]
    xy, xz, yz = (
        first @ mixed @ second.T
        for (first, second), mixed in zip(((x, y), (x, z), (y, z)), OF_PAIRS, strict=True)
    )
    of_all = np.einsum("ia,jb,kc,abc->ijk", x, y, z, OF_ALL, optimize=True)
    return (
        of_one[0][:, None, None] + of_one[1][:, None] + of_one[2]
        + xy[:, :, None] + xz[:, None] + yz + of_all
    )  # fmt: skip


def draw(
    layout: Layout, null: bool, rng: np.random.Generator
) -> tuple[np.ndarray, emap.Decomposition, np.ndarray]:
    """Return the grid of one data set, its decomposition and its labels."""
    index = layout.items(rng)
    vectors = [rng.normal(size=(items.max() + 1, N_FEATURES)) for items in index.values()]
    if layout.questions:
        vectors[0] = np.random.default_rng(3).normal(size=vectors[0].shape)
        vectors[0] -= vectors[0].mean(axis=0)
    grid = grid_of(vectors)
    decomposition = emap.decompose(grid, index=index)
    logits, n = decomposition.logits[:, 0], layout.n_examples
    if not null:
        return grid, decomposition, (logits + rng.logistic(size=n) > 0).astype(int)
    pairs = projections(decomposition, None, "binary")["pairs"][:, 0]
    coins = np.array([rng.random(n)[index[side]] for side in layout.drawn or SIDES[:1]])
    coin = coins[rng.integers(0, len(coins), n), np.arange(n)]
    labels = np.where(coin < 0.5, logits > 0, pairs > 0)
    return (
        grid,
        decomposition,
        np.where(rng.random(n) < 0.1, rng.random(n) < 0.5, labels).astype(int),
    )


def gaps_of(
    layout: Layout, null: bool, n_sets: int, n_resamples: int, seed: int
) -> dict[str, list[Gap]]:
    """Return the steps and the leave-one-out gap in accuracy of some data sets."""
    found: dict[str, list[Gap]] = {"gap": [], **{row: [] for row in ADDED}}
    for number in range(n_sets):
        grid, decomposition, labels = draw(layout, null, np.random.default_rng([seed, number]))
        of_set = intervals(
            decomposition,
            labels,
            "binary",
            ["accuracy"],
            grid=grid,
            cluster=layout.cluster,
            n_resamples=n_resamples,
            seed=number,
        )
        found["gap"].append(of_set.gaps["accuracy"]["emap_leave_one_out"])
        for row in ADDED:
            found[row].append(of_set.steps["accuracy"][row])
    return found


def held(gaps: Sequence[Gap]) -> float:
    """Return how often intervals hold the mean estimate."""
    mean = np.mean([gap.difference for gap in gaps])
    return float(np.mean([gap.low <= mean <= gap.high for gap in gaps]))


def rows_of(layout: Layout, n_sets: int, n_resamples: int, seed: int) -> list[list[str]]:
    """Return the rows of the table for one layout."""
    found = gaps_of(layout, False, n_sets, n_resamples, seed)
    nulls = gaps_of(layout, True, n_sets, n_resamples, seed + 1)["full"]
    lines = []
    for row, words in {"gap": "EMAP, leave-one-out", **ADDED}.items():
        gaps = found[row]
        estimates = np.array([gap.difference for gap in gaps])
        width = np.mean([gap.high - gap.low for gap in gaps])
        wrong = np.mean([gap.p_value < 0.05 for gap in nulls])
        lines.append(
            [
                layout.name,
                f"{layout.n_examples:,}",
                words,
                f"{n_sets:,}",
                f"{100 * estimates.mean():.1f}",
                f"{100 * held(gaps):.1f}",
                f"{width / (3.92 * estimates.std(ddof=1)):.2f}",
                f"{100 * wrong:.1f}" if row == "full" else "",
                f"{100 * np.mean([gap.p_value < 0.05 for gap in gaps]):.0f}",
            ]
        )
    return lines


HEADING = "# Coverage of the intervals of three sides\n\nMeasured on {machine}.\n\n"


def table(rows: Sequence[Sequence[str]], n_resamples: int) -> str:
    """Return the table with some rows."""
    return markdown(
        "Three sides",
        "What pairs of sides add to one side at a time, what only all three together add to "
        "pairs, and the leave-one-out gap, in points of accuracy. If a side repeats, each of "
        "its items is in ten examples. Held is how often the interval holds the mean estimate. "
        "Width is the mean width of the intervals, divided by the width that the spread of the "
        "estimates calls for. Size is how often p < .05 where the model and its pairs are right "
        f"equally often. Power is how often p < .05. {n_resamples:,} resamples in all for each "
        "data set.",
        ["layout", "N", "what", "data sets", "points", "held, %", "width", "size, %", "power, %"],
        rows,
    )


def main() -> None:
    """Print the table and write it to its file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-sets", type=int, default=200)
    parser.add_argument("--resamples", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--layouts", type=int, nargs="+", default=list(range(len(LAYOUTS))))
    given = parser.parse_args()
    rows = []
    for number in given.layouts:
        began = time.monotonic()
        rows += rows_of(LAYOUTS[number], given.data_sets, given.resamples, given.seed)
        for row in rows[-3:]:
            print(row, flush=True)
        print(f"{time.monotonic() - began:.0f} s", flush=True)
    text = table(rows, given.resamples)
    print(text)
    if given.layouts == list(range(len(LAYOUTS))) and given.data_sets >= 200:
        heading = HEADING.format(machine=machine())
        Path(__file__).with_name("three_sides_coverage.md").write_text(heading + text)


if __name__ == "__main__":
    main()
