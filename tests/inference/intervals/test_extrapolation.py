from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emap_core.decomposition import decompose
from emap_core.decomposition.design import design
from emap_core.decomposition.incomplete import fit
from emap_core.decomposition.random_subsamples import subsamples
from emap_core.errors import SettingError
from emap_core.inference.intervals.extrapolation import next_cells_per_item, sampled_gap

N = 120
DIAGONAL = np.arange(N)


def _grid(rng, rank=None):
    grid = rng.normal(size=(N, 1, 2)) + rng.normal(size=(1, N, 2))
    if rank is None:
        return grid + rng.normal(size=(N, N, 2))
    x, y = rng.normal(size=(2, N, rank, 2))
    return grid + np.einsum("ukc,wkc->uwc", x, y)


def _fit(grid, k, seed=0, **kwargs):
    d = design(N, N, DIAGONAL, DIAGONAL, k, seed)
    return d, fit(d, grid[d.rows, d.columns], seed=seed, **kwargs)


@pytest.fixture(scope="module")
def many():
    """The same full-rank grid from 24 designs, and its exact decomposition."""
    grid = _grid(np.random.default_rng(0))
    return decompose(grid), [_fit(grid, 16, seed, low_rank=False)[1] for seed in range(24)]


def _off(values, truth):
    """Return the mean error over designs in its own standard errors."""
    errors = np.array(values) - truth
    return errors.mean() / (errors.std(ddof=1) / np.sqrt(len(errors)))


@pytest.mark.slow
def test_a_squared_error_is_corrected_without_bias(many):
    exact, fits = many
    target = exact.emap + 0.3

    def error(scores):
        return -float(np.mean((scores - target) ** 2))

    for projection in ("emap_leave_one_out", "text_only"):
        truth = error(exact.logits) - error(getattr(exact, projection))
        gaps = [sampled_gap(f, error, projection) for f in fits]
        assert abs(_off([g.difference for g in gaps], truth)) < 3
        assert _off([g.uncorrected for g in gaps], truth) > 4


@pytest.mark.slow
def test_the_bias_that_no_straight_line_follows_is_stated(many):
    exact, fits = many[0], many[1][:12]
    target = exact.emap_leave_one_out

    def error(scores):
        # It grows with the variance of the noise and with its square.
        return float(np.mean((scores - target) ** 4))

    truth = error(exact.logits) - error(target)
    gaps = [sampled_gap(f, error) for f in fits]
    errors = np.array([gap.difference - truth for gap in gaps])
    stated = np.mean([gap.bias for gap in gaps])
    known = np.sqrt(np.mean([gap.bias_standard_error**2 for gap in gaps]))
    assert abs(stated - errors.mean()) < 2 * known
    # The bias is there.
    assert errors.mean() > 3 * errors.std(ddof=1) / np.sqrt(len(errors))
    assert stated > 0
    for gap in gaps:
        reach = (gap.high - gap.low) / 2
        np.testing.assert_allclose(reach, np.hypot(gap.standard_error, gap.bias) * 2.131, rtol=1e-3)


def test_standard_errors_are_as_large_as_the_errors(many):
    exact, fits = many
    for side in range(2):
        errors = [f.decomposition.side_means[side] - exact.side_means[side] for f in fits]
        claimed = [f.standard_errors[side] for f in fits]
        ratio = np.sqrt(np.mean(np.square(claimed)) / np.mean(np.square(errors)))
        assert 0.95 < ratio < 1.05


def test_variance_shares_are_free_of_the_noise_of_effects(many):
    exact, fits = many
    for centred in (False, True):
        truth = exact.class_centred() if centred else exact
        found = [f.decomposition.class_centred() if centred else f.decomposition for f in fits]
        for part in range(3):
            shares = [d.pooled_shares[part] for d in found]
            assert abs(np.mean(shares) - truth.pooled_shares[part]) < 0.01
    noise = np.mean([f.decomposition.noise_variance / f.decomposition.variance for f in fits])
    assert noise > 0.015


