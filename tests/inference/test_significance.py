from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from emap_core.inference import difference, holm, mcnemar, randomisation_test

RNG = np.random.default_rng(11)


def test_mcnemar_is_the_binomial_test_of_the_discordant_examples():
    right = np.array([1] * 9 + [0] * 2 + [1] * 30 + [0] * 5, dtype=bool)
    other = np.array([0] * 9 + [1] * 2 + [1] * 30 + [0] * 5, dtype=bool)
    assert mcnemar(right, other) == pytest.approx(stats.binomtest(9, 11).pvalue, rel=1e-12)
    assert mcnemar(other, right) == pytest.approx(stats.binomtest(9, 11).pvalue, rel=1e-12)
    assert mcnemar(right, right) == 1.0


@pytest.mark.parametrize(
    ("name", "clusters"),
    [("accuracy", None), ("log_loss", None), ("roc_auc", None), ("f1", [0, 0, 1, 2, 2, 3, 4, 5])],
)
def test_agrees_with_all_arrangements(name, clusters):
    labels = np.array([0, 1, 0, 1, 1, 0, 1, 1])
    first = RNG.normal(size=(8, 1)) + 1.5 * labels[:, None] - 0.7
    second = RNG.normal(size=(8, 1))
    groups = np.arange(8) if clusters is None else np.array(clusters)
    seen = difference(name, labels, first, second, "binary")
    as_large = []
    for swap in product([False, True], repeat=groups.max() + 1):
        swapped = np.array(swap)[groups][:, None]
        a, b = np.where(swapped, second, first), np.where(swapped, first, second)
        as_large.append(abs(difference(name, labels, a, b, "binary")) >= abs(seen) - 1e-12)
    found = randomisation_test(
        name, labels, first, second, "binary", clusters=clusters, n_resamples=10_000
    )
    assert found == pytest.approx(np.mean(as_large), abs=0.02)


def test_regressions_are_swapped_too():
    labels = RNG.normal(size=(40, 1))
    close, far = labels + 0.1 * RNG.normal(size=(40, 1)), RNG.normal(size=(40, 1))
    assert randomisation_test("r2", labels, close, far, "regression") < 0.01
    assert randomisation_test("r2", labels, far, far, "regression") == 1.0


def test_undefined_scores_are_not_tested():
    scores = np.full((4, 1), np.nan)
    assert np.isnan(randomisation_test("accuracy", [0, 1, 0, 1], scores, scores, "binary"))


def test_p_values_are_uniform_when_both_do_equally_well():
    labels = RNG.integers(0, 2, (300, 60))
    p_values = [
        randomisation_test(
            "log_loss",
            y,
            RNG.normal(size=(60, 1)),
            RNG.normal(size=(60, 1)),
            "binary",
            n_resamples=199,
            seed=seed,
        )
        for seed, y in enumerate(labels)
    ]
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    kept = holm([0.5, float("nan"), 0.6])
    assert kept[0] == kept[2] == 1.0
    assert np.isnan(kept[1])
    assert holm([]) == []
