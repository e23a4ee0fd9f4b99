"""Designs of many sides, and the projections that are fitted to them."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emap_core.decomposition import decompose
from emap_core.decomposition.design import MATCHED
from emap_core.decomposition.design_of_sides import design_of_sides, fewest_cells_per_item
from emap_core.decomposition.incomplete_sides import fit_sides
from emap_core.errors import DatasetError, SettingError
from emap_core.inference import evaluate
from emap_core.inference.intervals.extrapolation import sampled_gap

NAMES = ("one", "two", "three", "four")


def examples_of(sizes, rng):
    """Return the cells of some examples, in which every item is used, some more often."""
    n = max(sizes) + 5
    return [rng.permutation(np.r_[np.arange(n) % size]) for size in sizes]


several_sizes = st.lists(st.integers(2, 9), min_size=3, max_size=4)


@settings(max_examples=40, deadline=None)
@given(several_sizes, st.integers(1, 40), st.integers(0, 2**16))
def test_every_item_is_in_so_many_cells_and_each_cell_is_there_once(sizes, k, seed):
    index = examples_of(sizes, np.random.default_rng(seed))
    k = min(max(k, fewest_cells_per_item(sizes)), prod(sizes) // max(sizes))
    d = design_of_sides(index, sizes, k, seed)
    assert (np.diff(d.numbers) > 0).all()
    for items, numbers in zip(d.items, index, strict=True):
        np.testing.assert_array_equal(items[d.example_cells], numbers)
    own = np.unique(np.ravel_multi_index(index, sizes))
    assert (d.rounds == MATCHED).sum() == len(own)
    # Cells that were drawn where an example sits count as the example's.
    assert max(sizes) * k - len(own) <= (d.rounds != MATCHED).sum() <= max(sizes) * k
    for items, size in zip(d.items, sizes, strict=True):
        assert np.bincount(items, minlength=size).min() >= k
    more = design_of_sides(index, sizes, k + 3, seed)
    assert np.isin(d.numbers, more.numbers).all()


def test_every_cell_has_the_chance_that_its_weight_says():
    n_designs = 2000
    index = [np.zeros(1, int)] * 3
    sizes = (4, 3, 3)
    counts = np.zeros(prod(sizes))
    for seed in range(n_designs):
        d = design_of_sides(index, sizes, 6, seed)
        counts[d.numbers[d.rounds != MATCHED]] += 1
    assert d.fraction == pytest.approx(6 / 9)
    # 4.5 standard deviations of a count.
    assert np.abs(counts[1:] / n_designs - 6 / 9).max() < 4.5 * np.sqrt(2 / 9 / n_designs)


def test_large_sides_take_no_more_than_their_cells():
    sizes = (2000, 1500, 10**5)
    index = [np.arange(10**5) % size for size in sizes]
    d = design_of_sides(index, sizes, 6)
    assert len(d) <= 7 * 10**5


@settings(max_examples=40, deadline=None)
@given(several_sizes, st.integers(0, 40), st.integers(0, 2**16))
def test_an_additive_model_is_found_exactly_whatever_the_design(sizes, more, seed):
    rng = np.random.default_rng(seed)
    index = examples_of(sizes, rng)
    effects = [rng.normal(size=(size, 2)) for size in sizes]
    grid = 100 + sum(
        effect.reshape(*(-1 if j == m else 1 for j in range(len(sizes))), 2)
        for m, effect in enumerate(effects)
    )
    sides = NAMES[: len(sizes)]
    d = design_of_sides(index, sizes, fewest_cells_per_item(sizes) + more, seed)
    found = fit_sides(d, sides, grid[d.items]).decomposition
    exact = decompose(grid, index=dict(zip(sides, index, strict=True)))
    np.testing.assert_allclose(found.mean, exact.mean, atol=1e-9)
    for one, other in zip(found.side_means, exact.side_means, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-8)
    np.testing.assert_allclose(found.emap, exact.logits, atol=1e-8)


def test_a_design_of_all_cells_is_the_exact_projection():
    sizes, rng = (6, 5, 4), np.random.default_rng(3)
    index = examples_of(sizes, rng)
    grid = rng.normal(size=(*sizes, 3))
    d = design_of_sides(index, sizes, 1000, seed=1)
    assert len(d) == prod(sizes)
    fitted = fit_sides(d, NAMES[:3], grid[d.items])
    found, exact = (
        fitted.decomposition,
        decompose(grid, index=dict(zip(NAMES, index, strict=False))),
    )
    assert fitted.fraction == 1.0
    assert not any(error.any() for error in fitted.standard_errors)
    for name in ("logits", "mean", "emap", "emap_leave_one_out", "variance", "variance_shares"):
        np.testing.assert_allclose(getattr(found, name), getattr(exact, name), atol=1e-12)
    np.testing.assert_allclose(
        found.class_centred().variance_shares, exact.class_centred().variance_shares, atol=1e-12
    )
    assert sampled_gap(fitted, lambda scores: float(scores.sum())).standard_error == 0.0


def _draw(rng):
    """Return a grid with interactions of two and of three sides, and its examples."""
    sizes = (60, 60, 12)
    index = [rng.permutation(120) % size for size in sizes]
    a, b, c = (rng.normal(size=(size, 4, 3)) for size in sizes)
    x, y, z = a[:, None, None], b[:, None], c
    grid = x[..., 0, :] + y[..., 0, :] + z[..., 0, :] + 0.5 * x[..., 1, :] * y[..., 1, :]
    return grid + 0.5 * y[..., 2, :] * z[..., 2, :] + x[..., 3, :] * y[..., 3, :] * z[
        ..., 3, :
    ], index


def test_intervals_hold_the_exact_gap_and_shares_are_those_of_the_whole_grid():
    held, off, apart, squares = [], [], [], []
    for seed in range(24):
        rng = np.random.default_rng([11, seed])
        grid, index = _draw(rng)
        exact = decompose(grid, index=dict(zip(NAMES, index, strict=False)))
        labels = (exact.logits + rng.gumbel(size=exact.logits.shape)).argmax(axis=1)

        def accuracy(scores, labels=labels):
            return evaluate("accuracy", labels, scores, "multiclass")

        d = design_of_sides(index, grid.shape[:-1], 24, seed)
        fitted = fit_sides(d, NAMES[:3], grid[d.items])
        gap = sampled_gap(fitted, accuracy)
        truth = accuracy(exact.logits) - accuracy(exact.emap_leave_one_out)
        held.append(gap.low <= truth <= gap.high)
        off.append(gap.difference - truth)
        apart.append(fitted.decomposition.pooled_shares - exact.pooled_shares)
        means = zip(fitted.decomposition.side_means, exact.side_means, strict=True)
        squares.append(
            [
                (np.mean((one - other) ** 2), np.mean(error**2))
                for (one, other), error in zip(means, fitted.standard_errors, strict=True)
            ]
        )
    # Of 24, a true 95% is 19 or more in 999 of 1,000 cases.
    assert sum(held) >= 19
    assert abs(np.mean(off)) < 4 * np.std(off) / np.sqrt(len(off))
    assert np.abs(np.mean(apart, axis=0)).max() < 0.02
    real, told = np.mean(squares, axis=0).T
    np.testing.assert_allclose(told, real, rtol=0.15)


def test_what_sets_of_several_sides_carry_is_not_made_up():
    rng = np.random.default_rng(5)
    grid, index = _draw(rng)
    d = design_of_sides(index, grid.shape[:-1], 24)
    found = fit_sides(d, NAMES[:3], grid[d.items]).decomposition
    shares = found.pooled_terms
    assert [some for some, share in shares.items() if np.isnan(share)] == [
        ("one", "two"),
        ("one", "three"),
        ("two", "three"),
        ("one", "two", "three"),
    ]
    assert sum(shares[side,] for side in found.sides) + found.pooled_shares[-1] == pytest.approx(1)
    assert np.isnan(found.projection(2)).all()
    assert not found.knows_sets


def test_a_constant_model_has_no_variance_to_share_out():
    sizes = (8, 8, 8)
    index = [np.arange(8)] * 3
    d = design_of_sides(index, sizes, 8)
    found = fit_sides(d, NAMES[:3], np.full((len(d), 1), 0.1)).decomposition
    assert np.isnan(found.pooled_shares).all()


def test_what_cannot_be_fitted_is_refused():
    sizes, index = (9, 9, 9), [np.arange(9)] * 3
    with pytest.raises(SettingError, match="images_per_text is 5; expected at least 6 for 3 sides"):
        design_of_sides(index, sizes, 5)
    with pytest.raises(SettingError, match="more than can be numbered"):
        design_of_sides(index, (2**31, 2**31, 2**31), 6)
    d = design_of_sides(index, sizes, 6)
    with pytest.raises(DatasetError, match="expected one row each"):
        fit_sides(d, NAMES[:3], np.zeros((5, 1)))
    values = np.zeros((len(d), 2))
    values[3, 1] = np.inf
    where = " with ".join(f"{side} {one[3]}" for side, one in zip(NAMES, d.items, strict=False))
    with pytest.raises(DatasetError, match=f"not finite for {where}"):
        fit_sides(d, NAMES[:3], values)


def test_what_pairs_predict_is_taken_off_where_items_are_in_many_cells():
    sizes, plain, better, told, explained = (50, 50, 50), [], [], [], []
    for seed in range(4):
        rng = np.random.default_rng([13, seed])
        index = [rng.permutation(50) for _ in sizes]
        a, b, c = (rng.normal(size=(50, 2, 1)) for _ in sizes)
        grid = a[:, None, None, 0] + b[:, None, 0] + c[:, 0] + a[:, None, None, 1] * b[:, None, 1]
        exact = decompose(grid, index=dict(zip(NAMES, index, strict=False)))
        d = design_of_sides(index, sizes, 48, seed)
        found = fit_sides(d, NAMES[:3], grid[d.items])
        without = fit_sides(d, NAMES[:3], grid[d.items], low_rank=False)
        for fitted, errors in ((found, better), (without, plain)):
            means = zip(fitted.decomposition.side_means[:2], exact.side_means, strict=False)
            errors.append(np.mean([(one - other) ** 2 for one, other in means]))
        told.append(np.mean(np.square(found.standard_errors[:2])))
        explained.append(found.explained)
    assert np.mean(better) < 0.05 * np.mean(plain)
    assert 0.5 < np.mean(told) / np.mean(better) < 2
    assert np.mean(explained) > 0.9

    # Of noise there is nothing to predict, and nothing is taken off.
    noise = np.random.default_rng(0).normal(size=(len(d), 1))
    found, without = (fit_sides(d, NAMES[:3], noise, low_rank=on) for on in (True, False))
    assert found.explained == 0.0
    assert found.decomposition.equals(without.decomposition)
