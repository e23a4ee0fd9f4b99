import numpy as np

import emap_core as emap
from emap_core.engine.evaluate import GridSums, Targets, TileSums
from emap_core.engine.plan import Plan


def test_the_estimate_on_the_way_is_that_of_the_finished_columns_alone():
    # Texts differ by a large class offset, so that sums of a part of a block would be seen.
    rng = np.random.default_rng(0)
    grid = rng.normal(size=(8, 12, 2)) + 5.0 * np.array([0.0, 1.0])
    rows, columns = rng.integers(0, 8, 40), np.arange(40) % 12
    p, q = np.bincount(rows, minlength=8) / 40, np.bincount(columns, minlength=12) / 40
    targets = Targets(rows, columns, p, (q,))
    plan = Plan(8, 12, 2, 4, 6, 8, 8, (0, 0))
    sums = GridSums(targets, 2)
    for number, tile in enumerate(plan.tiles()):
        sums.add(tile, TileSums.of(grid[tile.rows, tile.columns], tile, targets))
        found = sums.estimate()
        if number == 0:
            assert found is None
            continue
        done = 6 if number < 3 else 12
        examples, logits, projected = found
        assert (columns[examples] < done).all()
        weight = q[:done] / q[:done].sum()
        r, c = np.einsum("w,uwc->uc", weight, grid[:, :done]), np.einsum("u,uwc->wc", p, grid)
        expected = r[rows[examples]] + c[columns[examples]] - p @ r
        np.testing.assert_allclose(projected, expected, atol=1e-12)
        np.testing.assert_array_equal(logits, grid[rows[examples], columns[examples]])
    whole = emap.decompose(grid, rows, columns)
    np.testing.assert_allclose(projected, whole.emap[examples], atol=1e-12)
