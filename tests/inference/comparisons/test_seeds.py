import numpy as np
import pytest

from emap_core.inference.comparisons.seeds import seeds_gap
from emap_core.inference.resamples.population import population_of_items


def independent(n):
    return population_of_items(np.arange(n), np.arange(n))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("of_seeds", "of_examples", "rest"), [(0.3, 1.0, 1.0), (0.0, 1.0, 0.5), (0.2, 0.0, 1.0)]
)
def test_the_interval_holds_the_mean_over_all_seeds_and_examples(of_seeds, of_examples, rest):
    rng = np.random.default_rng(0)
    n_designs, n_seeds, n = 1000, 4, 60
    held = rejected = 0
    for _ in range(n_designs):
        gains = (
            of_seeds * rng.normal(size=(n_seeds, 1))
            + of_examples * rng.normal(size=(1, n))
            + rest * rng.normal(size=(n_seeds, n))
        )
        found = seeds_gap(gains, independent(n))
        held += found.low <= 0.0 <= found.high
        rejected += found.p_value < 0.05
    # The floors of the variance make limits wide where an effect is absent, never narrow.
    assert 0.93 <= held / n_designs <= 0.995
    assert rejected == n_designs - held


def test_with_texts_shared_their_examples_count_once():
    rng = np.random.default_rng(1)
    text = np.repeat(np.arange(20), 10)
    n_designs, held = 500, 0
    population = population_of_items(text, np.arange(200))
    for _ in range(n_designs):
        gains = rng.normal(size=20)[text] + rng.normal(size=(3, 200)) + rng.normal(size=(3, 1)) / 5
        found = seeds_gap(gains, population)
        held += found.low <= 0.0 <= found.high
    assert 0.925 <= held / n_designs <= 0.985
    assert found.population == "for new seeds, new texts and new images"


def test_the_spread_between_seeds_stands_beside_their_mean():
    gains = np.array([[0.0, 0.2], [0.2, 0.4]])
    found = seeds_gap(gains, independent(2))
    assert found.mean == pytest.approx(0.2)
    assert found.spread == pytest.approx(np.std([0.1, 0.3], ddof=1))
    assert found.population == "for new seeds and new examples"


def test_one_seed_has_no_interval():
    found = seeds_gap(np.zeros((1, 5)), independent(5))
    assert np.isnan(found.low) and np.isnan(found.p_value) and found.mean == 0.0
