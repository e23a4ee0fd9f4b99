import numpy as np
import pytest
from scipy import optimize, special
from sklearn.metrics import log_loss

from emap_core.decomposition import decompose
from emap_core.inference import evaluate, intervals
from emap_core.inference.resamples.population import population_of
from emap_core.inference.robustness.calibration import calibrated, calibrated_gaps


def drawn(rng, logits):
    """Return a class for each row, drawn from its softmax."""
    return (special.softmax(logits, axis=1).cumsum(axis=1) < rng.random((len(logits), 1))).sum(1)


@pytest.fixture(scope="module")
def shifted():
    """Logits whose labels follow them at half the scale, with an offset for each class."""
    rng = np.random.default_rng(0)
    logits = 3 * rng.normal(size=(3000, 5))
    truth = logits / 2 + np.linspace(-1, 1, 5)
    return logits, truth, drawn(rng, truth)


def test_scale_and_offsets_of_the_truth_come_back(shifted):
    logits, truth, labels = shifted
    found = calibrated(logits, labels, "multiclass")
    best = evaluate("log_loss", labels, truth, "multiclass")
    assert evaluate("log_loss", labels, found, "multiclass") == pytest.approx(best, abs=0.005)
    centred = truth - truth.mean(axis=1, keepdims=True)
    away = found - found.mean(axis=1, keepdims=True) - centred
    assert np.abs(away).mean() < 0.1


def test_no_example_is_scored_by_a_fit_to_its_own_label():
    # On noise a fit to all labels gains what it has learned of them by heart.
    rng = np.random.default_rng(1)
    gains = []
    for _ in range(20):
        labels = rng.integers(0, 12, 240)
        counts = np.bincount(labels, minlength=12)
        constant = np.log(np.maximum(counts, 1))[None].repeat(240, axis=0)
        found = calibrated(rng.normal(size=(240, 12)), labels, "multiclass")
        losses = [evaluate("log_loss", labels, s, "multiclass") for s in (constant, found)]
        gains.append(losses[0] - losses[1])
    assert np.mean(gains) < 0


def test_on_many_examples_it_is_the_fit_of_least_log_loss():
    rng = np.random.default_rng(4)
    logits = rng.normal(size=(4000, 3))
    labels = drawn(rng, 2 * logits + np.array([0.5, 0, -0.5]))

    def loss(x):
        return log_loss(labels, special.softmax(x[0] * logits + x[1:], axis=1))

    best = optimize.minimize(loss, np.array([1.0, 0, 0, 0]), method="BFGS")
    found = special.softmax(calibrated(logits, labels, "multiclass"), axis=1)
    expected = special.softmax(best.x[0] * logits + best.x[1:], axis=1)
    np.testing.assert_allclose(found, expected, atol=0.02)


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e4])
def test_the_scale_of_what_comes_in_does_not_matter(shifted, factor):
    logits, _, labels = shifted
    here = calibrated(logits, labels, "multiclass")
    there = calibrated(factor * logits + 7.0, labels, "multiclass")
    np.testing.assert_allclose(there, here, atol=1e-4)


def test_one_logit_is_two_classes_and_probabilities_are_logits():
    rng = np.random.default_rng(2)
    logit = rng.normal(size=(2000, 1))
    labels = (rng.random(2000) < special.expit(3 * logit[:, 0] - 1)).astype(int)
    found = calibrated(logit, labels, "binary")
    slope, offset = np.polyfit(logit[:, 0], found[:, 0], 1)
    assert (slope, offset) == pytest.approx((3, -1), abs=0.3)
    again = calibrated(special.expit(logit), labels, "binary", "probabilities")
    np.testing.assert_allclose(again, found, atol=1e-4)
    both = np.column_stack([1 - special.expit(logit), special.expit(logit)])
    lead = calibrated(np.log(both), labels, "multiclass", "log_probabilities")
    np.testing.assert_allclose(lead[:, [1]] - lead[:, [0]], found, atol=0.05)
    several = calibrated(
        np.hstack([logit, -logit]), np.column_stack([labels, 1 - labels]), "multilabel"
    )
    np.testing.assert_allclose(several[:, [0]], found, atol=1e-9)


