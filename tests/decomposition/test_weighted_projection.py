import numpy as np
import pytest

from emap_core.decomposition import decompose
from emap_core.decomposition.weighted_projection import weighted_projection
from emap_core.errors import DatasetError


def repeated(n_texts, n_images, n_examples, seed=0, offset=0.0):
    """Return a grid of three classes and its decomposition; every text and image is used."""
    rng = np.random.default_rng(seed)
    grid = rng.normal(size=(n_texts, n_images, 3)) + offset
    texts = np.resize(rng.permutation(n_texts), n_examples)
    images = np.resize(rng.permutation(n_images), n_examples)
    return grid, decompose(grid, texts, images)


def least_squares(grid, weights):
    """Return the additive fit to all cells, spelled out as a regression on indicators."""
    n_texts, n_images, n_classes = grid.shape
    text, image = np.divmod(np.arange(n_texts * n_images), n_images)
    design = np.hstack([np.eye(n_texts)[text], np.eye(n_images)[image]])
    root = np.sqrt(weights.ravel())[:, None]
    found = np.linalg.lstsq(root * design, root * grid.reshape(-1, n_classes), rcond=None)[0]
    return (design @ found).reshape(grid.shape)


def pair_weights(decomposition, density):
    return decomposition.row_share[:, None] * decomposition.column_share * density


@pytest.mark.parametrize("shape", [(7, 5, 20), (5, 9, 30), (40, 40, 40), (3, 50, 60)])
def test_where_all_pairs_count_alike_it_is_emap_with_its_leave_one_out(shape):
    grid, d = repeated(*shape)
    found = weighted_projection(grid, d, np.ones(grid.shape[:2]))
    p, q = d.row_share[d.row_index], d.column_share[d.column_index]
    np.testing.assert_allclose(found.own_weight, p + q - p * q, rtol=0, atol=1e-15)
    np.testing.assert_allclose(found.additive, d.emap, rtol=0, atol=1e-14)
    np.testing.assert_allclose(found.leave_one_out, d.emap_leave_one_out, rtol=0, atol=1e-14)
    assert found.effective_share == pytest.approx(1.0)


def test_weights_that_are_products_only_change_the_shares():
    grid, d = repeated(8, 6, 30)
    rng = np.random.default_rng(1)
    by_text, by_image = rng.uniform(0.2, 3, 8), rng.uniform(0.2, 3, 6)
    found = weighted_projection(grid, d, by_text[:, None] * by_image)
    p, q = d.row_share * by_text, d.column_share * by_image
    p, q = (p / p.sum())[d.row_index], (q / q.sum())[d.column_index]
    np.testing.assert_allclose(found.own_weight, p + q - p * q, rtol=0, atol=1e-15)


@pytest.mark.parametrize("shape", [(6, 9, 25), (9, 6, 25)])
def test_it_is_the_least_squares_fit_refitted_without_each_examples_own_cell(shape):
    grid, d = repeated(*shape, seed=3)
    density = np.exp(np.random.default_rng(4).normal(size=grid.shape[:2]))
    found = weighted_projection(grid, d, density)
    weights = pair_weights(d, density)
    own = d.row_index, d.column_index
    np.testing.assert_allclose(found.additive, least_squares(grid, weights)[own], atol=1e-12)
    for i, (u, w) in enumerate(zip(*own, strict=True)):
        without = weights.copy()
        without[u, w] = 0.0
        refitted = least_squares(grid, without)[u, w]
        np.testing.assert_allclose(found.leave_one_out[i], refitted, atol=1e-11)


