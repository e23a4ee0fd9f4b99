from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from emap_core.inference.metrics import metric
from emap_core.inference.predictions.scores import Scored
from emap_core.inference.resamples.limits import (
    estimate,
    paired_estimate,
    share_estimate,
    tango,
    third_moment_of,
    variance_of,
)
from emap_core.inference.resamples.population import population_of_items

Z = stats.norm.ppf(0.975)


def _independent(n):
    return population_of_items(np.arange(n), np.arange(n))


def _of_flips(helped, hurt, n, population, variance):
    """Return the estimate of accuracies that differ in so many examples."""
    labels = np.zeros(n, dtype=int)
    first, second = np.full((2, n, 1), -1.0)
    first[helped : helped + hurt], second[:helped] = 1.0, 1.0
    sides = [Scored(labels, scores, "binary", "logits") for scores in (first, second)]
    value = (helped - hurt) / n
    variances = [variance] * len(population.draws)
    return paired_estimate(metric("accuracy"), value, *sides, variances, population)  # type: ignore[call-arg]


def test_limits_of_a_published_example():
    # Airway hyper-responsiveness before and after transplantation: Fagerland, Lydersen & Laake,
    # Statistics in Medicine 33 (2014), whose table gives -0.517 to -0.026.
    assert tango(1, 7, 21, Z) == pytest.approx((-0.517, -0.026), abs=6e-4)
    assert tango(7, 1, 21, Z) == pytest.approx((0.026, 0.517), abs=6e-4)
    assert tango(0, 0, 50, Z) == pytest.approx((-(Z**2) / (50 + Z**2), Z**2 / (50 + Z**2)))
    assert tango(50, 0, 50, Z) == pytest.approx((1 - 2 * Z**2 / (50 + Z**2), 1.0))


@pytest.mark.parametrize(("helped", "hurt"), [(5, 0), (9, 4), (1, 6), (30, 28)])
def test_at_the_limits_the_most_likely_shares_are_just_rejected(helped, hurt):
    n = 80
    for limit in tango(helped, hurt, n, Z):

        def unlikely(hurt_share, limit=limit):
            rest = 1 - 2 * hurt_share - limit
            shares = np.clip([hurt_share + limit, hurt_share, rest], 1e-300, None)
            return -(np.array([helped, hurt, n - helped - hurt]) * np.log(shares)).sum()

        most = optimize.minimize_scalar(
            unlikely, (max(-limit, 0.0), (1 - limit) / 2), method="bounded",
            bounds=(max(-limit, 0.0), (1 - limit) / 2), options={"xatol": 1e-12},
        ).x  # fmt: skip
        variance = (2 * most + limit - limit**2) / n
        assert abs(((helped - hurt) / n - limit) / np.sqrt(variance)) == pytest.approx(Z, abs=1e-4)


@pytest.mark.parametrize("expected", [5, 6, 7, 8])
def test_few_flips_all_one_way_are_covered_and_the_test_agrees(expected):
    n = 400
    population, numbers = _independent(n), np.arange(31)
    found = [_of_flips(k, 0, n, population, 0.0) for k in numbers]
    weight = stats.binom.pmf(numbers, n, expected / n)
    held = [one.low <= expected / n <= one.high for one in found]
    assert (weight * held).sum() >= 0.93
    for one in found:
        assert (one.low > 0) == (one.p_value < 0.05)


@pytest.mark.parametrize("expected", [2, 4, 8, 16])
def test_flips_that_go_either_way_alike_are_seldom_called_a_gap(expected):
    n = 400
    population = _independent(n)
    chance = 0.0
    for helped in range(20):
        for hurt in range(20):
            weight = np.prod(stats.poisson.pmf([helped, hurt], expected / 2))
            if weight > 1e-6:
                one = _of_flips(helped, hurt, n, population, 0.0)
                assert (one.p_value < 0.05) == (not one.low <= 0 <= one.high)
                chance += weight * (one.p_value < 0.05)
    assert chance <= 0.055


