"""From data at the edge of what can be computed to the record that is shown: defined or said."""

import json

import numpy as np
import pytest
from samples import Staged, as_callable, make_examples

import emap_core as emap


def record_of(folder, model=as_callable, **changes):
    run = emap.compute(model, make_examples(**changes), out=folder / "run", n_resamples=100)
    # As it is printed, where a number that is not finite would be an error.
    return run, json.loads(json.dumps(run.record(), allow_nan=False))


def constant(texts, images):
    return np.ones((len(texts), 3))


def test_without_labels_there_is_no_performance_but_still_a_decomposition(tmp_path):
    run, record = record_of(tmp_path, labels=None)
    assert record["metrics"] == {}
    assert sum(record["variance_shares"]["pooled"].values()) == pytest.approx(1)
    assert "without labels, nothing can be said about performance" in record["verdict"]
    assert run.examples()["correct"].isna().all()


def test_labels_of_one_class_only_leave_a_ranking_undefined_and_say_why(tmp_path):
    run = emap.compute(
        lambda t, v: as_callable(t, v)[:, :1] - 1,
        make_examples(labels=["yes"] * 60, task="binary", classes=["no", "yes"]),
        out=tmp_path / "run",
        metrics=("roc_auc", "accuracy"),
        n_resamples=100,
    )
    record = json.loads(json.dumps(run.record(), allow_nan=False))
    assert record["metrics"]["roc_auc"]["full"] is None
    assert record["metrics"]["roc_auc"]["gap"] is None
    assert 0 <= record["metrics"]["accuracy"]["full"] <= 1
    assert "needs labels of at least two classes, but these are all the same" in record["verdict"]


def test_a_class_that_is_never_predicted_has_an_f1_of_0_in_the_average(tmp_path):
    run = emap.compute(
        lambda t, v: as_callable(t, v) - np.array([0.0, 0.0, 1e3]),
        make_examples(labels=[0, 1, 2] * 20),
        out=tmp_path / "run",
        metrics=("f1_macro", "balanced_accuracy"),
        n_resamples=100,
    )
    predicted, labels = run.decomposition.logits.argmax(axis=1), run.labels
    assert 2 not in predicted
    each = [
        2 * ((predicted == c) & (labels == c)).sum() / ((predicted == c).sum() + 20)
        for c in range(3)
    ]
    assert each[2] == 0
    assert run.table().loc["full", "f1_macro"] == pytest.approx(np.mean(each))
    gap = run.gap("f1_macro")
    assert gap.low <= gap.difference <= gap.high


def test_scores_that_are_all_tied_decide_for_the_first_class_and_have_no_gap(tmp_path):
    run, record = record_of(tmp_path, model=constant)
    accuracy = record["metrics"]["accuracy"]
    assert accuracy["full"] == accuracy["emap"] == np.mean(run.labels == 0)
    assert accuracy["gap"] == accuracy["gap_leave_one_out"] == 0
    assert accuracy["p_value"] == 1
    assert record["variance_shares"]["pooled"] == dict.fromkeys(("text", "image", "interaction"))
    assert record["kinds"]["redundant"]["value"] == 1


def test_two_examples_have_a_defined_record(tmp_path):
    run, record = record_of(tmp_path, n=2, n_texts=2, n_images=2, labels=[0, 1])
    assert record["n_pairs_evaluated"] == 4
    accuracy = record["metrics"]["accuracy"]
    # Leaving row and column out of a 2 × 2 grid leaves the one cell that has neither.
    grid = run.grid.load()
    expected = grid[[0, 1], [1, 0]] + grid[[1, 0], [0, 1]] - grid[[1, 0], [1, 0]]
    np.testing.assert_allclose(run.decomposition.emap_leave_one_out, expected, atol=1e-6)
    assert accuracy["gap_leave_one_out_low"] <= accuracy["gap_leave_one_out"]
    assert any("single text or image" in note for note in record["resampling"]["notes"])


@pytest.mark.parametrize("method", [{}, {"method": "subsample", "subsample_size": 2, "repeats": 2}])
def test_every_method_takes_two_examples(method, tmp_path):
    data = make_examples(n=3, n_texts=3, n_images=3, labels=[0, 1, 2])
    run = emap.compute(Staged(), data, out=tmp_path / "run", **method)
    json.dumps(run.record(), allow_nan=False)
