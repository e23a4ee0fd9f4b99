from __future__ import annotations

import numpy as np
import pytest

from emap_core.decomposition import decompose
from emap_core.inference import evaluate, intervals
from emap_core.inference.comparisons.example_scores import ExampleScores
from emap_core.inference.comparisons.slice_gap import slice_gap


@pytest.fixture
def split():
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(2, 80, 3))
    return decompose(a[:, None] + b[None] + 1.5 * a[:, None] * b[None])


@pytest.fixture
def labels(split):
    noise = np.random.default_rng(6).normal(size=split.logits.shape)
    return (split.logits + noise).argmax(axis=1)


def test_a_slice_has_the_scores_of_the_whole_projection(split, labels):
    one_slice = np.arange(80) % 3 == 0
    for name, sign in (("accuracy", 1), ("log_loss", -1)):
        gap = slice_gap(ExampleScores(split, labels, "multiclass", name), one_slice)
        full = evaluate(name, labels[one_slice], split.logits[one_slice], "multiclass")
        other = evaluate(name, labels[one_slice], split.emap_leave_one_out[one_slice], "multiclass")
        assert gap.full == pytest.approx(full) and gap.projected == pytest.approx(other)
        assert gap.difference == pytest.approx(sign * (full - other))
        assert gap.low < gap.difference < gap.high
        assert gap.n_examples == one_slice.sum()


def test_the_whole_as_a_slice_agrees_with_resamples_of_the_scores_alone(split, labels):
    one_slice = slice_gap(
        ExampleScores(split, labels, "multiclass", "log_loss"), np.ones(80, dtype=bool)
    )
    whole = intervals(split, labels, "multiclass", ["log_loss"]).gaps["log_loss"]
    expected = whole["emap_leave_one_out"]
    assert one_slice.difference == pytest.approx(expected.difference)
    assert one_slice.low == pytest.approx(expected.low, abs=0.05)
    assert one_slice.high == pytest.approx(expected.high, abs=0.05)


def test_a_smaller_slice_is_less_sure(split, labels):
    rng = np.random.default_rng(0)
    small, large = rng.random(80) < 0.2, np.ones(80, dtype=bool)
    widths = [
        gap.high - gap.low
        for gap in (
            slice_gap(ExampleScores(split, labels, "multiclass", "log_loss"), m)
            for m in (small, large)
        )
    ]
    assert widths[0] > widths[1]


def test_one_example_or_none_has_no_interval(split, labels):
    one = np.arange(80) == 3
    assert np.isnan(slice_gap(ExampleScores(split, labels, "multiclass", "accuracy"), one).low)
    none = slice_gap(
        ExampleScores(split, labels, "multiclass", "accuracy"), np.zeros(80, dtype=bool)
    )
    assert np.isnan(none.full) and np.isnan(none.low) and none.n_examples == 0
