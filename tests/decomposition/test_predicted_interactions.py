from __future__ import annotations

import numpy as np
import pytest

from emap_core.decomposition import decompose
from emap_core.decomposition.design import MATCHED, design
from emap_core.decomposition.incomplete import _Controls, fit
from emap_core.decomposition.predicted_interactions import (
    EncodingProducts,
    EncodingVectors,
    leading_components,
)
from emap_core.decomposition.two_way import TwoWayLayout

N_TEXTS, N_IMAGES, N = 40, 60, 80


def _data(seed, noise=0.1):
    """A grid of two classes, most of whose interaction is bilinear in what encoders say."""
    rng = np.random.default_rng(seed)
    texts, images = rng.normal(size=(N_TEXTS, 5)), rng.normal(size=(N_IMAGES, 7))
    form = rng.normal(size=(5, 2, 7))
    grid = np.einsum("ud,dce,we->uwc", texts, form, images, optimize=True)
    grid += rng.normal(size=(N_TEXTS, 1, 2)) + noise * rng.normal(size=grid.shape)
    # What a model hands over is not centred, and its coordinates are not its components.
    encodings = EncodingVectors(
        texts @ rng.normal(size=(5, 9)) + 3, images @ rng.normal(size=(7, 7)) - 2
    )
    return grid, encodings, rng.permutation(N) % N_TEXTS, rng.permutation(N) % N_IMAGES


def _chosen(text_index, image_index, k, seed=0):
    return design(N_TEXTS, N_IMAGES, text_index, image_index, k, seed)


def test_components_span_the_weighted_covariance_and_are_centred():
    rng = np.random.default_rng(0)
    share = rng.dirichlet(np.ones(30))
    for width in (6, 50):
        values = rng.normal(size=(30, width)) * 10.0 ** -np.arange(width).clip(max=3) + 7
        found = leading_components(values, share, 1000)
        np.testing.assert_allclose(share @ found, 0, atol=1e-8)
        centred = (values - share @ values) / np.abs(values).max()
        _, size, _ = np.linalg.svd(np.sqrt(share)[:, None] * centred)
        size = size[: found.shape[1]]
        # Standard deviations are the square roots of the singular values; scores do not correlate.
        gram = (found * share[:, None]).T @ found
        np.testing.assert_allclose(gram, np.diag(size), atol=1e-6 * size[0])
    assert found.shape[1] <= 24
    # More cells, fewer components.
    assert leading_components(values, share, 3_300_000).shape[1] == 9


def test_coefficients_are_those_of_ridge_regression_beside_dummy_columns():
    grid, encodings, texts, images = _data(1)
    d = _chosen(texts, images, 12)
    x = leading_components(encodings.rows, d.row_share, len(d))
    y = leading_components(encodings.columns, d.column_share, len(d))
    weights = (d.rounds != 3).astype(float)
    values = grid[d.rows, d.columns]
    found = EncodingProducts(TwoWayLayout(d, weights), x, y).fit(values)

    cells = weights > 0
    t, i = d.rows[cells], d.columns[cells]
    dummies = np.hstack([np.eye(N_TEXTS)[t], np.eye(N_IMAGES)[i]])
    products = np.einsum("mk,ml->mkl", x[t], y[i]).reshape(cells.sum(), -1)

    def without_effects(columns):
        return columns - dummies @ np.linalg.lstsq(dummies, columns, rcond=None)[0]

    h, left = without_effects(products), without_effects(values[cells])
    n = cells.sum() - N_TEXTS - N_IMAGES + 1
    gram = h.T @ h
    for c in range(2):
        best = []
        for penalty in np.linalg.eigvalsh(gram)[-1] * np.logspace(-5, 2, 29):
            # The marginal likelihood of n residuals: their covariance is I + H H' / penalty.
            inverse = np.linalg.inv(gram + penalty * np.eye(len(gram)))
            coefficients = inverse @ h.T @ left[:, c]
            rest = left[:, c] @ (left[:, c] - h @ coefficients)
            determinant = np.linalg.slogdet(np.eye(len(gram)) + gram / penalty)[1]
            best.append((n * np.log(rest / n) + determinant, coefficients))
        expected = min(best, key=lambda one: one[0])[1].reshape(x.shape[1], y.shape[1])
        np.testing.assert_allclose(
            found[:, c], x @ expected, atol=1e-3 * np.abs(x @ expected).max()
        )


@pytest.mark.slow
@pytest.mark.parametrize(("k", "n_controls"), [(8, 1), (30, 2)])
def test_a_drawn_cells_own_value_never_enters_its_prediction(k, n_controls):
    grid, encodings, texts, images = _data(2)
    d = _chosen(texts, images, k)
    controls = _Controls(d, encodings, low_rank=True)
    values = grid[d.rows, d.columns]
    before = controls.predict(d, values, 0)
    assert len(before) == n_controls
    for cell in np.flatnonzero(d.rounds != MATCHED)[::97]:
        moved = values.copy()
        moved[cell] += 50.0
        for old, new in zip(before, controls.predict(d, moved, 0), strict=True):
            np.testing.assert_array_equal(new[cell], old[cell])
            assert np.abs(new - old).max() > 0.01


def test_what_encodings_predict_cuts_the_error_where_few_images_meet_a_text():
    for k, at_most in ((6, 0.5), (12, 0.25)):
        squares = np.zeros(2)
        for seed in range(4):
            grid, encodings, texts, images = _data(seed)
            exact = decompose(grid, texts, images)
            d = _chosen(texts, images, k, seed)
            for i, given in enumerate((None, encodings)):
                found = fit(d, grid[d.rows, d.columns], given)
                squares[i] += np.mean((found.decomposition.emap - exact.emap) ** 2)
            assert found.explained.min() > 0.4
        assert np.sqrt(squares[1] / squares[0]) < at_most


@pytest.mark.slow
def test_the_means_are_left_without_bias_and_standard_errors_are_right():
    grid, encodings, texts, images = _data(3, noise=1.0)
    exact = decompose(grid, texts, images)
    errors, claimed = [], []
    for seed in range(24):
        d = _chosen(texts, images, 12, seed)
        found = fit(d, grid[d.rows, d.columns], encodings)
        errors.append(found.decomposition.row_mean - exact.row_mean)
        claimed.append(found.standard_errors[0])
    off = np.mean(errors, axis=0) / (np.std(errors, axis=0, ddof=1) / np.sqrt(len(errors)))
    # Squares of 80 t values: 1.1 on average, with a standard error of .18.
    assert np.mean(off**2) < 1.8
    ratio = np.sqrt(np.mean(np.square(claimed)) / np.mean(np.square(errors)))
    assert 0.88 < ratio < 1.12


def test_encodings_that_say_nothing_of_the_interaction_change_nothing():
    grid, _, texts, images = _data(4)
    rng = np.random.default_rng(0)
    d = _chosen(texts, images, 12)
    values = grid[d.rows, d.columns]
    plain = fit(d, values).decomposition
    for noise in (
        EncodingVectors(rng.normal(size=(N_TEXTS, 9)), rng.normal(size=(N_IMAGES, 3))),
        EncodingVectors(np.ones((N_TEXTS, 4)), rng.normal(size=(N_IMAGES, 3))),
    ):
        found = fit(d, values, noise)
        assert not found.explained.any()
        np.testing.assert_array_equal(found.decomposition.emap, plain.emap)