@pytest.mark.parametrize(("helped", "hurt"), [(40, 16), (0, 25), (12, 0)])
def test_a_larger_variance_widens_the_limits_of_many_flips_by_its_root(helped, hurt):
    population = _independent(400)
    alone = np.repeat([1.0, -1.0, 0.0], (helped, hurt, 400 - helped - hurt)).var(ddof=1) / 400
    reach = stats.t.ppf(0.975, 399)
    plain = tango(helped, hurt, 400, reach)
    for times in (0.0, 1.0, 2.0, 4.0, 9.0):
        found = _of_flips(helped, hurt, 400, population, times * alone)
        widening = np.sqrt(max(times, 1.0))
        value = (helped - hurt) / 400
        assert found.low == pytest.approx(value - widening * (value - plain[0]))
        assert found.high == pytest.approx(value + widening * (plain[1] - value))
        assert (found.p_value < 0.05) == (not found.low <= 0 <= found.high)


def test_the_test_of_widened_limits_is_where_they_end():
    population = _independent(400)
    for variance in np.linspace(1e-4, 2e-3, 12):
        found = _of_flips(40, 16, 400, population, variance)
        level = 1 - found.p_value
        labels = np.zeros(400, dtype=int)
        first, second = np.full((2, 400, 1), -1.0)
        first[40:56], second[:40] = 1.0, 1.0
        sides = [Scored(labels, scores, "binary", "logits") for scores in (first, second)]
        again = paired_estimate(  # type: ignore[call-arg]
            metric("accuracy"), 0.06, *sides, [variance], population, confidence=level
        )
        assert again.low == pytest.approx(0.0, abs=1e-9)


def test_a_larger_variance_of_few_flips_counts_as_fewer_examples():
    population = _independent(400)
    alone = np.repeat([1.0, -1.0, 0.0], (6, 2, 392)).var(ddof=1) / 400
    found = _of_flips(6, 2, 400, population, 4 * alone)
    quarter = tango(1.5, 0.5, 100, stats.t.ppf(0.975, 399))
    assert (found.low, found.high) == pytest.approx(quarter)


def test_flips_in_hardly_any_unit_leave_as_much_open_as_there_are_units():
    text = np.repeat(np.arange(20), 20)
    texts = population_of_items(text, np.arange(400))
    one_text, none = (_of_flips(k, 0, 400, texts, 0.0) for k in (15, 0))
    assert one_text.low < 0 < one_text.high
    assert one_text.p_value > 0.05
    most = stats.t.ppf(0.975, 19) ** 2
    assert none.high == pytest.approx(most / (20 + most))


def test_shares_have_wilsons_limits():
    values = (np.arange(60) < 9).astype(float)
    level = 1 - 2 * stats.norm.sf(stats.t.ppf(0.975, 59))
    expected = stats.binomtest(9, 60).proportion_ci(level, method="wilson")
    found = share_estimate(values, 0.0, _independent(60))
    assert (found.low, found.high) == pytest.approx(tuple(expected))
    assert np.isnan(share_estimate(values[:1], np.nan, _independent(1)).low)


def _of_replicates(value, replicates, n=500):
    thirds = [third_moment_of(replicates)]
    return estimate(value, [variance_of(replicates, n)], _independent(n), thirds=thirds)


def test_where_few_examples_carry_a_value_the_limit_on_their_side_is_further_out():
    rng = np.random.default_rng(3)
    replicates = (rng.gamma(4.0, size=4000) - 4.0) / 2.0
    reach = stats.t.ppf(0.975, 499)
    for sign in (1.0, -1.0):
        found = _of_replicates(0.5, sign * replicates)
        short, long = sorted((found.high - 0.5, 0.5 - found.low))
        assert (found.high - 0.5 > 0.5 - found.low) == (sign > 0)
        assert short / found.standard_error == pytest.approx(reach)
        assert 1.5 * reach < long / found.standard_error <= 2.0 * reach + 1e-9
    plain = _of_replicates(0.5, rng.normal(size=400))
    assert plain.high - 0.5 == pytest.approx(0.5 - plain.low)


@pytest.mark.parametrize("value", [-2.2, -1.5, 1.5, 2.2, 3.5])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_skewed_limits_and_their_test_agree(value, sign):
    replicates = sign * (np.random.default_rng(4).gamma(4.0, size=4000) - 4.0) / 2.0
    found = _of_replicates(value, replicates)
    assert (found.p_value < 0.05) == (not found.low <= 0 <= found.high)
