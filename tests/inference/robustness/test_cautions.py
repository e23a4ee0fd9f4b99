from __future__ import annotations

import numpy as np
import pytest

from emap_core.inference import cautions


def _losses(rng, draw, n=400):
    """Return targets, and scores whose absolute errors differ by draws of a distribution."""
    lost = draw(n)
    targets = np.zeros((n, 1))
    # Both errors are positive, so that each example adds just what was drawn for it.
    base = np.abs(lost) + 1.0
    return targets, base[:, None], (base + lost)[:, None], lost


TAILS = {
    "normal": (lambda rng, n: rng.normal(0.2, 1.0, n), 0.2),
    "exponential": (lambda rng, n: rng.exponential(1.0, n), 1.0),
    "log-normal": (lambda rng, n: rng.lognormal(0.0, 2.0, n), np.exp(2.0)),
    "Pareto": (lambda rng, n: rng.pareto(1.5, n), 2.0),
}


@pytest.mark.parametrize("tails", TAILS)
def test_an_interval_that_misses_on_one_side_comes_with_a_warning(tails):
    rng = np.random.default_rng(1)
    draw, truth = TAILS[tails]
    held_or_warned, warned, held = [], [], []
    for _ in range(200):
        targets, full, projected, lost = _losses(rng, lambda n: draw(rng, n))
        said = cautions("mean_absolute_error", targets, full, projected, "regression")
        reach = 1.966 * lost.std(ddof=1) / np.sqrt(len(lost))
        held.append(abs(lost.mean() - truth) <= reach)
        warned.append(bool(said))
        held_or_warned.append(held[-1] or warned[-1])
    assert np.mean(held_or_warned) >= 0.92
    if tails in ("normal", "exponential"):
        assert np.mean(warned) < 0.05
    else:
        assert np.mean(held) < 0.9 and np.mean(warned) > 0.9


def test_what_few_examples_carry_is_told_with_its_share():
    targets, full = np.zeros((400, 1)), np.ones((400, 1))
    projected = full.copy()
    projected[:3] = 41.0
    projected[3:] += np.linspace(-0.1, 0.2, 397)[:, None]
    (said,) = cautions("mae", targets, full, projected, "regression")
    total = np.sum(projected - full)
    top = np.sort((projected - full).ravel())[-4:].sum() / total
    assert (
        f"The 4 examples of 400 with the largest differences in MAE carry {100 * top:.1f}%" in said
    )
    (squared,) = cautions("rmse", targets, full, projected, "regression")
    assert "in RMSE" in squared


def test_few_flips_are_counted():
    labels = np.zeros(400, dtype=int)
    full = np.tile([1.0, 0.0], (400, 1))
    projected = full.copy()
    projected[:4] = [0.0, 1.0]
    (said,) = cautions("accuracy", labels, full, projected, "multiclass")
    assert said.startswith("Interactions decide 4 of 400 examples")
    projected[:12] = [0.0, 1.0]
    assert cautions("accuracy", labels, full, projected, "multiclass") == ()
    assert cautions("accuracy", labels, full, full, "multiclass") == ()


@pytest.mark.parametrize("name", ["f1_macro", "balanced_accuracy", "roc_auc", "average_precision"])
def test_metrics_that_count_classes_alike_name_the_small_ones(name):
    labels = np.repeat([0, 1, 2], [300, 96, 4])
    scores = np.random.default_rng(0).normal(size=(400, 3))
    classes = ["cat", "dog", "axolotl"]
    said = cautions(name, labels, scores, -scores, "multiclass", classes=classes)
    (one,) = [sentence for sentence in said if "class" in sentence]
    assert "1 of 3 classes has fewer than 20 examples: axolotl (4)" in one
    assert not cautions("accuracy", labels, scores, -scores, "multiclass", classes=classes)
    labels[labels == 2] = -1
    said = cautions(name, labels, scores, -scores, "multiclass")
    (unseen,) = [sentence for sentence in said if "class by class" in sentence]
    assert "1 of 3 classes has fewer than 20 examples: class 2 (none)" in unseen
    labels[labels == -1] = 2
    binary = cautions(name, (labels == 2).astype(int), scores[:, :1], -scores[:, :1], "binary")
    assert any("class 1 (4)" in sentence for sentence in binary)


@pytest.mark.parametrize("name", ["root_mean_squared_error", "r2"])
def test_heavy_tails_of_errors_are_told_also_where_no_example_stands_out_yet(name):
    warned = {"t": [], "normal": []}
    for number in range(100):
        rng = np.random.default_rng([5, number])
        for tails, found in warned.items():
            targets = rng.normal(size=(400, 1))
            first, second = (
                rng.standard_t(3, (2, 400, 1)) if tails == "t" else rng.normal(size=(2, 400, 1))
            )
            scores = targets + first, targets + first + second
            found.append(bool(cautions(name, targets, *scores, "regression")))
    assert np.mean(warned["t"]) >= 0.99
    assert np.mean(warned["normal"]) <= 0.03
    assert cautions(name, targets, targets, targets, "regression") == ()


def test_an_auc_of_a_dozen_positives_misses_with_a_warning():
    labels = (np.arange(400) < 12).astype(int)
    scores = np.random.default_rng(2).normal(size=(2, 400, 1)) + labels[:, None]
    assert any("class 1 (12)" in said for said in cautions("roc_auc", labels, *scores, "binary"))
    labels = (np.arange(400) < 20).astype(int)
    assert not any("class" in said for said in cautions("roc_auc", labels, *scores, "binary"))


def test_a_projection_that_is_undefined_has_no_examples_to_count():
    labels = np.zeros(20, dtype=int)
    full = np.tile([1.0, 0.0], (20, 1))
    assert cautions("log_loss", labels, full, np.full((20, 2), np.nan), "multiclass") == ()
