"""Sums of one tile against the same in extended precision."""

import numpy as np
import pytest

from emap_core.decomposition import sum_tile


def exactly(cells, p, q):
    cells, p, q = (one.astype(np.longdouble) for one in (cells, p, q))
    weights = np.multiply.outer(p, q)[:, :, None]

    def around_mean(values):
        mean = (weights * values).sum((0, 1)) / weights.sum()
        return mean, (weights * (values - mean) ** 2).sum((0, 1))

    rows, columns = np.einsum("b,abc->ac", q, cells), np.einsum("a,abc->bc", p, cells)
    centred = cells - cells.mean(axis=2, keepdims=True)
    return rows, columns, *around_mean(cells), *around_mean(centred)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(90, 70, 10), (40, 300, 1), (700, 2, 3), (3, 5, 400)])
@pytest.mark.parametrize(
    "shared", [0.0, 1.0, 30.0, 1e3, 1e5], ids=lambda shared: f"what classes share {shared:g}"
)
def test_no_digits_are_lost_to_what_classes_share(shared, shape, dtype):
    rng = np.random.default_rng(1)
    cells = (rng.normal(size=shape) + shared * rng.normal(size=(*shape[:2], 1)) + 7).astype(dtype)
    p, q = rng.random(shape[0]), rng.random(shape[1])
    rows, columns, moments, centred = sum_tile(cells, p, q)
    expected = exactly(cells, p, q)
    found = rows, columns, moments.mean, moments.squares, centred.mean, centred.squares
    # Cells of a hundred thousand have five digits fewer to the right of the point.
    rtol, atol = 1e-12 * max(1.0, shared / 1e3), 1e-12 * (1.0 + shared)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other.astype(float), rtol=rtol, atol=atol)


def test_a_class_that_is_always_the_mean_of_all_has_no_centred_variance():
    rng = np.random.default_rng(2)
    cells = rng.normal(size=(30, 40, 3))
    cells[:, :, 2] = cells[:, :, :2].mean(axis=2)
    p, q = np.full(30, 1 / 30), np.full(40, 1 / 40)
    _, _, _, centred = sum_tile(cells, p, q)
    assert centred.squares[2] < 1e-30
    assert centred.squares[0] > 0.1


def test_items_without_weight_count_for_nothing():
    rng = np.random.default_rng(3)
    cells = rng.normal(size=(20, 30, 4))
    p, q = rng.random(20), rng.random(30)
    p[::2], q[::3] = 0.0, 0.0
    some = cells[1::2][:, q > 0]
    for one, other in zip(
        sum_tile(cells, p, q)[2:], sum_tile(some, p[1::2], q[q > 0])[2:], strict=True
    ):
        np.testing.assert_allclose(one.mean, other.mean, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(one.squares, other.squares, rtol=1e-12)
