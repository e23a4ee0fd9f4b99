from __future__ import annotations

import numpy as np
import pytest

from emap_core.decomposition import decompose
from emap_core.decomposition.contrasts import (
    answers_changed,
    class_contrast,
    label_contrast,
    margin_contrast,
    prediction_contrast,
)
from emap_core.errors import SettingError


@pytest.fixture
def split():
    return decompose(np.random.default_rng(3).normal(size=(9, 9, 4)))


def adds_up(contrast):
    return np.allclose(contrast.mean + sum(contrast.effects) + contrast.interaction, contrast.value)


def test_each_contrast_is_the_number_it_names_and_adds_up(split):
    logits = split.logits
    labels = np.array([0, 1, 2, 3, 0, 1, 2, 3, 0])
    ordered = np.sort(logits, axis=1)
    for contrast, value in (
        (class_contrast(split, 2), logits[:, 2]),
        (label_contrast(split, labels), logits[np.arange(9), labels]),
        (prediction_contrast(split), ordered[:, -1]),
        (margin_contrast(split), ordered[:, -1] - ordered[:, -2]),
    ):
        assert np.array_equal(contrast.value, value)
        assert adds_up(contrast)


def test_margin_is_the_same_for_logits_that_differ_by_what_softmax_does_not_see(split):
    raw, centred = margin_contrast(split), margin_contrast(split.class_centred())
    for part in ("value", "mean", "effects", "interaction"):
        assert np.allclose(getattr(raw, part), getattr(centred, part))


def test_a_single_logit_speaks_for_both_labels():
    split = decompose(np.random.default_rng(1).normal(size=(6, 6)))
    labels = np.array([0, 1, 0, 1, 0, 1])
    contrast = label_contrast(split, labels)
    assert np.allclose(contrast.value, split.logits[:, 0] * [-1, 1, -1, 1, -1, 1])
    assert adds_up(contrast)
    for lead in (prediction_contrast(split), margin_contrast(split)):
        assert np.allclose(lead.value, np.abs(split.logits[:, 0]))


def test_a_class_or_labels_that_do_not_fit_are_named(split):
    with pytest.raises(SettingError, match="expected 0 to 3"):
        class_contrast(split, 4)
    with pytest.raises(SettingError, match="labels have shape"):
        label_contrast(split, np.zeros((9, 4)))


def test_changed_answers_come_first_and_each_answer_gets_its_turn():
    own = np.array([5.0, 0.0, 0.0])
    others = np.array(
        [
            [9.0, 0.0, 0.0],  # the same answer, surer
            [0.0, 8.0, 0.0],
            [0.0, 9.0, 0.0],
            [0.0, 0.0, 3.0],
            [1.0, 0.0, 0.0],  # the same answer, less sure
        ]
    )
    assert answers_changed(others, own, 5).tolist() == [2, 3, 1, 4, 0]
    assert answers_changed(others, own, 2).tolist() == [2, 3]


def test_a_single_logit_changes_most_where_it_is_most_opposite():
    others = np.array([[3.0], [-1.0], [-4.0], [0.5]])
    assert answers_changed(others, np.array([2.0]), 4).tolist() == [2, 1, 3, 0]
    assert answers_changed(others, np.array([-2.0]), 2).tolist() == [0, 3]


def test_without_a_decision_the_most_distant_comes_first():
    others = np.array([[1.0, 1.0], [5.0, -5.0], [0.0, 0.0]])
    assert answers_changed(others, np.array([1.0, 1.0]), 3, decides=False).tolist() == [1, 2, 0]
