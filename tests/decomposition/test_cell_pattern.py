from __future__ import annotations

import numpy as np
import pytest

from emap_core.decomposition.cell_pattern import CellPattern
from emap_core.decomposition.design import MATCHED, design
from emap_core.decomposition.low_rank import fit_products
from emap_core.decomposition.many_way import ManyWayLayout
from emap_core.decomposition.two_way import TwoWayLayout

SHAPE = 23, 31


@pytest.fixture
def cells():
    """Row 3 and column 5 have no cell; cell 7 is there twice."""
    rng = np.random.default_rng(0)
    met = rng.random(SHAPE) < 0.4
    met[3], met[:, 5] = False, False
    rows, columns = (np.insert(side, 7, side[7]) for side in np.nonzero(met))
    return rows.astype(np.int32), columns.astype(np.int32)


def _pattern(cells, seed=None):
    """Rows and columns in a random order, or as they are numbered."""
    rng = np.random.default_rng(seed)
    rows, columns = (rng.permutation(size).astype(np.int32) for size in SHAPE)
    return CellPattern(cells[0], cells[1], SHAPE, None if seed is None else (rows, columns))


def test_matrices_hold_the_values_of_the_cells_in_the_order_of_rows_and_columns(cells):
    pattern = _pattern(cells, seed=1)
    values = np.random.default_rng(2).normal(size=len(cells[0]))
    expected = np.zeros(SHAPE)
    np.add.at(expected, cells, values)
    expected = expected[np.ix_(*pattern.order)]
    np.testing.assert_array_equal(pattern.matrix(values).toarray(), expected)
    np.testing.assert_array_equal(pattern.transposed(values).toarray(), expected.T)


def test_no_digit_of_a_product_depends_on_the_order(cells):
    rng = np.random.default_rng(3)
    values = rng.normal(size=len(cells[0])).astype(np.float32)
    right, left = (rng.normal(size=(size, 3)).astype(np.float32) for size in SHAPE[::-1])
    plain, mixed = _pattern(cells), _pattern(cells, seed=4)
    (rows, columns), (of_rows, of_columns) = mixed.order, mixed.place
    found = mixed.matrix(values) @ right[columns], mixed.transposed(values) @ left[rows]
    np.testing.assert_array_equal(found[0][of_rows], plain.matrix(values) @ right)
    np.testing.assert_array_equal(found[1][of_columns], plain.transposed(values) @ left)


@pytest.mark.parametrize("n_classes", [1, 11])
def test_scores_of_items_do_not_depend_on_the_order(cells, n_classes):
    residuals = np.random.default_rng(5).normal(size=(len(cells[0]), n_classes))
    plain = fit_products(_pattern(cells), residuals, seed=6)
    mixed = fit_products(_pattern(cells, seed=7), residuals, seed=6)
    for one, other, size in zip(plain, mixed, SHAPE, strict=True):
        assert one.shape == (size, n_classes, 4)
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4 * np.abs(one).max())


@pytest.mark.parametrize("size", [(40, 40), (90, 35), (25, 60)])
def test_cells_that_are_left_out_count_as_cells_without_weight(size):
    rng = np.random.default_rng(8)
    n = max(size)
    d = design(size[0], size[1], np.arange(n) % size[0], np.arange(n) % size[1], 9)
    kept = (d.rounds == MATCHED) | (d.rounds % 2 == 0)
    values = rng.normal(size=(len(d), 3))
    weights = rng.uniform(0.5, 2, len(d))
    part = TwoWayLayout(d, weights[kept], kept)
    whole = TwoWayLayout(d, weights * kept)
    means, mean = part.project(values[kept])
    expected = whole.project(values)
    np.testing.assert_allclose(np.vstack(means), np.vstack(expected[0]), atol=1e-12)
    np.testing.assert_allclose(mean, expected[1], atol=1e-12)
    np.testing.assert_allclose(part.at(means, mean), whole.at(*expected)[kept], atol=1e-12)
    np.testing.assert_allclose(part.leverage, whole.leverage[kept], atol=1e-12)


@pytest.mark.parametrize("kind", [TwoWayLayout, ManyWayLayout])
def test_signs_are_those_of_values(kind):
    rng = np.random.default_rng(9)
    d = design(30, 20, np.arange(30), np.arange(30) % 20, 6)
    layout = (
        TwoWayLayout(d, d.weights)
        if kind is TwoWayLayout
        else ManyWayLayout(d.items, (d.row_share, d.column_share), d.weights)
    )
    values, signs = rng.normal(size=(len(d), 2)), rng.choice([-1.0, 1.0], len(d))
    means, mean = layout.project(values, signs=signs)
    expected = layout.project(values * signs[:, None])
    np.testing.assert_array_equal(np.vstack(means), np.vstack(expected[0]))
    np.testing.assert_array_equal(mean, expected[1])
