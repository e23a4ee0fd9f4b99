from __future__ import annotations

import numpy as np
import pytest

from emap_core.errors import DatasetError
from emap_core.inference import evaluate
from emap_core.inference.table.linear_probe import linear_probe

RNG = np.random.default_rng(8)


def _linear(n, n_outputs, noise=0.3):
    weights = np.random.default_rng(1).normal(size=(6, n_outputs))
    encodings = RNG.normal(size=(n, 6))
    return encodings * 10 + 5, encodings @ weights + noise * RNG.normal(size=(n, n_outputs))


def test_finds_a_linear_rule_and_leaves_noise_alone():
    encodings, scores = _linear(600, 3, noise=0.0)
    labels = scores.argmax(axis=1)
    found = linear_probe(encodings[:400], labels[:400], encodings[400:], "multiclass", 3)
    assert evaluate("accuracy", labels[400:], found, "multiclass") > 0.85
    noise = RNG.normal(size=(600, 40))
    nothing = linear_probe(noise[:60], labels[:60], noise[400:], "multiclass", 3)
    share = np.bincount(labels[400:]) / 200
    # An unpenalised fit of 40 columns to 60 examples would be far worse than knowing nothing.
    assert evaluate("log_loss", labels[400:], nothing, "multiclass") < 1.35 * -(
        share @ np.log(share)
    )


def test_the_other_tasks():
    encodings, scores = _linear(500, 2)
    fit, left = slice(0, 350), slice(350, None)
    binary = (scores[:, 0] > 0).astype(int)
    found = linear_probe(encodings[fit], binary[fit], encodings[left], "binary", 1)
    assert found.shape == (150, 1)
    assert evaluate("accuracy", binary[left], found, "binary") > 0.85
    several = (scores > 0).astype(int)
    found = linear_probe(encodings[fit], several[fit], encodings[left], "multilabel", 2)
    assert evaluate("f1_micro", several[left], found, "multilabel") > 0.85
    found = linear_probe(encodings[fit], scores[fit], encodings[left], "regression", 2)
    assert evaluate("r2", scores[left], found, "regression") > 0.9


def test_classes_without_training_examples_are_unlikely():
    encodings, scores = _linear(60, 2)
    labels = scores.argmax(axis=1) * 2
    found = linear_probe(encodings, labels, encodings, "multiclass", 4)
    assert set(found.argmax(axis=1)) == {0, 2}
    one = linear_probe(encodings, np.ones(60, dtype=int), encodings, "multiclass", 4)
    assert set(one.argmax(axis=1)) == {1}


def test_groups_and_samples():
    encodings, scores = _linear(90, 3)
    labels = scores.argmax(axis=1)
    groups = np.arange(90) // 3
    found = linear_probe(
        encodings, labels, encodings, "multiclass", 3, groups=groups, max_examples=50
    )
    assert evaluate("accuracy", labels, found, "multiclass") > 0.7


def test_states_that_do_not_fit_are_told():
    with pytest.raises(DatasetError, match="rows of equal length"):
        linear_probe(np.ones((5, 2)), np.ones(5), np.ones((5, 3)), "multiclass", 2)
    with pytest.raises(DatasetError, match="5 encodings and 4 labels"):
        linear_probe(np.ones((5, 2)), np.ones(4), np.ones((5, 2)), "multiclass", 2)
