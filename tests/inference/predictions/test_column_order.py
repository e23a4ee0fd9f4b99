"""Another order of the outputs is only told where it fits far better, and not by chance."""

from itertools import permutations

import numpy as np
import pytest

from emap_core.inference.predictions.column_order import better_order


def scores_of(decided, n_classes, rng):
    scores = rng.normal(size=(len(decided), n_classes))
    scores[np.arange(len(decided)), decided] = 10
    return scores


@pytest.mark.parametrize("order", list(permutations(range(3)))[1:])
def test_the_order_in_which_outputs_were_turned_is_found(order):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 200)
    noisy = np.where(rng.random(200) < 0.2, rng.integers(0, 3, 200), labels)
    found, before, after = better_order(scores_of(np.array(order)[noisy], 3, rng), labels)
    assert tuple(found) == order
    assert before < 0.5 < 0.8 < after


@pytest.mark.parametrize("n_classes", [2, 3, 10, 50])
@pytest.mark.parametrize("n", [4, 30, 300])
def test_chance_is_not_taken_for_an_order(n, n_classes):
    rng = np.random.default_rng(n * n_classes)
    told = 0
    for _ in range(100):
        labels, decided = rng.integers(0, n_classes, (2, n))
        told += better_order(scores_of(decided, n_classes, rng), labels) is not None
    assert told <= 1


def test_a_good_model_and_one_that_always_says_the_same_have_no_better_order():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 4, 300)
    assert better_order(scores_of(labels, 4, rng), labels) is None
    assert better_order(scores_of(np.zeros(300, dtype=int), 4, rng), labels) is None
    assert better_order(np.zeros((300, 1)), labels) is None
    assert better_order(scores_of(labels, 4, rng), np.full(300, -1)) is None