def test_pairs_that_do_not_count_leave_islands_that_are_fitted_apart():
    grid, d = repeated(6, 8, 24, seed=5)
    density = np.zeros((6, 8))
    density[:3, :4] = density[3:, 4:] = 1.0
    density[d.row_index, d.column_index] = 1.0
    inside = (d.row_index < 3) == (d.column_index < 4)
    density[d.row_index[~inside], d.column_index[~inside]] = 1e-3
    found = weighted_projection(grid, d, density)
    expected = least_squares(grid, pair_weights(d, density))[d.row_index, d.column_index]
    np.testing.assert_allclose(found.additive, expected, atol=1e-10)

    # Two islands, no bridge: each is an additive fit of its own.
    texts, images = np.array([0, 1, 0, 1, 2, 2, 3, 3]), np.array([0, 0, 1, 1, 2, 3, 2, 3])
    cells = grid[:4, :4]
    d = decompose(cells, texts, images)
    density = np.kron(np.eye(2), np.ones((2, 2)))  # type: ignore[assignment]
    found = weighted_projection(cells, d, density)
    upper = decompose(cells[:2, :2], texts[:4], images[:4])
    np.testing.assert_allclose(found.additive[:4], upper.emap, atol=1e-13)
    np.testing.assert_allclose(found.leave_one_out[:4], upper.emap_leave_one_out, atol=1e-13)
    assert found.effective_share == pytest.approx(0.5)


def test_without_another_link_between_text_and_image_nothing_is_left_to_fit():
    grid, d = repeated(4, 4, 4, seed=6)
    density = np.zeros((4, 4))
    density[d.row_index, d.column_index] = 1.0
    found = weighted_projection(grid, d, density)
    np.testing.assert_allclose(found.additive, d.logits, atol=1e-14)
    assert np.isnan(found.leave_one_out).all()
    one_text = decompose(grid[:1], np.zeros(4, int), np.arange(4))
    assert np.isnan(weighted_projection(grid[:1], one_text, np.ones((1, 4))).leave_one_out).all()


def test_an_offset_costs_no_digits_and_a_grid_in_strips_is_read_alike():
    grid, d = repeated(9, 12, 40, seed=7)
    density = np.exp(np.random.default_rng(8).normal(size=(9, 12)))
    here = weighted_projection(grid, d, density)

    class Far:
        def strips(self):
            for rows in (np.array([3, 0, 5]), np.array([1, 2, 4, 6, 8, 7])):
                yield rows, grid[rows] + 1e6

    moved = decompose(grid + 1e6, d.row_index, d.column_index)
    there = weighted_projection(Far(), moved, density)
    np.testing.assert_allclose(there.leave_one_out - 1e6, here.leave_one_out, atol=2e-9)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda density: density[:, :3], "has shape"),
        (lambda density: -density, "is -1.0; expected a finite number"),
        (lambda density: density * np.nan, "is nan; expected"),
        (lambda density: density * 0, "own pair is 0"),
    ],
)
def test_a_density_that_cannot_be_one_is_refused(change, said):
    grid, d = repeated(4, 5, 12)
    with pytest.raises(DatasetError, match=said):
        weighted_projection(grid, d, change(np.ones((4, 5))))


def test_on_correlated_texts_and_images_what_is_additive_there_counts_as_additive():
    # f = 3tv with t and v correlated at .8: on the pairs that occur tv is much like its mean, so
    # an additive model does as well as the constant; over all recombinations it does far worse.
    c, scores = 0.8, []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        t = rng.normal(size=400)
        v = c * t + np.sqrt(1 - c * c) * rng.normal(size=400)
        labels = rng.random(400) < 1 / (1 + np.exp(-3 * t * v))
        d = decompose(3 * np.outer(t, v))
        squares = np.add.outer(t**2, v**2)
        log_ratio = (c * np.outer(t, v) - c * c * squares / 2) / (1 - c * c)
        weighted = weighted_projection(3 * np.outer(t, v), d, np.exp(log_ratio))
        assert weighted.effective_share < 0.5
        scores.append(
            [
                np.mean((d.logits[:, 0] > 0) == labels),
                max(labels.mean(), 1 - labels.mean()),
                np.mean((weighted.leave_one_out[:, 0] > 0) == labels),
                np.mean((d.emap_leave_one_out[:, 0] > 0) == labels),
            ]
        )
    full, constant, likely, product = np.mean(scores, axis=0)
    assert product < 0.56
    assert likely > product + 0.12
    assert likely == pytest.approx(constant, abs=0.05)
    assert full > likely
