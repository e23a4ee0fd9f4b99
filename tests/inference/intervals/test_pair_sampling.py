from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from emap_core.decomposition.design import design
from emap_core.decomposition.incomplete import fit
from emap_core.inference import Gap, intervals
from emap_core.inference.intervals.pair_sampling import (
    PairSampling,
    from_json,
    pair_sampling,
    to_json,
    with_pair_sampling,
)
from emap_core.inference.metrics import metric


def _gap(difference, below, above, freedom, name="accuracy", full=0.8):
    sign = 1.0 if metric(name).higher_is_better else -1.0
    return Gap(
        metric=name,
        projection="emap_leave_one_out",
        full=full,
        projected=full - sign * difference,
        difference=difference,
        low=difference - below,
        high=difference + above,
        p_value=float("nan"),
        method="resamples; test",
        n_examples=100,
        n_resamples=1000,
        seed=0,
        standard_error=(below + above) / 2 / stats.t.ppf(0.975, freedom),
        degrees_of_freedom=freedom,
        cluster="none",
        n_units=freedom + 1,
        unit="examples",
        population="for new examples",
    )


def _pairs(projected, error, bias=0.0, freedom=15):
    reach = float(stats.t.ppf(0.975, freedom) * np.hypot(error, bias))
    return PairSampling(projected, projected, error, freedom, reach, bias, 0.001)


@cache
def _some_intervals():
    rng = np.random.default_rng(0)
    d = _fit(rng, k=6).decomposition
    return intervals(d, rng.integers(0, 3, 20), "multiclass", ["accuracy"], n_resamples=10)


def _joined(gap, sampling):
    """Return the gap with the error from the choice of pairs added, as in a run."""
    base = replace(_some_intervals(), rows={}, gaps={gap.metric: {gap.projection: gap}})
    found = with_pair_sampling(base, {gap.metric: {gap.projection: sampling}}, 99, (9, 9))
    return found.gaps[gap.metric][gap.projection]


def _fit(rng, k, n=20):
    grid = rng.normal(size=(n, n, 3))
    d = design(n, n, np.arange(n), np.arange(n), k)
    return fit(d, grid[d.rows, d.columns])


def test_two_equal_errors_join_as_in_welchs_test():
    # Means of 16 numbers each, with the same spread: 30 degrees of freedom exactly.
    error, freedom = 0.04, 15
    reach = float(stats.t.ppf(0.975, freedom)) * error
    found = _joined(_gap(0.1, reach, reach, freedom), _pairs(0.7, error, freedom=freedom))
    welch = stats.ttest_ind_from_stats(0.1, error * 4, 16, 0.0, error * 4, 16, equal_var=False)
    assert found.degrees_of_freedom == 30
    np.testing.assert_allclose(found.p_value, welch.pvalue)
    half = stats.t.ppf(0.975, 30) * error * np.sqrt(2)
    np.testing.assert_allclose([found.low, found.high], [0.1 - half, 0.1 + half])
    assert found.standard_error_of_examples == pytest.approx(error)
    assert found.standard_error_of_pairs == pytest.approx(error)
    assert found.standard_error == pytest.approx(error * np.sqrt(2))


numbers = st.tuples(
    st.floats(-0.5, 0.5),
    st.floats(0.001, 0.3),
    st.floats(0.001, 0.3),
    st.integers(1, 500),
    st.floats(0.0001, 0.2),
    st.floats(-0.1, 0.1),
    st.sampled_from(["accuracy", "f1_macro", "log_loss"]),
    st.floats(0.0, 1.0),
)


