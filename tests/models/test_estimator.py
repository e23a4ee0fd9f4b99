from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

import emap_core as emap
from emap_core.datasets import load_dataset
from emap_core.errors import ModelError
from emap_core.models.estimator import EstimatorModel


def colours(images):
    return [np.asarray(image.resize((1, 1)).convert("RGB"))[0, 0] / 255 for image in images]


def fitted(estimator, data):
    words = CountVectorizer().fit(data.texts)
    both = np.hstack([words.transform(data.texts).toarray(), colours(data.images)])
    return EstimatorModel(estimator.fit(both, data.labels), words, colours), both


def test_a_linear_estimator_is_additive_and_scored_as_it_says(tmp_path):
    data = load_dataset("demo:easy-vqa", limit=150)
    estimator = LogisticRegression(max_iter=1000)
    model, both = fitted(estimator, data)
    run = emap.compute(model, data, out=tmp_path / "run", fingerprint="linear")
    order = [list(estimator.classes_).index(name) for name in run.classes]
    np.testing.assert_allclose(
        run.decomposition.logits, estimator.decision_function(both)[:, order], atol=1e-5
    )
    assert np.abs(run.decomposition.interaction).max() < 1e-5


def test_without_a_decision_function_probabilities_are_taken():
    data = load_dataset("demo:easy-vqa", limit=150)
    estimator = RandomForestClassifier(5, random_state=0)
    model, both = fitted(estimator, data)
    assert model.output == "probabilities"
    pairs = model.score(model.encode_texts(data.texts), model.encode_images(list(data.images)))
    np.testing.assert_array_equal(pairs, estimator.predict_proba(both))


def test_one_logit_for_two_classes_becomes_two():
    data = load_dataset("demo:easy-vqa-yes-no", limit=60)
    estimator = LogisticRegression()
    model, both = fitted(estimator, data)
    pairs = model.score(model.encode_texts(data.texts), model.encode_images(list(data.images)))
    np.testing.assert_allclose(softmax(pairs, axis=1), estimator.predict_proba(both), atol=1e-9)
    assert model.classes == ["no", "yes"]


def test_what_is_no_estimator_is_named():
    with pytest.raises(ModelError, match="dict has neither decision_function nor predict_proba"):
        EstimatorModel({}, colours, colours)
