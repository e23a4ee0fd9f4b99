from __future__ import annotations

import numpy as np
import pytest

from emap_core.errors import SettingError
from emap_core.inference.resamples.population import population_of_items, population_of_sides
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


QUESTION, WRITTEN, SPOKEN = np.arange(24) % 3, np.arange(24) // 4, np.arange(24) % 8
SIDES = {"question": QUESTION, "written": WRITTEN, "spoken": SPOKEN}
NEW = "for new items of question, written and spoken"


@pytest.mark.parametrize(
    ("index", "asked", "cluster", "n_units", "unit", "words"),
    [
        (SIDES, "auto", "question+written+spoken", 3, "items of question", NEW),
        (SIDES, "all", "question+written+spoken", 3, "items of question", NEW),
        (SIDES, "written", "written", 6, "items of written",
         "for these 3 items of question, these 8 items of spoken and new items of written"),
        (SIDES, "spoken+written", "written+spoken", 6, "items of written",
         "for these 3 items of question and new items of written and spoken"),
        (SIDES | {"spoken": np.arange(24)}, "auto", "question+written", 3,
         "items of question", NEW),
        # Each written digit has sounds of its own.
        (SIDES | {"spoken": np.arange(24) // 2}, "auto", "question+written", 3,
         "items of question", NEW),
        (dict.fromkeys(SIDES, np.arange(24)), "auto", "none", 24, "examples", "for new examples"),
        (dict.fromkeys(SIDES, np.arange(24)) | {"question": np.zeros(24, int)}, "auto", "none", 24,
         "examples", "for this one item of question and new items of written and spoken"),
        (SIDES, "none", "none", 24, "examples", "for new examples of these 3 items of question, "
         "these 6 items of written and these 8 items of spoken"),
    ],
)  # fmt: skip
def test_what_is_drawn_of_three_sides(index, asked, cluster, n_units, unit, words):
    found = population_of_sides(index, asked)
    assert (found.cluster, found.n_units, found.unit) == (cluster, n_units, unit)
    assert found.words == words
    assert population_of_sides(index, found.cluster).words == words


def test_variances_of_three_sides_are_put_together_with_alternating_signs():
    found = population_of_sides(SIDES)
    names = [units.sides for units in found.draws]
    assert names[:3] == [("question",), ("written",), ("spoken",)]
    # Each of these: how many of its units a spelled-out count finds.
    for units in found.draws:
        rows = {tuple(row) for row in np.stack([SIDES[s] for s in units.sides], axis=1).tolist()}
        assert units.size == len(rows)
    # A question and a sound make one example, and so do all three.
    assert dict(zip(names, found.signs, strict=True)) == {
        **dict.fromkeys(names[:3], 1), ("question", "written"): -1, ("question", "spoken"): -1,
    }  # fmt: skip
    assert found.variance([4.0, 3.0, 2.0, 1.0, 0.5]) == 7.5
    assert found.variance([4.0, 3.0, 2.0, 3.5, 2.5]) == 4.0
    assert found.drawn_words == (
        "whole items of question, as many of items of written and items of spoken and of their "
        "combinations"
    )


def test_multiway_variance_of_a_mean_is_the_published_one():
    # Against the sum over pairs of examples that share an item: Cameron, Gelbach & Miller 2011.
    rng = np.random.default_rng(0)
    index = {name: rng.integers(0, n, 40) for name, n in zip("abc", (5, 4, 6), strict=True)}
    values = rng.normal(size=40)
    values -= values.mean()
    found = population_of_sides(index)
    sums = [float((np.bincount(u.groups, values) ** 2).sum()) for u in found.draws]
    shares = np.any([i[:, None] == i for i in index.values()], axis=0)
    assert found.together(sums) == pytest.approx(float((np.outer(values, values) * shares).sum()))


def test_a_side_that_is_not_there_is_refused():
    with pytest.raises(SettingError, match="'text'; expected one of auto, none, question, written"):
        population_of_sides(SIDES, "text")