@settings(max_examples=200, deadline=None)
@given(numbers)
def test_test_and_interval_never_contradict_each_other_and_limits_are_possible(case):
    difference, below, above, freedom, error, bias, name, full = case
    gap = _gap(difference, below, above, freedom, name, full)
    which = metric(name)
    lowest, highest = which.range
    sampling = _pairs(float(np.clip(gap.projected, lowest, highest)), error, bias)
    found = _joined(gap, sampling)
    excluded = found.low > 0 or found.high < 0
    if abs(found.p_value - 0.05) > 1e-9:
        assert excluded == (found.p_value < 0.05)
    assert found.low <= found.difference <= found.high
    # The other score, were it at a limit, would be one that the metric can have.
    sign = 1.0 if which.higher_is_better else -1.0
    for limit in (found.low, found.high):
        assert lowest - 1e-12 <= full - sign * limit <= highest + 1e-12
    # Neither part alone is wider than both.
    joint = found.standard_error
    assert joint >= max(found.standard_error_of_examples, found.standard_error_of_pairs)
    assert found.degrees_of_freedom >= min(freedom, sampling.degrees_of_freedom)
    assert Gap.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_without_an_error_from_pairs_the_gap_stays_as_it_is():
    gap = _gap(0.1, 0.05, 0.07, 99)
    assert _joined(gap, _pairs(gap.projected, 0.0)) is gap


@pytest.mark.slow
def test_scores_near_the_end_of_a_metrics_range_stay_inside_it():
    rng = np.random.default_rng(1)
    n = 60
    texts, images = rng.normal(size=(2, n, 2)) * 3
    grid = texts[:, None] + images[None] + 0.3 * rng.normal(size=(n, n, 2))
    d = design(n, n, np.arange(n), np.arange(n), 4)
    fitted = fit(d, grid[d.rows, d.columns])
    labels = fitted.decomposition.logits.argmax(axis=1)
    for name in ("f1_macro", "accuracy"):
        base = intervals(fitted.decomposition, labels, "multiclass", [name], n_resamples=200)
        sampling = pair_sampling(fitted, labels, "multiclass", "logits", [name])
        found = with_pair_sampling(base, sampling, len(d), (n, n))
        for row in sampling[name]:
            interval, gap = found.rows[name][row], found.gaps[name][row]
            assert 0 <= interval.low <= interval.value <= interval.high <= 1
            assert interval.value == gap.projected
            # The model is right everywhere: nothing can do better.
            assert gap.full == 1
            assert 0 <= gap.low <= gap.difference <= gap.high <= 1


def test_what_the_pairs_do_to_a_metric_does_not_depend_on_the_others():
    rng = np.random.default_rng(3)
    fitted = _fit(rng, k=6)
    labels = rng.integers(0, 3, 20)
    names = ["accuracy", "f1_macro", "roc_auc", "log_loss"]
    together = pair_sampling(fitted, labels, "multiclass", "logits", names)
    for name in names:
        assert pair_sampling(fitted, labels, "multiclass", "logits", [name]) == {
            name: together[name]
        }


@pytest.mark.slow
def test_several_metrics_are_said_to_have_intervals_for_each_alone():
    rng = np.random.default_rng(2)
    fitted = _fit(rng, k=6)
    labels = rng.integers(0, 3, 20)
    for names, said in ((["accuracy"], False), (["accuracy", "f1_macro"], True)):
        base = intervals(fitted.decomposition, labels, "multiclass", names, n_resamples=50)
        sampling = pair_sampling(fitted, labels, "multiclass", "logits", names)
        notes = with_pair_sampling(base, sampling, 120, (20, 20)).notes
        assert any("own metric alone" in note for note in notes) == said
        assert from_json(json.loads(json.dumps(to_json(sampling)))) == sampling


@pytest.mark.parametrize(
    ("images_per_text", "said"),
    [(4, "may miss the gap"), (8, "wrong sign"), (23, "wrong sign"), (24, "")],
)
def test_few_partners_are_named_with_what_they_make_unsure(images_per_text, said):
    base = replace(_some_intervals(), rows={}, gaps={})
    notes = with_pair_sampling(base, {}, 20 * images_per_text, (20, 20)).notes
    told = [note for note in notes if "of the other side" in note]
    assert len(told) == (said != "")
    assert said in "".join(told)


def test_what_an_earlier_version_kept_is_computed_anew():
    kept = to_json({"accuracy": {"emap": _pairs(0.5, 0.1)}})
    del kept["accuracy"]["emap"]["bias_standard_error"]
    kept["accuracy"]["emap"]["bias_bound"] = 0.1
    assert from_json(kept) == {}
