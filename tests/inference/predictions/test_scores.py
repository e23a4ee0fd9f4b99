from __future__ import annotations

import numpy as np
import pytest

from emap_core.inference.metrics import METRICS, evaluate_scored, evaluate_shuffled, read_for
from emap_core.inference.predictions.scores import Scored, predict


def test_a_tie_goes_to_the_first_class_and_what_is_not_a_number_to_none():
    scores = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0], [5.0, np.nan, 1.0], [np.nan] * 3])
    assert predict(scores, "multiclass").tolist() == [1, 0, -1, -1]


@pytest.mark.parametrize("n_classes", [1, 2, 13, 300])
def test_the_highest_score_is_found_whichever_way_scores_lie_in_memory(n_classes):
    scores = np.random.default_rng(0).integers(0, 4, size=(5, 40, n_classes)).astype(float)
    classes_first = np.moveaxis(np.ascontiguousarray(np.moveaxis(scores, 2, 0)), 0, 2)
    for values in (scores, classes_first):
        np.testing.assert_array_equal(predict(values, "multiclass"), scores.argmax(axis=2))


@pytest.mark.parametrize("task", ["multiclass", "binary", "multilabel", "regression"])
@pytest.mark.parametrize(("with_nan", "unknown_labels"), [(False, True), (True, False)])
def test_resamples_read_in_parts_give_the_same_metrics(task, with_nan, unknown_labels):
    rng = np.random.default_rng(1)
    n_classes = 1 if task == "binary" else 3
    scores = rng.normal(size=(6, 30, n_classes))
    if with_nan:
        scores[2, 4] = np.nan
    labels = {
        "multiclass": rng.integers(-1 if unknown_labels else 0, 3, 30),
        "binary": rng.integers(0, 2, 30),
        "multilabel": rng.integers(0, 2, (30, 3)),
        "regression": rng.normal(size=(30, 3)),
    }[task]
    weights = rng.integers(0, 3, (6, 30)).astype(float)
    places = rng.permuted(np.tile(np.arange(6)[:, None], (1, 30)), axis=0)
    for which in METRICS.values():
        if task not in which.tasks or which.reads_credit:
            continue
        if which.needs_known_labels and unknown_labels:
            continue
        parts = [
            read_for([which], Scored(labels, scores[part], task, "logits"))
            for part in (slice(0, 2), slice(2, 5), slice(5, 6))
        ]
        joined = Scored.joined(parts)
        one_by_one = [
            evaluate_scored(which, Scored(labels, scores[b], task, "logits"), weights[b : b + 1])[0]
            for b in range(6)
        ]
        np.testing.assert_allclose(evaluate_scored(which, joined, weights), one_by_one)
        mixed = [Scored(labels, scores[places[b], np.arange(30)], task, "logits") for b in range(6)]
        expected = [evaluate_scored(which, one, np.ones((1, 30)))[0] for one in mixed]
        found = evaluate_shuffled(which, joined, places)
        defined = np.isfinite(expected)
        np.testing.assert_allclose(found[defined], np.asarray(expected)[defined])
