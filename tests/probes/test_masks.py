import numpy as np
import pytest

from emap_core.probes.masks import ALL, NONE, draw_masks


@pytest.mark.parametrize("n_units", [1, 2, 5, 6])
def test_of_few_units_every_mask_is_there_once(n_units):
    masks = draw_masks(n_units, 64)
    assert masks.exhaustive
    assert len(np.unique(masks.keep, axis=0)) == len(masks) == 2**n_units


@pytest.mark.parametrize("n_units", [1, 4, 7, 49])
def test_masks_come_with_their_complements_after_all_and_none(n_units):
    masks = draw_masks(n_units, 64, seed=3)
    assert masks.keep[ALL].all() and not masks.keep[NONE].any()
    assert (masks.keep[::2] == ~masks.keep[1::2]).all()


def test_of_many_units_masks_are_drawn_with_a_chance_of_one_half():
    masks = draw_masks(49, 4000, seed=1)
    assert len(masks) == 4002 and not masks.exhaustive
    first_of_pairs = masks.keep[2::2]
    # 49 units in 2,000 draws: the share kept is within six standard errors.
    assert abs(first_of_pairs.mean() - 0.5) < 6 * 0.5 / np.sqrt(first_of_pairs.size)
    together = np.corrcoef(first_of_pairs.T) - np.eye(49)
    assert np.abs(together).max() < 6 / np.sqrt(2000)


def test_the_same_seed_gives_the_same_masks():
    assert (draw_masks(20, 32, seed=5).keep == draw_masks(20, 32, seed=5).keep).all()
    assert (draw_masks(20, 32, seed=5).keep != draw_masks(20, 32, seed=6).keep).any()
