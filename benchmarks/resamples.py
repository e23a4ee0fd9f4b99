"""How long 1,000 resamples take that compute the projection again.

``python -m benchmarks.resamples`` prints the table and writes benchmarks/resamples.md. Run it on an
idle machine, with as many threads as it has cores. ``--repeats 1`` is quicker, and writes nothing.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from benchmarks.tables import machine, markdown
from emap_core.decomposition import decompose
from emap_core.inference import default_metrics, intervals
from emap_core.inference.resamples.population import population_of
from emap_core.inference.resamples.resampling import reproject

N_RESAMPLES = 1000
SIZES = ((1000, 10), (1000, 2), (400, 10), (2000, 10))


def measure(n: int, n_classes: int) -> tuple[float, float, float]:
    """Return seconds of the projections alone, of accuracy's intervals and of the whole table's."""
    rng = np.random.default_rng(0)
    grid = rng.normal(size=(n, n, n_classes)).astype(np.float32)
    d = decompose(grid)
    labels = (d.logits + rng.gumbel(size=d.logits.shape)).argmax(axis=1)
    began = time.perf_counter()
    for _ in reproject(grid, d, population_of(d, "none").draws[0].draw(N_RESAMPLES, rng)):
        pass
    projections = time.perf_counter() - began
    found = [projections]
    for metrics in (["accuracy"], default_metrics("multiclass")):
        began = time.perf_counter()
        intervals(d, labels, "multiclass", metrics, grid=grid, n_resamples=N_RESAMPLES)
        found.append(time.perf_counter() - began)
    return found[0], found[1], found[2]


def table(repeats: int) -> str:
    """Return the table, the median of some repeats."""
    rows = []
    for n, n_classes in SIZES:
        taken = np.median([measure(n, n_classes) for _ in range(repeats)], axis=0)
        rows.append([f"{n:,}", n_classes, *(f"{seconds:.1f}" for seconds in taken)])
        print(rows[-1], flush=True)
    names = ", ".join(default_metrics("multiclass"))
    return markdown(
        "Resamples with their own projection",
        f"{N_RESAMPLES:,} resamples of N different texts and images, in seconds, the median of "
        f"{repeats}: all projections alone; intervals and tests of accuracy; those of the usual "
        f"table ({names}) and of the variance shares.",
        ["N", "classes", "projections", "accuracy", "usual table"],
        rows,
    )


def main() -> None:
    """Print the table and write it to its file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    found = table(repeats)
    print(found)
    if repeats > 1:
        text = f"# Time of the resamples\n\nMeasured on {machine()}.\n\n{found}"
        Path(__file__).with_name("resamples.md").write_text(text)


if __name__ == "__main__":
    main()
