from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats
from sklearn import metrics as sk

from emap_core.errors import LabelError, SettingError
from emap_core.inference.metrics import (
    default_metrics,
    difference,
    evaluate,
    evaluate_resamples,
    metric,
    vqa_credit,
    why_undefined,
)
from emap_core.inference.predictions.scores import predict, probabilities

RNG = np.random.default_rng(5)
N = 60


def _multiclass():
    labels = RNG.integers(0, 4, N)
    return labels, RNG.normal(size=(N, 4)) + 1.5 * np.eye(4)[labels]


def _binary():
    labels = RNG.integers(0, 2, N)
    return labels, RNG.normal(size=(N, 1)) + labels[:, None] - 0.4


def _multilabel():
    labels = RNG.integers(0, 2, (N, 3))
    return labels, RNG.normal(size=(N, 3)) + labels - 0.5


def _regression():
    labels = RNG.normal(size=(N, 2))
    return labels, labels + RNG.normal(size=(N, 2))


def _softmax(s):
    return special.softmax(s, axis=1)


SKLEARN = {
    ("multiclass", "accuracy"): lambda y, s: sk.accuracy_score(y, s.argmax(1)),
    ("multiclass", "balanced_accuracy"): lambda y, s: sk.balanced_accuracy_score(y, s.argmax(1)),
    ("multiclass", "top_2_accuracy"): lambda y, s: sk.top_k_accuracy_score(
        y, s, k=2, labels=range(4)
    ),
    ("multiclass", "f1_macro"): lambda y, s: sk.f1_score(y, s.argmax(1), average="macro"),
    ("multiclass", "f1_micro"): lambda y, s: sk.f1_score(y, s.argmax(1), average="micro"),
    ("multiclass", "f1_weighted"): lambda y, s: sk.f1_score(y, s.argmax(1), average="weighted"),
    ("multiclass", "roc_auc"): lambda y, s: sk.roc_auc_score(y, _softmax(s), multi_class="ovr"),
    ("multiclass", "average_precision"): lambda y, s: sk.average_precision_score(y, _softmax(s)),
    ("multiclass", "log_loss"): lambda y, s: sk.log_loss(y, _softmax(s)),
    ("multiclass", "brier_score"): lambda y, s: sk.brier_score_loss(y, _softmax(s)),
    ("binary", "accuracy"): lambda y, s: sk.accuracy_score(y, s[:, 0] > 0),
    ("binary", "balanced_accuracy"): lambda y, s: sk.balanced_accuracy_score(y, s[:, 0] > 0),
    ("binary", "f1"): lambda y, s: sk.f1_score(y, s[:, 0] > 0),
    ("binary", "f1_macro"): lambda y, s: sk.f1_score(y, s[:, 0] > 0, average="macro"),
    ("binary", "roc_auc"): lambda y, s: sk.roc_auc_score(y, s[:, 0]),
    ("binary", "average_precision"): lambda y, s: sk.average_precision_score(y, s[:, 0]),
    ("binary", "log_loss"): lambda y, s: sk.log_loss(y, special.expit(s[:, 0])),
    ("binary", "brier_score"): lambda y, s: sk.brier_score_loss(y, special.expit(s[:, 0])),
    ("multilabel", "f1_macro"): lambda y, s: sk.f1_score(y, s > 0, average="macro"),
    ("multilabel", "f1_micro"): lambda y, s: sk.f1_score(y, s > 0, average="micro"),
    ("multilabel", "f1_weighted"): lambda y, s: sk.f1_score(y, s > 0, average="weighted"),
    ("multilabel", "roc_auc"): lambda y, s: sk.roc_auc_score(y, s),
    ("multilabel", "average_precision"): lambda y, s: sk.average_precision_score(y, s),
    ("regression", "r2"): sk.r2_score,
    ("regression", "root_mean_squared_error"): sk.root_mean_squared_error,
    ("regression", "mean_absolute_error"): sk.mean_absolute_error,
    ("regression", "spearman"): lambda y, s: np.mean(
        [stats.spearmanr(y[:, c], s[:, c]).statistic for c in range(2)]
    ),
}
DATA = {
    "multiclass": _multiclass(),
    "binary": _binary(),
    "multilabel": _multilabel(),
    "regression": _regression(),
}


@pytest.mark.parametrize(("task", "name"), SKLEARN)
def test_agrees_with_scikit_learn(task, name):
    labels, scores = DATA[task]
    expected = SKLEARN[task, name](labels, scores)
    assert evaluate(name, labels, scores, task) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("task", "name"), SKLEARN)
