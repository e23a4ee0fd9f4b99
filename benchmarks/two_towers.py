"""Time and memory of the closed form of a two-tower model, for a million texts and images.

python -m benchmarks.two_towers            1,000,000 × 1,000,000, 512 numbers each
python -m benchmarks.two_towers --n 2000   and against the grid
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

import emap_core as emap
from emap_core.decomposition.dot_products import decompose_dot_products

_MOST_ON_A_GRID = 5_000


def main() -> None:
    """Measure, and print one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--d", type=int, default=512)
    arguments = parser.parse_args()
    n, d = arguments.n, arguments.d
    texts, images = _vectors(n, d, 0), _vectors(n, d, 1)
    each = np.arange(n)
    began, of_processor = time.perf_counter(), time.process_time()
    found = decompose_dot_products(texts, images, each, each, scale=100.0)
    parts = found.emap, found.emap_leave_one_out, found.variance_shares
    took, used = time.perf_counter() - began, time.process_time() - of_processor
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{n:,} × {n:,}, d = {d}: {took:.1f} s ({used:.1f} s of processor), peak {peak:.2f} GB, "
        f"shares of text, image and interaction {np.round(parts[2][:, 0], 6)}"
    )
    if n <= _MOST_ON_A_GRID:
        grid = 100.0 * texts.astype(np.float64) @ images.astype(np.float64).T
        expected = emap.decompose(grid)
        off = np.abs(found.emap_leave_one_out - expected.emap_leave_one_out).max()
        shares = np.abs(found.variance_shares - expected.variance_shares).max()
        print(f"off the grid by {off:.1e} in leave-one-out scores, {shares:.1e} in shares")


def _vectors(n: int, d: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centre = rng.normal(size=d).astype(np.float32)
    rows = np.empty((n, d), dtype=np.float32)
    for start in range(0, n, 2**15):
        some = rows[start : start + 2**15]
        some[:] = rng.standard_normal(some.shape, dtype=np.float32) + centre
        some /= np.linalg.norm(some, axis=1, keepdims=True)
    return rows


if __name__ == "__main__":
    main()
