"""Sums of resamples against whole-number arithmetic, and 32-bit grids against 64-bit ones."""

from __future__ import annotations

import numpy as np
import pytest

import emap_core as emap
from emap_core.inference.predictions.scores import predict
from emap_core.inference.resamples.population import population_of
from emap_core.inference.resamples.resampling import reproject

N = 120


def _whole_numbers(kind, rng):
    # Away from 0 and 1/2, near which `settle` decides.
    if kind == "votes":
        return 5 + np.eye(3, dtype=int)[rng.integers(0, 3, (N, N))]
    if kind == "signs":
        return rng.choice([-1, 1], (N, N, 1))
    if kind == "products of signs":
        return rng.choice([-1, 1], (N, 1, 1)) * rng.choice([-1, 1], (1, N, 1))
    few = rng.integers(3, 8, (N, N, 3))
    return np.concatenate([few, few[:, :, :1]], axis=2) if kind == "a class twice" else few


def _numerators(grid, weights):
    """Return the scores of each row of the table times a positive whole number per example."""
    each, own = np.arange(N), weights[:, None]
    texts, images = (np.tensordot(weights, grid, (0, axis)) for axis in (1, 0))
    plain = N * (texts + images) - weights @ texts
    logits = grid[each, each]
    return {
        "emap": plain,
        "emap_leave_one_out": plain - own * (2 * N - own) * logits,
        "text_only": texts - own * logits,
        "image_only": images - own * logits,
    }


@pytest.mark.parametrize(
    "kind", ["few whole numbers", "votes", "signs", "products of signs", "a class twice"]
)
def test_decisions_are_those_of_exact_arithmetic_with_ties_for_the_first_class(kind):
    rng = np.random.default_rng(5)
    whole = _whole_numbers(kind, rng)
    grid = whole.astype(np.float32)
    decomposition = emap.decompose(grid)
    # Nor where the model itself ties.
    clear = np.setdiff1d(np.arange(N), decomposition.within_rounding)
    weights = population_of(decomposition).draws[0].draw(60, rng)
    (found,) = reproject(grid, decomposition, weights)
    scores, n_ties = found.scores, 0
    for b, weight in enumerate(weights.astype(int)):
        for row, exact in _numerators(whole, weight).items():
            if whole.shape[2] == 1:
                decided = predict(scores[row][b], "binary")
                wanted, tied = exact[:, 0] > 0, exact[:, 0] == 0
            else:
                decided = predict(scores[row][b], "multiclass")
                highest = np.sort(exact, axis=1)[:, -2:]
                wanted, tied = exact.argmax(axis=1), highest[:, 0] == highest[:, 1]
            np.testing.assert_array_equal(decided[clear], wanted[clear])
            n_ties += tied[clear].sum()
    assert n_ties > 10


def _resampled(grid, decomposition, weights, centred=False):
    (found,) = reproject(grid, decomposition, weights, centred=centred)
    sums = found.sums_of_squares
    total = sums.sum(axis=1, keepdims=True)
    return found.scores, np.divide(sums, total, out=np.zeros_like(sums), where=total > 0)


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (1.0, 1e4), (1e-25, 0.0), (1e12, 0.0)])
def test_a_grid_of_32_bits_gives_what_64_bits_give(scale, offset, centred):
    rng = np.random.default_rng(1)
    grid = rng.normal(size=(N, 1, 4)) + rng.normal(size=(1, N, 4)) + rng.normal(size=(N, N, 4))
    grid = (scale * grid + offset).astype(np.float32)
    # A class that never varies, and one that hardly does.
    grid[:, :, 2], grid[:, :, 3] = 1e-6 * scale, 1e-12 * grid[:, :, 3]
    decomposition = emap.decompose(grid)
    weights = population_of(decomposition).draws[0].draw(10, rng)
    few, few_shares = _resampled(grid, decomposition, weights, centred)
    many, shares = _resampled(grid.astype(np.float64), decomposition, weights, centred)
    np.testing.assert_allclose(few_shares, shares, rtol=0, atol=1e-6)
    for row, values in many.items():
        # The cells themselves are only known to 6e-8 of their size.
        np.testing.assert_allclose(few[row], values, rtol=0, atol=1e-6 * scale)


@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_an_additive_grid_of_32_bits_has_no_interaction_in_any_resample(offset):
    rng = np.random.default_rng(2)
    grid = rng.normal(size=(N, 1, 3)) + rng.normal(size=(1, N, 3)) + offset
    # The second class is additive in whole numbers, the third has an interaction.
    grid[:, :, 1] = np.rint(4.0 * grid[:, :1, 1]) + np.rint(4.0 * grid[:1, :, 1])
    grid[:, :, 2] += rng.normal(size=(N, N))
    grid = grid.astype(np.float32)
    decomposition = emap.decompose(grid)
    weights = population_of(decomposition).draws[0].draw(10, rng)
    _, shares = _resampled(grid, decomposition, weights)
    of_rounding = (2.0**-23 * (offset + 10.0)) ** 2
    assert shares[:, 2, 0].max() < of_rounding
    assert shares[:, 2, 1].max() < 1e-20
    assert shares[:, 2, 2].min() > 0.1


@pytest.mark.parametrize("n_strips", [1, 3])
def test_rows_of_strips_may_come_in_any_order(n_strips):
    rng = np.random.default_rng(3)
    grid = rng.normal(size=(N, N, 2))
    decomposition = emap.decompose(grid)
    weights = population_of(decomposition).draws[0].draw(10, rng)
    rows = np.array_split(rng.permutation(N), n_strips)

    class Strips:
        def strips(self):
            return ((some, grid[some]) for some in rows)

    whole, shares = _resampled(grid, decomposition, weights)
    found, of_strips = _resampled(Strips(), decomposition, weights)
    np.testing.assert_allclose(of_strips, shares, rtol=0, atol=1e-12)
    for row, values in whole.items():
        np.testing.assert_allclose(found[row], values, rtol=0, atol=1e-12)