def test_integer_weights_count_as_copies(task, name):
    labels, scores = DATA[task]
    weights = RNG.multinomial(N, np.full(N, 1 / N))
    copies = np.repeat(np.arange(N), weights)
    expected = SKLEARN[task, name](labels[copies], scores[copies])
    assert evaluate(name, labels, scores, task, weights=weights) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("task", "name"), [*SKLEARN, ("binary", "ece"), ("multiclass", "expected_calibration_error")]
)
def test_many_resamples_at_once_equal_one_by_one(task, name):
    labels, scores = DATA[task]
    each = np.stack([scores + RNG.normal(size=scores.shape) for _ in range(3)])
    weights = RNG.multinomial(N, np.full(N, 1 / N), size=3)
    expected = [evaluate(name, labels, each[b], task, weights=weights[b]) for b in range(3)]
    np.testing.assert_allclose(evaluate_resamples(name, labels, each, weights, task), expected)


def test_many_classes_are_counted_as_few_are():
    labels, scores = RNG.integers(0, 100, 400), RNG.normal(size=(400, 100))
    weights = RNG.multinomial(400, np.full(400, 1 / 400))
    copies = np.repeat(np.arange(400), weights)
    for average in ("macro", "weighted"):
        expected = sk.f1_score(labels[copies], scores[copies].argmax(axis=1), average=average)
        value = evaluate(f"f1_{average}", labels, scores, "multiclass", weights=weights)
        assert value == pytest.approx(expected)


def test_odds_beyond_every_number_have_the_largest_loss():
    value = evaluate("log_loss", [1, 1], [[1e4, 0.0], [0.0, 0.0]], "multiclass")
    assert value == pytest.approx((-np.log(np.finfo(float).eps) + np.log(2)) / 2)


def test_calibration_error_of_two_bins_by_hand():
    p = np.array([0.9, 0.9, 0.9, 0.9, 0.6, 0.6])
    labels = np.array([1, 1, 1, 0, 1, 0])
    value = evaluate("ece", labels, special.logit(p)[:, None], "binary")
    assert value == pytest.approx((4 * abs(0.75 - 0.9) + 2 * abs(0.5 - 0.6)) / 6)


def test_vqa_accuracy_is_the_mean_over_nine_of_ten_annotators():
    answers = ["red"] * 2 + ["blue"] * 3 + ["green"] * 5
    without = [answers[:i] + answers[i + 1 :] for i in range(10)]
    expected = [
        np.mean([min(1, w.count(c) / 3) for w in without]) for c in ("red", "blue", "green")
    ]
    credit = vqa_credit([answers, ["red"] * 10], ["red", "blue", "green", "pink"])
    np.testing.assert_allclose(credit, [[*expected, 0], [1, 0, 0, 0]])
    scores = np.array([[0.0, 2, 1, 0], [0, 0, 5, 0]])
    assert evaluate("vqa_accuracy", credit, scores, "multiclass") == pytest.approx(expected[1] / 2)


@pytest.mark.parametrize("space", ["probabilities", "log_probabilities"])
def test_projected_probabilities_outside_their_range_become_probabilities(space):
    p = np.array([[1.2, -0.1, 0.1], [0.5, 0.3, 0.2]])
    scores = p if space == "probabilities" else np.log(np.clip(p, 1e-300, None))
    found = probabilities(scores, "multiclass", space)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    np.testing.assert_allclose(found[0], np.array([1, 1e-7, 0.1]) / 1.1000001)
    np.testing.assert_allclose(found[1], p[1])
    one = probabilities(scores[:, :1], "binary", space)
    assert 0 < one[0, 0] < 1
    assert one[1, 0] == pytest.approx(0.5)


def test_thresholds_follow_the_space():
    scores = np.array([[0.6], [0.4], [-0.2]])
    assert predict(scores, "binary").tolist() == [1, 1, 0]
    assert predict(scores, "binary", "probabilities").tolist() == [1, 0, 0]
    assert predict(np.log([[0.6], [0.4]]), "binary", "log_probabilities").tolist() == [1, 0]
    assert predict([[0.6, -1.0]], "multilabel").tolist() == [[1, 0]]


