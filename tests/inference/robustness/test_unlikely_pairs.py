import numpy as np
import pytest

from emap_core.decomposition import decompose
from emap_core.decomposition.weighted_projection import weighted_projection
from emap_core.errors import DatasetError
from emap_core.inference import evaluate, intervals
from emap_core.inference.resamples.population import population_of
from emap_core.inference.robustness.unlikely_pairs import POWERS, UnlikelyPairs, unlikely_pairs


@pytest.fixture(scope="module")
def case():
    """A model f = 3tv on texts and images that are correlated at .8, its gaps, the true ratio."""
    rng, c, n = np.random.default_rng(0), 0.8, 400
    t = rng.normal(size=n)
    v = c * t + np.sqrt(1 - c * c) * rng.normal(size=n)
    grid = 3 * np.outer(t, v)[:, :, None]
    d = decompose(grid)
    labels = (rng.random(n) < 1 / (1 + np.exp(-d.logits[:, 0]))).astype(int)
    found = intervals(d, labels, "binary", ["accuracy", "log_loss"], grid=grid, n_resamples=100)
    log_ratio = (c * np.outer(t, v) - c * c * np.add.outer(t**2, v**2) / 2) / (1 - c * c)
    gaps = {name: of["emap_leave_one_out"] for name, of in found.gaps.items()}
    return grid, d, labels, gaps, np.exp(log_ratio)


def found_in(case, density):
    grid, d, labels, gaps, _ = case
    return unlikely_pairs(grid, d, density, labels, "binary", gaps, population_of(d))


def test_a_gap_that_rests_on_unlikely_pairs_shrinks_where_they_count_less(case):
    *_, d, labels, gaps, ratio = case
    found = found_in(case, ratio)
    assert [row.power for row in found.rows] == list(POWERS)
    assert found.rows[0].gaps == gaps
    shares = [row.effective_share for row in found.rows]
    assert shares[0] == 1.0
    assert 1.0 > shares[1] > shares[2] > 0
    all_alike, half, likely = (row.gaps["accuracy"] for row in found.rows)
    assert all_alike.low > 0.1
    assert half.difference < all_alike.difference - 0.1
    assert likely.low < 0.05 < all_alike.low
    for row in found.rows[1:]:
        projected = weighted_projection(case[0], d, ratio**row.power).leave_one_out
        for name, gap in row.gaps.items():
            full, other = (evaluate(name, labels, s, "binary") for s in (d.logits, projected))
            assert (gap.full, gap.projected) == pytest.approx((full, other))
            sign = 1 if name == "accuracy" else -1
            assert gap.difference == pytest.approx(sign * (full - other))
            assert gap.low < gap.difference < gap.high


def test_where_no_pair_is_unlikely_every_row_says_the_same(case):
    found = found_in(case, np.ones(case[0].shape[:2]))
    for row in found.rows:
        assert row.effective_share == pytest.approx(1.0)
        for name, gap in row.gaps.items():
            assert gap.difference == pytest.approx(case[3][name].difference)


def test_it_comes_back_from_its_record(case):
    found = found_in(case, case[4])
    assert UnlikelyPairs.from_json(found.to_json()).to_json() == found.to_json()
    with pytest.raises(DatasetError, match="density ratio has shape"):
        found_in(case, case[4][:3])


def test_limits_are_those_of_the_known_gap_where_the_scores_are_the_same(case):
    # Macro F1 of few examples: computing the projection anew makes its limits much wider.
    rng = np.random.default_rng(1)
    grid = rng.normal(size=(60, 60, 4))
    d = decompose(grid)
    labels = np.where(rng.random(60) < 0.8, d.logits.argmax(axis=1), 0)
    for metrics in (["accuracy"], ["f1_macro"], ["log_loss"]):
        found = intervals(d, labels, "multiclass", metrics, grid=grid, n_resamples=200)
        gaps = {name: of["emap_leave_one_out"] for name, of in found.gaps.items()}
        again = unlikely_pairs(
            grid, d, np.ones((60, 60)), labels, "multiclass", gaps, population_of(d)
        )
        for name, gap in gaps.items():
            new = again.rows[2].gaps[name]
            assert new.high - new.low >= gap.high - gap.low - 1e-9
