from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import emap_core as emap
from emap_core.inference import FLIPS, KINDS, flips, kinds, proportions
from emap_core.inference.resamples.population import population_of_items


def _additive(n=12, n_classes=3, text=1.0, image=1.0, seed=1):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(n, 1, n_classes)), rng.normal(size=(1, n, n_classes))
    return emap.decompose(text * a + image * b)


def test_a_model_of_the_text_alone_follows_the_text():
    found = kinds(_additive(image=0.0), "multiclass")
    assert set(found) <= {"redundant", "text-led"}
    assert "text-led" in found


def test_a_model_of_the_image_alone_follows_the_image():
    found = kinds(_additive(text=0.0), "multiclass")
    assert set(found) <= {"redundant", "image-led"}


def test_exclusive_or_is_synergistic():
    sign = np.tile([1.0, -1.0], 6)
    decomposition = emap.decompose(np.outer(sign, sign) + 0.3)
    right = (np.outer(sign, sign).diagonal() > 0).astype(int)
    assert set(kinds(decomposition, "binary")) <= set(KINDS)
    grid = np.stack([np.outer(sign, sign), np.full((12, 12), 0.5)], axis=2)
    text, image = np.arange(12), np.roll(np.arange(12), 1)
    found = kinds(emap.decompose(grid, text, image), "multiclass")
    assert set(found) <= {"redundant", "synergistic"}
    assert set(flips(decomposition, right, "binary")) <= {"same", "helped"}


def test_flips_name_what_interactions_did():
    # The additive part decides for class 0 everywhere; the diagonal decides otherwise.
    grid = np.zeros((6, 6, 3))
    grid[:, :, 0] = 1.0
    grid[range(3), range(3), [1, 1, 2]] = 5.0
    decomposition = emap.decompose(grid)
    labels = np.array([1, 0, 1, 0, 1, 2])
    assert flips(decomposition, labels, "multiclass").tolist() == [
        "helped",
        "hurt",
        "changed",
        "same",
        "same",
        "same",
    ]
    assert flips(decomposition, None, "multiclass").tolist() == ["changed"] * 3 + ["same"] * 3


def test_multilabel_predictions_are_sets_and_regressions_have_none():
    grid = -np.ones((4, 4, 2))
    grid[0, 0] = [4.0, 4.0]
    decomposition = emap.decompose(grid)
    labels = np.array([[1, 1], [0, 0], [0, 0], [1, 0]])
    assert flips(decomposition, labels, "multilabel").tolist() == ["helped"] + ["same"] * 3
    assert kinds(decomposition, "multilabel")[0] == "synergistic"
    assert kinds(decomposition, "regression") is None
    assert flips(decomposition, labels, "regression") is None


def test_a_single_text_falls_back_to_the_plain_projection():
    decomposition = emap.decompose(np.arange(6.0).reshape(1, 3, 2), [0, 0, 0], [0, 1, 2])
    assert set(kinds(decomposition, "multiclass")) <= set(KINDS)
    assert set(flips(decomposition, [0, 1, 1], "multiclass")) == {"same"}


def _population(text, image):
    return population_of_items(np.asarray(text), np.asarray(image))


def test_proportions_are_wilson_intervals():
    names = np.array(["helped"] * 7 + ["same"] * 43)
    found = proportions(names, FLIPS, _population(np.arange(50), np.arange(50)))
    level = 1 - 2 * stats.norm.sf(stats.t.ppf(0.975, 49))
    expected = stats.binomtest(7, 50).proportion_ci(level, method="wilson")
    assert found["helped"].value == pytest.approx(0.14)
    assert (found["helped"].low, found["helped"].high) == pytest.approx(tuple(expected))
    assert found["hurt"].value == 0.0
    assert found["hurt"].low == 0.0
    assert found["hurt"].high > 0.03


@pytest.mark.parametrize("turned", [False, True])
def test_clusters_of_copies_count_once(turned):
    names = np.array(["helped"] * 7 + ["same"] * 43)
    alone = proportions(names, FLIPS, _population(np.arange(50), np.arange(50)))
    each, copied = np.arange(450), np.repeat(np.arange(50), 9)
    population = _population(copied, each) if turned else _population(each, copied)
    copies = proportions(np.repeat(names, 9), FLIPS, population)
    # A share of 0, too, says no more than 50 independent examples do.
    for name in ("helped", "hurt"):
        assert copies[name].low == pytest.approx(alone[name].low, abs=2e-3)
        assert copies[name].high == pytest.approx(alone[name].high, abs=2e-3)


def test_shares_of_examples_that_share_texts_and_images_hold_the_truth():
    rng = np.random.default_rng(8)
    text, image = np.divmod(rng.permutation(900)[:400], 30)
    population = _population(text, image)
    held, narrow = [], []
    for _ in range(200):
        effects = rng.normal(size=30)[text] + rng.normal(size=30)[image] + rng.normal(size=400)
        hit = np.where(effects > 0.8, "helped", "same")
        truth = stats.norm.sf(0.8 / np.sqrt(3))
        found = proportions(hit, FLIPS, population)["helped"]
        alone = proportions(hit, FLIPS, _population(np.arange(400), np.arange(400)))["helped"]
        held.append(found.low <= truth <= found.high)
        narrow.append(alone.low <= truth <= alone.high)
    assert np.mean(held) >= 0.9
    assert np.mean(narrow) < 0.75
