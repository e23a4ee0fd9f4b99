import numpy as np

import emap_core as emap
from emap_core.engine.plan import Plan
from emap_core.engine.sums import GridSums, Targets, TileSums


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


def test_of_three_sides_those_columns_count_whose_item_has_met_all_others():
    # Columns are 4 items of the second side by 3 of the third, and tiles hold 5 columns.
    rng = np.random.default_rng(1)
    grid = rng.normal(size=(8, 4, 3, 2)) + 5.0 * np.array([0.0, 1.0])
    index = {side: rng.integers(0, n, 50) for side, n in zip("abc", grid.shape, strict=False)}
    p, q, s = (
        np.bincount(one, minlength=n) / 50 for one, n in zip(index.values(), (8, 4, 3), strict=True)
    )
    column_index = 3 * index["b"] + index["c"]
    targets = Targets(index["a"], column_index, p, (q, s), ("a", "b", "c"))
    plan = Plan(8, 12, 2, 8, 5, 8, 8, (0, 0))
    sums = GridSums(targets, 2, projects=False)
    cells = grid.reshape(8, 12, 2)
    for tile, n_columns, n_items in zip(plan.tiles(), (5, 10, 12), (1, 3, 4), strict=True):
        sums.add(tile, TileSums.of(cells[tile.rows, tile.columns], tile, targets))
        examples, logits, projected = sums.estimate()
        assert set(examples) == set(np.flatnonzero(index["b"] < n_items))
        np.testing.assert_array_equal(logits, cells[index["a"], column_index][examples])
        weight = targets.column_share[:n_columns] / targets.column_share[:n_columns].sum()
        rows = np.einsum("w,uwc->uc", weight, cells[:, :n_columns])
        part, u = grid[:, :n_items], q[:n_items] / q[:n_items].sum()
        second = np.einsum("a,c,abcy->by", p, s, part)
        third = np.einsum("a,b,abcy->cy", p, u, part)
        a, b, c = (one[examples] for one in index.values())
        expected = rows[a] - p @ rows + second[b] + third[c] - u @ second
        np.testing.assert_allclose(projected, expected, atol=1e-12)
    whole = emap.decompose(grid, index=index)
    np.testing.assert_allclose(projected, whole.emap[examples], atol=1e-12)