@pytest.mark.parametrize("n_classes", [3, 50])
def test_ties_go_to_the_first_class(n_classes):
    scores = np.zeros((2, n_classes))
    scores[1, 1:3] = 1.0
    assert predict(scores, "multiclass").tolist() == [0, 1]
    assert evaluate("top_2_accuracy", [1, 2], scores, "multiclass") == 1.0
    assert evaluate("top_2_accuracy", [2, 0], scores, "multiclass") == 0.0


def test_undefined_scores_make_the_metric_undefined_unless_they_have_no_weight():
    labels, scores = DATA["multiclass"]
    broken = scores.copy()
    broken[0] = np.nan
    weights = np.ones(N)
    weights[0] = 0
    for name in ("accuracy", "f1_macro", "roc_auc", "log_loss"):
        assert np.isnan(evaluate(name, labels, broken, "multiclass"))
        found = evaluate(name, labels, broken, "multiclass", weights=weights)
        assert found == pytest.approx(evaluate(name, labels[1:], scores[1:], "multiclass"))
    assert "single text or image" in why_undefined("accuracy", labels, broken, "multiclass")
    assert predict(broken, "multiclass")[0] == -1


def test_one_class_only_leaves_ranking_undefined_and_the_rest_defined():
    scores = np.array([[0.5], [-0.5], [1.0]])
    assert np.isnan(evaluate("roc_auc", [1, 1, 1], scores, "binary"))
    assert np.isnan(evaluate("average_precision", [0, 0, 0], scores, "binary"))
    assert "at least two classes" in why_undefined("roc_auc", [1, 1, 1], scores, "binary")
    assert evaluate("balanced_accuracy", [1, 1, 1], scores, "binary") == pytest.approx(2 / 3)
    assert evaluate("f1", [0, 0, 0], -np.abs(scores), "binary") == 0.0


def test_a_class_that_is_never_predicted_counts_with_f1_of_0():
    scores = np.array([[1.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    assert evaluate("f1_macro", [0, 2, 1], scores, "multiclass") == pytest.approx((2 / 3 + 1) / 3)


def test_classes_without_examples_are_left_out_of_the_ranking_average():
    labels, scores = DATA["multiclass"]
    wider = np.hstack([scores, np.full((N, 1), -50.0)])
    expected = evaluate("roc_auc", labels, scores, "multiclass")
    assert evaluate("roc_auc", labels, wider, "multiclass") == pytest.approx(expected, abs=1e-9)


def test_constant_labels_or_scores_leave_regression_metrics_undefined():
    labels, scores = np.ones((4, 1)), np.arange(4.0)[:, None]
    assert np.isnan(evaluate("r2", labels, scores, "regression"))
    assert np.isnan(evaluate("spearman", scores, labels, "regression"))
    assert "labels that differ" in why_undefined("r2", labels, scores, "regression")
    assert "scores that differ" in why_undefined("spearman", scores, labels, "regression")


def test_differences_are_positive_when_the_first_does_better():
    labels, scores = DATA["multiclass"]
    for name in ("accuracy", "log_loss"):
        assert difference(name, labels, 3 * np.eye(4)[labels], scores, "multiclass") > 0


def test_a_score_without_threshold_is_judged_by_its_ranking():
    assert "accuracy" not in default_metrics("binary", has_threshold=False)
    assert default_metrics("binary", has_threshold=False)[0] == "roc_auc"


def test_mistakes_are_told():
    labels, scores = DATA["multiclass"]
    with pytest.raises(SettingError, match="'acuracy'"):
        metric("acuracy")
    with pytest.raises(SettingError, match="but this one is regression; choose one of r2"):
        evaluate("accuracy", *DATA["regression"], "regression")  # type: ignore[call-arg]
    with pytest.raises(SettingError, match="always 1 with 4 classes"):
        evaluate("top_4_accuracy", labels, scores, "multiclass")
    with pytest.raises(LabelError, match="shape"):
        evaluate("accuracy", labels[1:], scores, "multiclass")
    with pytest.raises(LabelError, match="0 to 3"):
        evaluate("accuracy", labels + 1, scores, "multiclass")
    with pytest.raises(SettingError, match="regression"):
        probabilities(scores, "regression")


@pytest.mark.parametrize(("task", "name"), SKLEARN)
def test_no_score_however_bad_leaves_the_range_of_its_metric(task, name):
    labels, scores = DATA[task]
    lowest, highest = metric(name).range
    for tried in (scores, -20 * scores, 0 * scores, 100 * scores):
        value = evaluate(name, labels, tried, task)
        assert np.isnan(value) or lowest <= value <= highest
