from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from emap_core.decomposition import decompose
from emap_core.decomposition.modes import interaction_modes


def _uniform(n):
    return np.full(n, 1 / n)


def _grid_of_modes(strengths, n_texts=8, n_images=16):
    """Sum of products of Walsh functions: mean 0, variance 1, orthogonal to each other."""
    texts = np.array([[(-1) ** bin(u & k).count("1") for k in (1, 2, 4)] for u in range(n_texts)])
    images = np.array([[(-1) ** bin(w & k).count("1") for k in (1, 2, 4)] for w in range(n_images)])
    k = len(strengths)
    return (texts[:, :k] * strengths) @ images[:, :k].T, texts[:, :k], images[:, :k]


@pytest.mark.slow
@pytest.mark.parametrize("strengths", [[3.0], [3.0, 1.0], [5.0, 3.0, 1.0]])
def test_a_sum_of_products_gives_back_its_factors(strengths):
    interaction, texts, images = _grid_of_modes(np.array(strengths))
    additive = np.arange(8)[:, None] * 2.0 + np.arange(16)[None] ** 2
    modes = interaction_modes(additive + interaction, _uniform(8), _uniform(16))
    np.testing.assert_allclose(modes.singular_values, strengths, rtol=1e-9)
    squares = np.square(strengths)
    np.testing.assert_allclose(modes.shares, squares / squares.sum(), rtol=1e-9)
    assert modes.variance == pytest.approx(squares.sum())
    for k in range(len(strengths)):
        sign = np.sign(modes.row_scores[0, k] * texts[0, k])
        np.testing.assert_allclose(modes.row_scores[:, k], sign * texts[:, k], atol=1e-6)
        np.testing.assert_allclose(modes.column_scores[:, k], sign * images[:, k], atol=1e-6)


def test_modes_agree_with_the_full_decomposition_of_the_weighted_interaction():
    rng = np.random.default_rng(0)
    d = decompose(rng.normal(size=(20, 30, 1)), rng.integers(0, 20, 300), rng.integers(0, 30, 300))
    cells = rng.normal(size=(20, 30)) @ np.diag(0.8 ** np.arange(30))
    p, q = d.row_share, d.column_share
    residual = cells - (cells @ q)[:, None] - p @ cells + p @ cells @ q
    expected = np.linalg.svd(np.sqrt(np.outer(p, q)) * residual, compute_uv=False)
    modes = interaction_modes(cells, p, q, count=4)
    np.testing.assert_allclose(modes.singular_values, expected[:4], rtol=1e-6)
    np.testing.assert_allclose(modes.shares, expected[:4] ** 2 / (expected**2).sum(), rtol=1e-6)


def test_variance_is_the_interaction_part_of_the_decomposition():
    rng = np.random.default_rng(1)
    cells = rng.normal(size=(6, 9))
    texts, images = rng.integers(0, 6, 40), rng.integers(0, 9, 40)
    d = decompose(cells, texts, images)
    modes = interaction_modes(cells, d.row_share, d.column_share, count=5)
    assert modes.variance == pytest.approx(d.sums_of_squares[2, 0])
    assert modes.shares.sum() == pytest.approx(1.0)


def test_scores_have_mean_zero_and_variance_one_over_the_examples():
    rng = np.random.default_rng(2)
    p, q = rng.dirichlet(np.ones(12)), rng.dirichlet(np.ones(15))
    modes = interaction_modes(rng.normal(size=(12, 15)), p, q, count=3)
    for scores, weights in ((modes.row_scores, p), (modes.column_scores, q)):
        np.testing.assert_allclose(weights @ scores, 0, atol=1e-9)
        np.testing.assert_allclose(weights @ scores**2, 1, rtol=1e-9)


