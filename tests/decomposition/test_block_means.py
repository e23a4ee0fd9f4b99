from __future__ import annotations

import numpy as np
import pytest

from emap_core.decomposition import decompose
from emap_core.decomposition.block_means import interaction_blocks


@pytest.fixture
def grid():
    rng = np.random.default_rng(0)
    cells = rng.normal(size=(17, 23, 2))
    d = decompose(cells, rng.integers(0, 17, 200), rng.integers(0, 23, 200))
    residual = cells - d.row_mean[:, None] - d.column_mean[None] + d.mean
    return cells, d, residual, rng.permutation(17), rng.permutation(23)


def test_with_room_for_all_each_pair_has_its_own_interaction(grid):
    cells, d, residual, texts, images = grid
    blocks = interaction_blocks(cells[:, :, 1], d, 1, texts, images)
    assert blocks.single
    np.testing.assert_allclose(blocks.values, residual[:, :, 1][np.ix_(texts, images)], atol=1e-12)


@pytest.mark.parametrize("window", [None, (3, 15, 2, 20)])
def test_blocks_are_means_of_neighbours_and_cover_the_window_once(grid, window):
    cells, d, residual, texts, images = grid
    blocks = interaction_blocks(cells[:, :, 0], d, 0, texts, images, window=window, most=5)
    assert blocks.window == (window or (0, 17, 0, 23))
    assert blocks.values.shape == (5, 5)
    ordered = residual[:, :, 0][np.ix_(texts, images)]
    for i in range(5):
        for j in range(5):
            part = ordered[
                blocks.row_edges[i] : blocks.row_edges[i + 1],
                blocks.column_edges[j] : blocks.column_edges[j + 1],
            ]
            assert blocks.values[i, j] == pytest.approx(part.mean())
    assert list(blocks.first_rows) == [texts[row] for row in blocks.row_edges[:-1]]
