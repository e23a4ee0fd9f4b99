from itertools import combinations

import numpy as np
import pytest

from emap_core.probes.masks import ALL, draw_masks


@pytest.mark.parametrize("n_units", [1, 2, 5, 6])
def test_of_few_units_every_mask_is_there_once(n_units):
    masks = draw_masks(n_units, 64)
    assert masks.exhaustive
    assert len(np.unique(masks.keep, axis=0)) == len(masks) == 2**n_units
    assert masks.keep[ALL].all()
    assert len(masks.design) == len(masks)


@pytest.mark.parametrize(("n_units", "n_masks"), [(7, 32), (8, 16), (13, 64), (49, 128), (49, 256)])
def test_any_three_units_are_kept_in_all_eight_ways_equally_often(n_units, n_masks):
    masks = draw_masks(n_units, n_masks, seed=3)
    assert masks.keep[ALL].all() and len(masks) == n_masks + 1
    halves = [masks, masks.first_half] if masks.splits else [masks]
    for array in (one.keep[one.fitted] for one in halves):
        assert (array[::2] == ~array[1::2]).all()
        for three in combinations(range(min(n_units, 12)), 3):
            ways = array[:, three] @ (1, 2, 4)
            assert (np.bincount(ways, minlength=8) == len(array) // 8).all()


def test_an_array_splits_where_its_halves_hold_all_units():
    assert draw_masks(49, 256).splits and not draw_masks(49, 128).splits
    assert not draw_masks(3, 32).splits
    assert draw_masks(3, 32).first_half.exhaustive


def test_effects_of_threes_are_told_apart_where_there_are_masks_enough():
    array = draw_masks(8, 128, seed=1).keep[1:] * 2 - 1
    threes = np.array([array[:, three].prod(axis=1) for three in combinations(range(8), 3)])
    assert not (threes @ array).any()


def test_over_seeds_each_mask_is_as_likely_as_any_other():
    seen = np.concatenate([draw_masks(5, 16, seed=s).keep[1:] for s in range(500)])
    counts = np.bincount(seen @ (1, 2, 4, 8, 16), minlength=32)
    # 8,000 masks; each array holds one of two complementary halves of each kind.
    assert np.abs(counts - 250).max() < 6 * np.sqrt(250)


def test_more_masks_are_drawn_where_units_need_them():
    assert len(draw_masks(40, 16)) == 128 + 1


def test_the_same_seed_gives_the_same_masks():
    assert (draw_masks(20, 64, seed=5).keep == draw_masks(20, 64, seed=5).keep).all()
    assert (draw_masks(20, 64, seed=5).keep != draw_masks(20, 64, seed=6).keep).any()
