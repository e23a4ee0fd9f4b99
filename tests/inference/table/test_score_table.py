from __future__ import annotations

import numpy as np
import pytest

import emap_core as emap
from emap_core.inference import PROJECTIONS, evaluate, projections, score_table

RNG = np.random.default_rng(3)


def test_rows_are_the_projections_and_columns_the_metrics():
    labels = RNG.integers(0, 3, 40)
    decomposition = emap.decompose(RNG.normal(size=(40, 40, 3)))
    table = score_table(decomposition, labels, "multiclass", ["accuracy", "log_loss"])
    assert list(table.index) == list(PROJECTIONS)
    scores = projections(decomposition, labels, "multiclass")
    for row in PROJECTIONS:
        for name in table.columns:
            expected = evaluate(name, labels, scores[row], "multiclass")
            assert table.loc[row, name] == expected


@pytest.mark.parametrize("space", ["logits", "probabilities", "log_probabilities"])
def test_the_constant_is_the_best_one(space):
    labels = np.array([0] * 5 + [1] * 9 + [2] * 6)
    decomposition = emap.decompose(RNG.uniform(0.1, 0.5, size=(20, 20, 3)))
    row = score_table(
        decomposition, labels, "multiclass", ["accuracy", "log_loss", "brier_score"], space
    ).loc["constant"]
    share = np.array([5, 9, 6]) / 20
    assert row["accuracy"] == 0.45
    assert row["log_loss"] == pytest.approx(-(share * np.log(share)).sum())
    assert row["brier_score"] == pytest.approx(1 - (share**2).sum())


@pytest.mark.parametrize("space", ["logits", "probabilities", "log_probabilities"])
def test_the_constant_of_two_classes_and_of_several_labels(space):
    labels = np.array([1] * 3 + [0] * 7)
    one = emap.decompose(RNG.uniform(0.1, 0.5, size=(10, 10, 1)))
    row = score_table(one, labels, "binary", ["accuracy", "brier_score", "roc_auc"], space)
    assert row.loc["constant"].tolist() == pytest.approx([0.7, 0.21, 0.5])
    several = emap.decompose(RNG.uniform(0.1, 0.5, size=(10, 10, 2)))
    both = np.stack([labels, 1 - labels], axis=1)
    row = score_table(several, both, "multilabel", ["f1_micro"], space)
    assert row.loc["constant", "f1_micro"] == pytest.approx(0.7)


def test_the_constant_of_a_regression_is_the_mean_target():
    labels = RNG.normal(size=(10, 1))
    table = score_table(emap.decompose(RNG.normal(size=(10, 10))), labels, "regression")
    assert table.loc["constant", "r2"] == 0
    assert table.loc["constant", "root_mean_squared_error"] == pytest.approx(labels.std())
    assert np.isnan(table.loc["constant", "spearman"])


def test_without_labels_there_are_scores_but_no_metrics():
    decomposition = emap.decompose(RNG.normal(size=(5, 5, 2)))
    assert score_table(decomposition, None, "multiclass").shape == (6, 0)
    constant = projections(decomposition, None, "multiclass")["constant"]
    np.testing.assert_allclose(constant, np.tile(decomposition.mean, (5, 1)))


def test_two_examples_are_enough_and_a_single_text_is_not_for_leaving_out():
    two = score_table(emap.decompose(np.eye(2)), [1, 1], "binary", ["accuracy"])
    assert two["accuracy"].notna().all()
    assert two.loc["full", "accuracy"] == 1.0
    grid = RNG.normal(size=(1, 4, 1))
    single = emap.decompose(grid, [0] * 4, range(4))
    column = score_table(single, [1, 0, 1, 0], "binary", ["accuracy"])["accuracy"]
    assert column[["emap_leave_one_out", "image_only"]].isna().all()
    assert column[["full", "emap", "text_only", "constant"]].notna().all()
