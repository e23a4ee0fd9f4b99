"""Interactions between units against closed forms and against sums over all subsets."""

from itertools import product

import numpy as np
import pytest

from emap_core.probes.bilinear_fit import agreement, fit_bilinear, fit_effects
from emap_core.probes.masks import draw_masks


def grid_of(game, rows, columns):
    return np.array([[game(s, t) for t in columns.keep] for s in rows.keep], dtype=float)


def any_game(n_rows, n_columns, seed=0):
    """Return a game with terms of every order, within and across sides."""
    values = np.random.default_rng(seed).normal(size=(2,) * (n_rows + n_columns))
    return lambda s, t: values[tuple(np.concatenate([s, t]).astype(int))]


def banzhaf_of_order_two(game, n_rows, n_columns, i, j):
    """Return the mean over all subsets of the other units of the change from keeping both."""
    found = []
    others = n_rows + n_columns - 2
    for bits in product([0, 1], repeat=others):
        s, t = list(bits[: n_rows - 1]), list(bits[n_rows - 1 :])
        s.insert(i, 0)
        t.insert(j, 0)
        corners = {}
        for a, b in product([0, 1], repeat=2):
            s[i], t[j] = a, b
            corners[a, b] = game(np.array(s), np.array(t))
        found.append(corners[1, 1] - corners[1, 0] - corners[0, 1] + corners[0, 0])
    return np.mean(found)


def test_with_all_masks_entries_are_banzhaf_interactions_by_brute_force():
    rows, columns = draw_masks(3, 64), draw_masks(4, 64)
    game = any_game(3, 4)
    found = fit_bilinear(grid_of(game, rows, columns), rows, columns)
    expected = [[banzhaf_of_order_two(game, 3, 4, i, j) for j in range(4)] for i in range(3)]
    np.testing.assert_allclose(found.interactions, expected, atol=1e-12)
    assert (found.interaction_errors == 0).all()


def test_entries_are_those_that_shapiq_finds():
    shapiq = pytest.importorskip("shapiq", reason="shapiq is not installed")
    game, rows, columns = any_game(3, 4), draw_masks(3, 64), draw_masks(4, 64)

    def value(coalitions):
        return np.array([game(one[:3], one[3:]) for one in np.atleast_2d(coalitions)])

    computer = shapiq.ExactComputer(n_players=7, game=value)
    found = fit_bilinear(grid_of(game, rows, columns), rows, columns).interactions
    for index in ("FBII", "BII"):
        theirs = computer(index, 2)
        expected = [[theirs[(i, 3 + j)] for j in range(4)] for i in range(3)]
        np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("n_rows", [4, 9])
def test_an_additive_game_has_no_interactions(n_rows):
    rows, columns = draw_masks(n_rows, 64), draw_masks(20, 128)
    draws = np.random.default_rng(1)
    # Anything at all of either side, of any order within it.
    grid = 50 * (draws.normal(size=(len(rows), 1)) + draws.normal(size=(1, len(columns))))
    found = fit_bilinear(grid, rows, columns)
    assert np.abs(found.interactions).max() < 1e-12 * np.abs(grid).max() * len(columns)
    assert np.abs(found.interaction_errors).max() < 1e-9


def test_what_one_side_adds_changes_no_interaction():
    rows, columns = draw_masks(4, 64), draw_masks(5, 64)
    game = any_game(4, 5)
    grid = grid_of(game, rows, columns)
    more = grid + np.random.default_rng(2).normal(size=(len(rows), 1))
    np.testing.assert_allclose(
        fit_bilinear(more, rows, columns).interactions,
        fit_bilinear(grid, rows, columns).interactions,
        atol=1e-13,
    )


def test_one_product_of_two_units_gives_the_single_entry():
    rows, columns = draw_masks(8, 64), draw_masks(30, 256)
    grid = 2.0 * np.outer(rows.keep[:, 1], columns.keep[:, 2]) + columns.keep[:, [4]].T
    found = fit_bilinear(grid, rows, columns)
    expected = np.zeros((8, 30))
    expected[1, 2] = 2.0
    np.testing.assert_allclose(found.interactions, expected, atol=1e-12)
    assert found.explained == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(found.interaction_errors, 0, atol=1e-10)


def test_bags_of_words_and_patches_give_their_products_from_drawn_masks():
    draws = np.random.default_rng(3)
    words, patches = draws.normal(size=(11, 16)), draws.normal(size=(49, 16))
    rows, columns = draw_masks(11, 64, seed=1), draw_masks(49, 256, seed=2)
    found = fit_bilinear((rows.keep @ words) @ (columns.keep @ patches).T, rows, columns)
    np.testing.assert_allclose(found.interactions, words @ patches.T, atol=1e-9)


