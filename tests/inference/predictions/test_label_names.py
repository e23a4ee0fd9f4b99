from __future__ import annotations

from emap_core.inference import label_names, prediction_names


def test_labels_and_predictions_in_words():
    assert label_names([1, 0], ["no", "yes"], "binary") == ["yes", "no"]
    assert label_names([1, 0], ["no", "yes"], "binary", 0) == "yes"
    assert label_names(None, ["no", "yes"], "binary", 0) is None
    assert label_names([[1, 0, 1], [0, 0, 0]], ["a", "b", "c"], "multilabel") == ["a, c", ""]
    assert label_names([[1.23456]], None, "regression") == ["1.23"]
    assert prediction_names([[0.1, 2.0]], None, "multiclass") == ["class 1"]
    assert prediction_names([[0.4]], ["no", "yes"], "binary", "probabilities") == ["no"]
    assert prediction_names([[float("nan"), 0.0]], ["a", "b"], "multiclass") == [None]
