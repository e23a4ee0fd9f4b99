import numpy as np
import pytest

from emap_core.decomposition import decompose
from emap_core.errors import SettingError
from emap_core.inference import gap_difference

N, C = 60, 3


def population(rng, strength):
    """Return the grids of two models of the same texts and images, and their labels."""
    text, image = rng.normal(size=(2, N, C))
    mixed = rng.normal(size=(N, N, C))
    additive = text[:, None] + image[None]
    labels = (additive + strength[0] * mixed)[np.arange(N), np.arange(N)].argmax(axis=1)
    return [additive + s * mixed for s in strength], labels


def compare(grids, labels, **settings):
    first, second = (decompose(grid) for grid in grids)
    return gap_difference(
        first, second, labels, "multiclass", "accuracy", grids=tuple(grids), **settings
    )


def test_a_model_has_the_same_gap_as_itself():
    grids, labels = population(np.random.default_rng(0), (1.0, 1.0))
    found = compare(grids, labels, n_resamples=100)
    assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_a_larger_gap_is_seen_and_the_other_way_round():
    grids, labels = population(np.random.default_rng(1), (2.0, 0.2))
    found = compare(grids, labels, n_resamples=300)
    assert 0 < found.low < found.difference < found.high
    assert found.p_value < 0.02
    turned = compare(grids[::-1], labels, n_resamples=300)
    assert turned.difference == pytest.approx(-found.difference)
    assert turned.high < 0


@pytest.mark.slow
def test_models_that_differ_by_chance_alone_are_seldom_told_apart():
    rng = np.random.default_rng(2)
    holds, p_values = [], []
    for _ in range(60):
        text, image = rng.normal(size=(2, N, C))
        grids = [text[:, None] + image[None] + rng.normal(size=(N, N, C)) for _ in range(2)]
        labels = rng.integers(0, C, N)
        found = compare(grids, labels, n_resamples=100)
        holds.append(found.low <= 0 <= found.high)
        p_values.append(found.p_value)
    assert np.mean(holds) > 0.85
    assert 0.3 < np.mean(p_values) < 0.7


def test_without_grids_the_scores_alone_are_drawn():
    grids, labels = population(np.random.default_rng(3), (1.0, 0.2))
    first, second = (decompose(grid) for grid in grids)
    found = gap_difference(first, second, labels, "multiclass", "accuracy", n_resamples=200)
    assert found.low < found.difference < found.high
    assert "scores alone" in found.method


def test_other_examples_are_refused():
    grids, labels = population(np.random.default_rng(4), (1.0, 0.2))
    with pytest.raises(SettingError, match="same examples"):
        gap_difference(
            decompose(grids[0]), decompose(grids[1][:30, :30]), labels, "multiclass", "accuracy"
        )
