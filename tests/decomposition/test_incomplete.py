from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from emap_core.decomposition import decompose
from emap_core.decomposition.cell_pattern import CellPattern
from emap_core.decomposition.design import MATCHED, design
from emap_core.decomposition.incomplete import fit
from emap_core.decomposition.low_rank import fit_products
from emap_core.errors import DatasetError, SettingError


def _examples(n_texts, n_images, extra, rng):
    """Every text and image is used; texts unevenly often."""
    n = max(n_texts, n_images)
    texts = np.r_[np.arange(n) % n_texts, rng.integers(0, (n_texts + 1) // 2, extra)]
    images = np.r_[rng.permutation(n) % n_images, rng.integers(0, n_images, extra)]
    return texts, images


shapes = st.tuples(
    st.integers(2, 60), st.integers(4, 60), st.integers(4, 60), st.integers(0, 2**16)
)


@settings(max_examples=40, deadline=None)
@given(shapes)
def test_every_text_meets_as_many_images_and_images_about_as_many_texts(shape):
    n_texts, n_images, k, seed = shape
    texts, images = _examples(n_texts, n_images, 20, np.random.default_rng(seed))
    d = design(n_texts, n_images, texts, images, k, seed)
    k = min(k, n_images)
    cells = d.rows.astype(int) * n_images + d.columns
    assert (np.diff(cells) > 0).all()
    np.testing.assert_array_equal(d.rows[d.example_cells], texts)
    np.testing.assert_array_equal(d.columns[d.example_cells], images)
    assert (d.rounds[d.example_cells] == MATCHED).all()
    # Cells of examples can hide drawn ones: a round has at most one for each text.
    drawn = d.rounds != MATCHED
    pairs = d.rows[drawn].astype(int) * k + d.rounds[drawn]
    assert len(np.unique(pairs)) == len(pairs)
    n_matched = len(np.unique(d.example_cells))
    assert n_texts * k - n_matched <= drawn.sum() <= n_texts * k


@pytest.mark.parametrize(
    ("n_texts", "n_images", "k", "least", "most"),
    [(500, 500, 8, 8, 8), (500, 100, 8, 40, 40), (107, 1000, 64, 4, 9), (600, 1000, 16, 7, 12)],
)
def test_images_meet_about_as_many_texts_as_each_other(n_texts, n_images, k, least, most):
    for seed in range(3):
        # One example outside the count keeps all other cells as they were drawn.
        d = design(n_texts, n_images, [0], [0], k, seed)
        met = np.bincount(d.columns, minlength=n_images)[1:]
        assert met.min() >= least - 1
        assert met.max() <= most + 1
        assert (np.bincount(d.rows, minlength=n_texts)[1:] == k).all()


@pytest.mark.parametrize("shape", [(50, 50), (130, 40), (30, 70)])
def test_neighbours_in_the_order_of_a_design_meet_neighbours(shape):
    d = design(shape[0], shape[1], [0], [0], 6)
    rows, columns = (np.argsort(order) for order in d.order)
    drawn = d.rounds != MATCHED
    row, column = rows[d.rows[drawn]], columns[d.columns[drawn]]
    cycle, shift = row // shape[1], (column - row) % shape[1]
    for one in np.unique(cycle):
        assert len(np.unique(shift[cycle == one])) == 6


@settings(max_examples=40, deadline=None)
@given(shapes)
def test_both_halves_connect_all_texts_and_images(shape):
    n_texts, n_images, k, seed = shape
    texts, images = _examples(n_texts, n_images, 0, np.random.default_rng(seed))
    d = design(n_texts, n_images, texts, images, k, seed)
    for half in (0, 1):
        cells = (d.rounds == MATCHED) | (d.rounds % 2 == half)
        ends = (d.rows[cells], n_texts + d.columns[cells])
        n = n_texts + n_images
        graph = sparse.coo_matrix((np.ones(cells.sum()), ends), (n, n))
        assert connected_components(graph, directed=False)[0] == 1


@settings(max_examples=40, deadline=None)
@given(shapes, st.integers(1, 60))
def test_more_rounds_add_cells_and_take_none_away(shape, more):
    n_texts, n_images, k, seed = shape
    texts, images = _examples(n_texts, n_images, 5, np.random.default_rng(seed))
    few = design(n_texts, n_images, texts, images, k, seed)
    many = design(n_texts, n_images, texts, images, k + more, seed)
    assert (few.find(many) >= 0).all()
    place = many.find(few)
    assert (place >= 0).sum() == len(few)
    np.testing.assert_array_equal(many.columns[place >= 0], few.columns[place[place >= 0]])


@pytest.mark.slow
def test_every_cell_has_the_chance_that_its_weight_says():
    met = np.zeros((7, 12))
    for seed in range(2000):
        d = design(7, 12, [0], [0], 5, seed)
        met[d.rows, d.columns] += 1
    rate = met / 2000
    assert rate[0, 0] == 1
    rate[0, 0] = 5 / 12
    # Five standard errors.
    assert np.abs(rate - 5 / 12).max() < 5 * np.sqrt(5 / 12 * 7 / 12 / 2000)


def test_too_few_images_per_text_are_refused():
    with pytest.raises(SettingError, match="images_per_text is 3; expected at least 4"):
        design(10, 10, range(10), range(10), 3)
    assert design(10, 3, range(10), np.arange(10) % 3, 3).fraction == 1


def _sampled(grid, texts, images, k, seed=0, **kwargs):
    d = design(*grid.shape[:2], texts, images, k, seed)  # type: ignore[call-arg]
    return d, fit(d, grid[d.rows, d.columns], **kwargs)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_with_all_images_it_is_the_exact_decomposition(offset):
    rng = np.random.default_rng(0)
    grid = rng.normal(size=(12, 30, 3)) + offset
    texts, images = _examples(12, 30, 40, rng)
    exact = decompose(grid, texts, images)
    _, found = _sampled(grid, texts, images, 30)
    for name in ("logits", "mean", "row_mean", "column_mean", "emap", "emap_leave_one_out"):
        np.testing.assert_allclose(
            getattr(found.decomposition, name), getattr(exact, name), rtol=1e-12, atol=1e-9
        )
    for one, other in (
        (found.decomposition, exact),
        (found.decomposition.class_centred(), exact.class_centred()),
    ):
        np.testing.assert_allclose(one.variance_shares, other.variance_shares, atol=1e-9)
    assert not found.standard_errors[0].any()
    assert not found.standard_errors[1].any()


@settings(max_examples=15, deadline=None)
@given(shapes)
def test_an_additive_grid_is_recovered_from_any_design(shape):
    n_texts, n_images, k, seed = shape
    rng = np.random.default_rng(seed)
    grid = rng.normal(size=(n_texts, 1, 2)) + rng.normal(size=(1, n_images, 2)) + 5.0
    texts, images = _examples(n_texts, n_images, 9, rng)
    exact = decompose(grid, texts, images)
    _, found = _sampled(grid, texts, images, k, seed)
    np.testing.assert_allclose(found.decomposition.row_mean, exact.row_mean, atol=1e-8)
    np.testing.assert_allclose(found.decomposition.column_mean, exact.column_mean, atol=1e-8)
    np.testing.assert_allclose(found.decomposition.emap, exact.logits, atol=1e-8)
    assert np.abs(found.standard_errors[0]).max() < 1e-6


@settings(max_examples=15, deadline=None)
@given(shapes)
def test_effects_are_those_of_weighted_least_squares_on_dummy_columns(shape):
    n_texts, n_images, k, seed = shape
    rng = np.random.default_rng(seed)
    grid = rng.normal(size=(n_texts, n_images, 2))
    texts, images = _examples(n_texts, n_images, 9, rng)
    d, found = _sampled(grid, texts, images, k, seed, low_rank=False)

    p = np.bincount(texts, minlength=n_texts) / len(texts)
    q = np.bincount(images, minlength=n_images) / len(images)
    chance = np.full((n_texts, n_images), min(k, n_images) / n_images)
    chance[texts, images] = 1.0
    weight = np.sqrt(np.outer(p, q) / chance)[d.rows, d.columns]
    columns = np.zeros((len(d), n_texts + n_images))
    columns[np.arange(len(d)), d.rows] = weight
    columns[np.arange(len(d)), n_texts + d.columns] = weight
    values = weight[:, None] * grid[d.rows, d.columns]
    effects = np.linalg.lstsq(columns, values, rcond=None)[0]
    a, b = effects[:n_texts], effects[n_texts:]
    np.testing.assert_allclose(found.decomposition.row_mean, a + q @ b, atol=1e-8)
    np.testing.assert_allclose(found.decomposition.column_mean, b + p @ a, atol=1e-8)
    np.testing.assert_allclose(found.decomposition.mean, p @ a + q @ b, atol=1e-8)


def test_values_that_do_not_fit_are_named():
    d = design(6, 6, range(6), range(6), 4)
    with pytest.raises(DatasetError, match="expected one row each"):
        fit(d, np.zeros((3, 2)))
    values = np.zeros((len(d), 2))
    values[5, 1] = np.nan
    with pytest.raises(DatasetError, match=f"row {d.rows[5]} with column {d.columns[5]}"):
        fit(d, values)


@pytest.mark.slow
def test_standard_errors_of_images_that_meet_few_texts_are_those_of_their_errors():
    n_texts, n_images, squares, expected = 60, 300, [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        grid = rng.normal(size=(n_texts, 2)) @ rng.normal(size=(2, n_images))
        grid += rng.normal(size=(n_texts, 1)) + rng.normal(size=n_images)
        texts, images = rng.permutation(n_images) % n_texts, rng.permutation(n_images)
        chosen = design(n_texts, n_images, texts, images, 60, seed=seed)
        found = fit(chosen, grid[chosen.rows, chosen.columns])
        exact = decompose(grid, texts, images)
        squares.append(np.mean((found.decomposition.column_mean - exact.column_mean) ** 2))
        expected.append(np.mean(found.standard_errors[1] ** 2))
    np.testing.assert_allclose(np.sqrt(np.mean(expected) / np.mean(squares)), 1, atol=0.12)


def test_products_of_a_grid_of_low_rank_predict_cells_that_they_were_not_fitted_to():
    rng = np.random.default_rng(4)
    shape, n_classes = (120, 90), 10
    grid = np.stack(
        [rng.normal(size=(shape[0], 2)) @ rng.normal(size=(2, shape[1])) for _ in range(n_classes)],
        axis=-1,
    )
    grid *= np.logspace(-6, 6, n_classes)
    seen = rng.random(shape) < 0.4
    rows, columns = np.nonzero(seen)
    noisy = grid[seen] * (1 + 0.1 * rng.normal(size=(len(rows), 1)))
    x, y = fit_products(CellPattern(rows, columns, shape), noisy)
    predicted = np.einsum("uck,wck->uwc", x, y)
    missed = ((predicted - grid)[~seen] ** 2).sum(axis=0) / (grid[~seen] ** 2).sum(axis=0)
    assert (missed < 0.01).all()
