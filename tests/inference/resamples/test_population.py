from __future__ import annotations

import numpy as np
import pytest

from emap_core.errors import SettingError
from emap_core.inference.resamples.population import population_of_items
from emap_core.inference.resamples.replicates import Mixtures

ALL = np.arange(12)
FEW = np.arange(12) % 3
HALF = np.arange(12) // 2
ONE = np.zeros(12, dtype=int)
CASES = [
    # texts, images, what is asked for, what is drawn, how many, for whom
    (ALL, ALL, "auto", "none", 12, "for new examples"),
    (ALL, HALF, "auto", "image", 6, "for new texts and new images"),
    (HALF, ALL, "auto", "text", 6, "for new texts and new images"),
    (FEW, HALF, "auto", "both", 3, "for new texts and new images"),
    (FEW, HALF, "text", "text", 3, "for new texts and these 6 images"),
    (FEW, HALF, "image", "image", 6, "for these 3 texts and new images"),
    (FEW, HALF, "none", "none", 12, "for new examples of these 3 texts and these 6 images"),
    (FEW, ALL, "none", "none", 12, "for these 3 texts and new images"),
    (ALL, HALF, "both", "image", 6, "for new texts and new images"),
    # A side with a single item cannot be drawn.
    (ALL, ONE, "auto", "none", 12, "for new texts and this one image"),
    (ONE, HALF, "auto", "image", 6, "for this one text and new images"),
    (ONE, ONE, "auto", "none", 12, "for new examples of this one text and this one image"),
    # Copies of the same pairs, and images that each belong to one text.
    (HALF, HALF, "auto", "image", 6, "for new texts and new images"),
    (HALF, HALF // 2, "auto", "image", 3, "for new texts and new images"),
    (HALF // 2, HALF, "auto", "text", 3, "for new texts and new images"),
]


@pytest.mark.parametrize(("text", "image", "asked", "cluster", "n_units", "words"), CASES)
def test_what_is_drawn_and_for_whom(text, image, asked, cluster, n_units, words):
    found = population_of_items(text, image, asked)
    assert (found.cluster, found.n_units, found.words) == (cluster, n_units, words)
    units = {"none": "examples", "image": "images", "text": "texts", "both": "texts"}
    assert found.unit == units[cluster]
    assert found.degrees_of_freedom == n_units - 1


def test_whole_units_are_drawn_and_as_many_as_there_are():
    rng = np.random.default_rng(0)
    for units in population_of_items(FEW, HALF).draws:
        weights = units.draw(40, rng)
        first = np.unique(units.groups, return_index=True)[1]
        assert (weights == weights[:, first][:, units.groups]).all()
        assert (weights[:, first].sum(axis=1) == units.size).all()
        places = Mixtures.drawn(units, 5, rng).places
        assert (places == places[:, first][:, units.groups]).all()
        assert (np.sort(places[:, first], axis=0) == np.arange(5)[:, None]).all()
    assert [u.name for u in population_of_items(FEW, HALF).draws] == ["texts", "images", "pairs"]


def test_two_way_variances_are_put_together_and_never_below_one_way():
    both, images = population_of_items(FEW, HALF), population_of_items(ALL, HALF)
    assert both.variance([3.0, 2.0, 1.0]) == 4.0
    assert both.variance([3.0, 2.0, 2.5]) == 3.0
    assert images.variance([2.0]) == 2.0


def test_an_unknown_way_is_refused():
    with pytest.raises(SettingError, match="'images'"):
        population_of_items(ALL, ALL, "images")
