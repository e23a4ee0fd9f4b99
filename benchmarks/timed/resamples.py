"""Time 1,000 resamples that compute the projection again, in processor seconds."""

from __future__ import annotations

import time

import numpy as np

from emap_core.decomposition import decompose
from emap_core.inference import default_metrics, intervals


def main() -> None:
    """Print the seconds."""
    rng = np.random.default_rng(0)
    grid = rng.normal(size=(1000, 1000, 10)).astype(np.float32)
    d = decompose(grid)
    labels = (d.logits + rng.gumbel(size=d.logits.shape)).argmax(axis=1)
    metrics = default_metrics("multiclass")
    # Whatever is loaded at first use is not part of it.
    intervals(d, labels, "multiclass", metrics, grid=grid, n_resamples=100)
    began = time.process_time()
    intervals(d, labels, "multiclass", metrics, grid=grid, n_resamples=1000)
    print(f"seconds: {time.process_time() - began}")


if __name__ == "__main__":
    main()