def test_products_that_predict_unseen_cells_cut_the_error():
    grid = _grid(np.random.default_rng(1), rank=1)
    exact = decompose(grid)
    _, plain = _fit(grid, 32, low_rank=False)
    _, better = _fit(grid, 32)
    error, better_error = (
        np.abs(f.decomposition.row_mean - exact.row_mean).mean() for f in (plain, better)
    )
    assert better_error < 0.1 * error
    assert better.explained.min() > 0.8
    assert better.standard_errors[0].mean() < 0.1 * plain.standard_errors[0].mean()


def test_products_that_predict_nothing_are_left_out():
    grid = _grid(np.random.default_rng(2))
    _, plain = _fit(grid, 32, low_rank=False)
    _, same = _fit(grid, 32)
    assert not same.explained.any()
    np.testing.assert_allclose(same.decomposition.emap, plain.decomposition.emap, atol=1e-9)


def test_the_interval_narrows_with_rounds_and_ends_at_the_exact_gap():
    rng = np.random.default_rng(3)
    grid = _grid(rng)
    labels = (grid[DIAGONAL, DIAGONAL] + rng.gumbel(size=(N, 2))).argmax(axis=1)

    def accuracy(scores):
        return float((scores.argmax(axis=1) == labels).mean())

    exact = decompose(grid)
    truth = accuracy(exact.logits) - accuracy(exact.emap_leave_one_out)
    widths, k = [], 8
    while k is not None:
        d, f = _fit(grid, k)
        gap = sampled_gap(f, accuracy)
        assert gap.full - gap.projected == gap.difference
        widths.append(gap.high - gap.low)
        k = next_cells_per_item(d, gap, tolerance=1e-6 if len(widths) > 2 else 0.02)  # type: ignore[assignment]
    assert widths[0] > widths[1] > widths[2]
    assert d.fraction == 1
    assert gap.low == gap.difference == gap.high == truth


def test_rounds_double_until_the_gap_is_known_well_enough():
    _, f = _fit(_grid(np.random.default_rng(4)), 8)
    gap = replace(sampled_gap(f, lambda scores: float(scores.mean())), low=0.0, high=0.04)
    d = design(N, N, DIAGONAL, DIAGONAL, 8)
    assert next_cells_per_item(d, gap, 0.02) is None
    assert next_cells_per_item(d, gap, 0.015) == 16
    # A hundred times as many images per text as there are.
    assert next_cells_per_item(d, gap, 0.0002) == N
    assert next_cells_per_item(d, gap, 0.0) == N
    assert next_cells_per_item(design(N, N, DIAGONAL, DIAGONAL, 64), gap, 0.01) == N


def test_a_subsample_of_all_examples_is_the_exact_decomposition():
    rng = np.random.default_rng(5)
    grid = rng.normal(size=(6, 9, 2))
    texts, images = np.r_[np.arange(6), 0, 0, 3], np.arange(9)
    exact = decompose(grid, texts, images)
    for examples, found in subsamples(lambda t, v: grid[np.ix_(t, v)], texts, images, 9, 2):
        np.testing.assert_allclose(found.emap_leave_one_out, exact.emap_leave_one_out[examples])


def test_subsamples_evaluate_their_own_grid_alone():
    rng = np.random.default_rng(6)
    grid = rng.normal(size=(N, N, 1))
    asked = []

    def cells(texts, images):
        asked.append((len(texts), len(images)))
        return grid[np.ix_(texts, images)]

    drawn = list(subsamples(cells, DIAGONAL, DIAGONAL, 20, repeats=5, seed=1))
    assert asked == [(20, 20)] * 5
    assert len({tuple(examples) for examples, _ in drawn}) == 5
    for examples, found in drawn:
        np.testing.assert_array_equal(found.logits, grid[examples, examples])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 1}, "2 to 120"),
        ({"size": 121}, "2 to 120"),
        ({"size": 9, "repeats": 0}, "repeats"),
    ],
)
def test_subsamples_that_cannot_be_drawn_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        list(subsamples(lambda t, v: np.zeros((1, 1, 1)), DIAGONAL, DIAGONAL, **settings))
