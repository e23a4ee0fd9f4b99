import numpy as np
import pytest
from scipy import stats

import emap_core as emap
from emap_core.inference.comparisons.example_scores import ExampleScores
from emap_core.inference.comparisons.group_gaps import group_gaps, smallest_of_several
from emap_core.inference.comparisons.slice_gap import slice_gap


def data(seed, n=300, effect=1.0, n_groups=4):
    """Return a decomposition, labels and groups; in the first group interactions help."""
    rng = np.random.default_rng(seed)
    grid = rng.normal(size=(n, 1, 2)) + rng.normal(size=(1, n, 2))
    groups = np.array([f"g{i % n_groups}" for i in range(n)])
    own = np.arange(n)
    grid[own, own] += effect * rng.normal(size=(n, 2)) * (groups == "g0")[:, None]
    d = emap.decompose(grid)
    truth = d.logits + rng.normal(size=(n, 2)) / 2
    return d, truth.argmax(axis=1), groups


def test_gaps_are_those_of_the_groups_with_wider_limits():
    d, labels, groups = data(0)
    found = group_gaps(ExampleScores(d, labels, "multiclass", "accuracy", n_resamples=200), groups)
    assert list(found) == ["g0", "g1", "g2", "g3"]
    for name, gap in found.items():
        alone = slice_gap(
            ExampleScores(d, labels, "multiclass", "accuracy", n_resamples=200), groups == name
        )
        assert gap.difference == alone.difference
        assert gap.n_examples == 75
        assert gap.low < alone.low and alone.high < gap.high
        assert "4 groups" in gap.method
        assert (gap.p_value < 0.05) == (gap.low > 0 or gap.high < 0)


def test_the_smallest_of_independent_tests_is_sidaks_and_of_one_test_many_times_its_own():
    smallest = smallest_of_several(np.eye(10))
    assert np.mean(smallest < 0.05) == pytest.approx(1 - 0.95**10, abs=0.02)
    same = smallest_of_several(np.ones((10, 10)))
    assert np.mean(same < 0.05) == pytest.approx(0.05, abs=0.01)
    correlated = np.full((3, 3), 0.6) + 0.4 * np.eye(3)
    rng = np.random.default_rng(1)
    drawn = rng.multivariate_normal(np.zeros(3), correlated, 40_000)
    expected = (2 * stats.norm.sf(np.abs(drawn))).min(axis=1)
    assert stats.ks_2samp(smallest_of_several(correlated), expected).statistic < 0.02


@pytest.mark.slow
def test_limits_hold_all_groups_at_once():
    # The truth is known by symmetry: nothing interacts, and no group has a gap.
    missed = 0
    n_designs = 60
    for seed in range(n_designs):
        rng = np.random.default_rng(seed)
        n = 120
        grid = rng.normal(size=(n, 1, 1)) + rng.normal(size=(1, n, 1))
        own = np.arange(n)
        grid[own, own, 0] += rng.choice([-1.0, 1.0], n)
        d = emap.decompose(grid)
        # Whether the own or the additive part is nearer to the label is a fair coin.
        middle = (d.logits + d.emap_leave_one_out)[:, 0] / 2
        side = rng.choice([-1.0, 1.0], n) * np.abs(d.logits - d.emap_leave_one_out)[:, 0] / 2
        labels = (middle + side)[:, None]
        groups = np.array([f"g{i % 6}" for i in range(n)])
        found = group_gaps(
            ExampleScores(d, labels, "regression", "mean_absolute_error", n_resamples=100), groups
        )
        missed += any(gap.low > 0 or gap.high < 0 for gap in found.values())
    assert missed <= 8


def test_a_group_of_one_example_has_no_limits_and_widens_none():
    d, labels, groups = data(2)
    groups = groups.astype(object)
    groups[5] = "alone"
    found = group_gaps(ExampleScores(d, labels, "multiclass", "accuracy", n_resamples=100), groups)
    assert np.isnan(found["alone"].low) and np.isnan(found["alone"].p_value)
    assert all(np.isfinite(found[name].low) for name in ("g0", "g1", "g2", "g3"))