def test_the_modes_add_up_to_the_interaction():
    rng = np.random.default_rng(3)
    d = decompose(cells := rng.normal(size=(4, 5)), np.arange(20) // 5, np.arange(20) % 5)
    modes = interaction_modes(cells, d.row_share, d.column_share, count=3)
    rebuilt = [
        sum(modes.interaction(k, u, w) for k in range(len(modes)))
        for u in range(4)
        for w in range(5)
    ]
    np.testing.assert_allclose(rebuilt, d.interaction[:, 0], atol=1e-9)
    of_examples = sum(modes.of_examples(k, d.row_index, d.column_index) for k in range(len(modes)))
    np.testing.assert_allclose(of_examples, d.interaction[:, 0], atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_additive_grid_has_no_modes(dtype):
    rng = np.random.default_rng(4)
    cells = (1e3 + rng.normal(size=(30, 1)) + rng.normal(size=(1, 40))).astype(dtype)
    modes = interaction_modes(cells, _uniform(30), _uniform(40))
    assert len(modes) == 0
    assert modes.variance == 0


@pytest.mark.parametrize("shape", [(1, 5), (5, 1), (1, 1)])
def test_with_one_text_or_one_image_nothing_interacts(shape):
    modes = interaction_modes(np.ones(shape), _uniform(shape[0]), _uniform(shape[1]))
    assert len(modes) == 0


def test_ends_hold_the_most_extreme_and_never_the_same_twice():
    interaction = _grid_of_modes(np.array([2.0]))[0]
    modes = interaction_modes(interaction * np.arange(1, 9)[:, None], _uniform(8), _uniform(16))
    for high, low in (modes.row_ends(0, 5), modes.column_ends(0, 5)):
        assert not set(high) & set(low)
    high, low = modes.row_ends(0, 2)
    scores = modes.row_scores[:, 0]
    assert list(high) == list(np.argsort(-scores)[:2])
    assert list(low) == list(np.argsort(scores)[:2])
    assert abs(scores[high[0]]) == np.abs(scores).max()


def test_a_text_at_the_positive_end_raises_the_logit_with_an_image_of_the_same_end():
    # Texts ask for the shape (0) or the colour (1); images are circles (0, 1) or not (2, 3).
    cells = np.array([[6.0, 6.0, -6.0, -6.0], [0.0, 0.0, 0.0, 0.0]])
    modes = interaction_modes(cells, _uniform(2), _uniform(4))
    (asks,), (circle, _) = modes.row_ends(0, 1)[0], modes.column_ends(0, 2)[0]
    raised = modes.interaction(0, asks, circle)
    assert raised > 0
    assert modes.interaction(0, asks, 3 if circle < 2 else 0) == pytest.approx(-raised)


def test_the_same_seed_gives_the_same_modes_and_the_grid_is_left_alone():
    cells = np.random.default_rng(5).normal(size=(50, 60))
    before = cells.copy()
    first, second = (interaction_modes(cells, _uniform(50), _uniform(60)) for _ in range(2))
    np.testing.assert_array_equal(first.row_scores, second.row_scores)
    np.testing.assert_array_equal(cells, before)


def test_a_large_grid_is_worked_on_in_place():
    rng = np.random.default_rng(6)
    cells = rng.normal(size=(3000, 1)).astype("f4") @ rng.normal(size=(1, 3000)).astype("f4")
    tracemalloc.start()
    modes = interaction_modes(cells, _uniform(3000), _uniform(3000), overwrite=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The values kept beside the 36 MB grid are chunks of it, not a copy in float64 (72 MB).
    assert peak < 150e6
    assert modes.shares[0] == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_offset_of_all_logits_hides_no_mode(dtype):
    rng = np.random.default_rng(5)
    t, v = rng.normal(size=(2, 60))
    modes = interaction_modes(
        (1e6 + np.outer(t, v)).astype(dtype), _uniform(60), _uniform(60), count=2
    )
    assert len(modes) == 1
    expected = np.std(t) * np.std(v)
    assert modes.singular_values[0] == pytest.approx(expected, rel=0.02)