def test_scores_that_say_nothing_or_the_opposite_come_down_to_the_shares_of_the_classes(shifted):
    logits, _, labels = shifted
    shares = np.bincount(labels) / len(labels)
    constant = -(shares * np.log(shares)).sum()
    for scores in (np.zeros_like(logits), -logits):
        found = calibrated(scores, labels, "multiclass")
        assert evaluate("log_loss", labels, found, "multiclass") == pytest.approx(
            constant, abs=0.01
        )


def test_scores_without_an_error_a_rare_class_and_undefined_scores_are_no_trouble():
    labels = np.repeat([0, 1, 2], [60, 39, 1])
    found = calibrated(np.eye(3)[labels], labels, "multiclass")
    assert np.isfinite(found).all()
    assert evaluate("log_loss", labels, found, "multiclass") < 0.01
    undefined = np.where(np.arange(100)[:, None] == 3, np.nan, np.eye(3)[labels])
    assert np.isnan(calibrated(undefined, labels, "multiclass")).all()
    unknown = np.where(np.arange(100) < 3, -1, labels)
    assert np.isfinite(calibrated(np.eye(3)[labels], unknown, "multiclass")).all()
    many = np.random.default_rng(3).normal(size=(40, 500))
    assert np.isfinite(calibrated(many, np.arange(40), "multiclass")).all()


def gaps_of(task_logit, seed, n=300):
    """Return the log loss gap of a model with additive and interaction part, raw and calibrated.

    `task_logit` gives the logits of the labels from the model's and from its additive part, both
    of variance 1.
    """
    rng = np.random.default_rng(seed)
    additive = np.add.outer(*rng.normal(size=(2, n))) / np.sqrt(2)
    grid = additive + 1.5 * rng.normal(size=(n, n))
    full, alone = np.diag(grid) / np.sqrt(3.25), np.diag(additive)
    labels = (rng.random(n) < special.expit(task_logit(full, alone))).astype(int)
    d = decompose(grid)
    found = intervals(d, labels, "binary", ["accuracy", "log_loss"], grid=grid, n_resamples=200)
    new = calibrated_gaps(d, labels, "binary", found.gaps, population_of(d))
    assert list(new) == ["log_loss"]
    return [gaps["log_loss"]["emap_leave_one_out"] for gaps in (found.gaps, new)]


@pytest.mark.slow
def test_a_gap_from_spread_alone_goes_and_a_true_interaction_stays():
    # Where labels follow both sides alike, neither has more to say; the projection is only less
    # spread. Where they follow the model, calibration cannot give the projection what it lacks.
    null = [gaps_of(lambda full, alone: 2.5 * (full + alone), seed) for seed in range(8)]
    raw, new = np.array([[gap.difference for gap in pair] for pair in null]).T
    assert raw.mean() > 0.04
    assert abs(new.mean()) < 0.015
    assert sum(raw.low > 0 for raw, _ in null) > sum(new.low > 0 for _, new in null)
    assert sum(new.low <= 0 <= new.high for _, new in null) >= 6
    true = [gaps_of(lambda full, alone: 3 * full, seed)[1] for seed in range(4)]
    assert all(gap.low > 0.05 for gap in true)


def test_both_projections_are_compared_and_what_was_done_is_said():
    rng = np.random.default_rng(6)
    grid = rng.normal(size=(40, 40, 3))
    d = decompose(grid)
    labels = d.logits.argmax(axis=1)
    found = intervals(d, labels, "multiclass", grid=grid, n_resamples=50)
    new = calibrated_gaps(d, labels, "multiclass", found.gaps, population_of(d))["log_loss"]
    assert set(new) == {"emap", "emap_leave_one_out"}
    full = calibrated(d.logits, labels, "multiclass")
    for row, gap in new.items():
        other = calibrated(getattr(d, row), labels, "multiclass")
        losses = [evaluate("log_loss", labels, s, "multiclass") for s in (full, other)]
        assert (gap.full, gap.projected) == pytest.approx(losses)
        assert gap.difference == pytest.approx(losses[1] - losses[0])
        assert gap.low < gap.difference < gap.high
        assert "after a cross-fitted temperature and offsets" in gap.method
