"""Time the fit to sampled pairs, in processor seconds, and its intervals, by the clock.

``python -m benchmarks.timed.sampled N`` takes N texts and images, each in 32 pairs and more.
"""

from __future__ import annotations

import sys
import time
from inspect import signature
from typing import Any

import numpy as np

from benchmarks.timed.versions import first_module
from emap_core.decomposition.design import design
from emap_core.inference import default_metrics, intervals

fit = first_module("emap_core.decomposition.incomplete", "emap_core.decomposition.sampled").fit
pairs = first_module("emap_core.inference.intervals.pair_sampling", "emap_core.inference.sampled")
K, N_CLASSES, WIDTH = 32, 5, 16


def main(n: int) -> None:
    """Print the seconds of either."""
    rng = np.random.default_rng(3)
    texts, images = rng.normal(size=(2, n, WIDTH))
    chosen: Any = design(n, n, np.arange(n), np.arange(n), K)
    heads = rng.normal(size=(N_CLASSES, 3, WIDTH)) / WIDTH
    # The earlier version calls them texts and images.
    rows, columns = (
        (chosen.rows, chosen.columns) if hasattr(chosen, "rows") else (chosen.texts, chosen.images)
    )
    products = [(texts[:, :3] @ head)[rows] * images[columns] for head in heads]
    values = np.stack([product.sum(axis=1) for product in products], axis=1)
    own = values[chosen.example_cells]
    labels = (own + rng.gumbel(size=own.shape)).argmax(axis=1)
    began = time.process_time()
    found = fit(chosen, values)
    print(f"fit: {time.process_time() - began}", flush=True)
    began = time.perf_counter()
    metrics = default_metrics("multiclass")
    of_examples = intervals(found.decomposition, labels, "multiclass", metrics, centred=True)
    asked = (found, labels, "multiclass", "logits")
    if "names" in signature(pairs.pair_sampling).parameters:
        of_pairs = pairs.pair_sampling(*asked, metrics)
    else:
        # The earlier version is asked for one number at a time.
        of_pairs = {
            name: {
                row: pairs.pair_sampling(*asked, name, row)
                for row in ("emap", "emap_leave_one_out")
            }
            for name in metrics
        }
    # The earlier version takes the larger of both sizes.
    sizes = (n, n) if hasattr(chosen, "rows") else n
    pairs.with_pair_sampling(of_examples, of_pairs, len(chosen), sizes)
    print(f"intervals: {time.perf_counter() - began}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