def test_held_out_masks_tell_what_the_fit_misses():
    rows, columns = draw_masks(8, 128, seed=1), draw_masks(12, 256, seed=2)
    draws = np.random.default_rng(4)
    products = np.outer(rows.keep @ draws.normal(size=8), columns.keep @ draws.normal(size=12))
    noise = draws.normal(size=products.shape) * products.std()
    # Half of the variance cannot be known beforehand.
    found = fit_bilinear(products + noise, rows, columns).explained
    assert found == pytest.approx(0.5, abs=0.06)
    assert fit_bilinear(noise, rows, columns).explained < 0.05


def test_with_all_masks_what_is_explained_is_exact():
    rows, columns = draw_masks(3, 8), draw_masks(4, 16)
    signs = [np.where(side.keep, 1.0, -1.0) for side in (rows, columns)]
    # Of variance 4 and 1, the second of order three.
    grid = 2 * np.outer(signs[0][:, 0], signs[1][:, 2])
    grid = grid + np.outer(signs[0][:, 1], signs[1][:, 0] * signs[1][:, 1])
    assert fit_bilinear(grid, rows, columns).explained == pytest.approx(0.8)


def test_too_few_masks_to_hold_any_out_are_said_to_be():
    rows, columns = draw_masks(2, 64), draw_masks(30, 64)
    grid = np.random.default_rng(0).normal(size=(len(rows), len(columns)))
    assert np.isnan(fit_bilinear(grid, rows, columns).explained)
    rows, columns = draw_masks(6, 64), draw_masks(49, 256)
    flat = fit_bilinear(np.full((len(rows), len(columns)), 7.0), rows, columns)
    assert np.isnan(flat.explained) and np.isnan(flat.row_share)
    # As many pairs of masks as units: nothing is left over to judge errors by.
    rows, columns = draw_masks(4, 16), draw_masks(8, 16)
    grid = np.random.default_rng(0).normal(size=(len(rows), len(columns)))
    assert np.isinf(fit_bilinear(grid, rows, columns).interaction_errors).all()


@pytest.mark.slow
def test_intervals_hold_the_interactions_of_all_masks():
    n_rows, n_columns = 9, 8
    game = any_game(n_rows, n_columns, seed=9)
    every = draw_masks(n_rows, 2**n_rows), draw_masks(n_columns, 2**n_columns)
    whole = grid_of(game, *every)
    exact = fit_bilinear(whole, *every).interactions
    places = [{tuple(keep): k for k, keep in enumerate(side.keep)} for side in every]
    held, found, told = [], [], []
    for seed in range(30):
        masks = [draw_masks(n_rows, 64, seed=seed), draw_masks(n_columns, 64, seed=1000 + seed)]
        chosen = [
            [place[tuple(keep)] for keep in side.keep]
            for place, side in zip(places, masks, strict=True)
        ]
        one = fit_bilinear(whole[np.ix_(*chosen)], *masks)
        held.append(np.abs(one.interactions - exact) < 1.96 * one.interaction_errors)
        found.append(one.interactions)
        told.append(one.interaction_errors)
    # Estimates are right on average, over masks.
    off = np.abs(np.mean(found, axis=0) - exact) / (np.std(found, axis=0) / np.sqrt(30))
    assert np.median(off) < 1.1 and off.max() < 5
    assert 0.94 < np.mean(held) < 0.995
    spread = np.sqrt(np.mean((np.array(found) - exact) ** 2))
    # What both sides' masks do at once counts with either.
    assert 1.0 < np.mean(told) / spread < np.sqrt(2)


def test_first_orders_are_told_apart_by_what_the_other_side_adds():
    masks, columns = draw_masks(3, 64), draw_masks(2, 64)
    own, crossed = np.array([1.0, -2.0, 0.5]), np.array([[0.0, 3.0], [1.0, 0.0], [0.0, 0.0]])
    grid = (masks.keep @ own)[:, None] + masks.keep @ crossed @ columns.keep.T
    partners = (masks.keep @ own) + 4.0
    found = fit_effects(grid, partners, masks)
    np.testing.assert_allclose(found.alone, own, atol=1e-12)
    np.testing.assert_allclose(found.with_other, crossed.sum(axis=1), atol=1e-12)


def test_the_share_of_a_side_is_that_of_its_units_order_one_values():
    rows, columns = draw_masks(2, 64), draw_masks(3, 64)
    game = lambda s, t: 3 * s[0] - t[0] + 2 * s[1] * t[1]  # noqa: E731
    found = fit_bilinear(grid_of(game, rows, columns), rows, columns)
    # Of order 1: words 3 and 1, regions −1, 1 and 0.
    assert found.row_share == pytest.approx(4 / 6)


def test_agreement_is_that_of_shape_not_of_size():
    one = np.random.default_rng(0).normal(size=(4, 9))
    assert agreement(one, 3 * one + 1) == pytest.approx(1)
    assert agreement(one, -one) == pytest.approx(-1)
    assert np.isnan(agreement(one, np.zeros_like(one)))
