from __future__ import annotations

import json

import numpy as np
import pytest

import emap_core as emap
from emap_core.inference import Gap, Interval, self_term_note, verdict


def _gap(full, projected, low, high, metric="accuracy", n=400, projection="emap_leave_one_out"):
    sign = -1 if metric in ("log_loss", "root_mean_squared_error") else 1
    return Gap(
        metric=metric,
        projection=projection,
        full=full,
        projected=projected,
        difference=sign * (full - projected),
        low=low,
        high=high,
        p_value=0.5,
        method="",
        n_examples=n,
        n_resamples=1000,
        seed=0,
        standard_error=(high - low) / 3.92,
        degrees_of_freedom=n - 1,
        cluster="none",
        n_units=n,
        unit="examples",
        population="for new examples",
    )


CASES = [
    (
        _gap(0.999, 0.809, 0.182, 0.198),
        "relies",
        "This model relies on interactions: without them accuracy falls from 99.9% to 80.9%, "
        "by 19.0 points [18.2, 19.8].",
    ),
    (
        _gap(0.931, 0.926, 0.002, 0.008),
        "small",
        "Measurable but small: without interactions accuracy falls from 93.1% to 92.6%, "
        "by 0.5 points [0.2, 0.8].",
    ),
    (
        _gap(0.900, 0.899, -0.004, 0.006),
        "none",
        "No use of interactions that would matter: accuracy changes by 0.1 points [−0.4, 0.6]. "
        "On this data an additive model built from this one does as well.",
    ),
    (
        _gap(0.900, 0.887, -0.010, 0.036),
        "undecided",
        "Undecided: 1.3 points [−1.0, 3.6]. About 2,100 examples would settle it.",
    ),
    (
        _gap(0.800, 0.830, -0.040, -0.020),
        "hurts",
        "Interactions hurt here: without them accuracy rises from 80.0% to 83.0%, "
        "by 3.0 points [2.0, 4.0].",
    ),
    (
        _gap(0.101, 0.812, 0.65, 0.77, "log_loss"),
        "relies",
        "This model relies on interactions: without them log loss rises from 0.101 to 0.812, "
        "by 0.711 [0.650, 0.770].",
    ),
    (
        _gap(0.812, 0.701, -0.15, -0.05, "log_loss"),
        "hurts",
        "Interactions hurt here: without them log loss falls from 0.812 to 0.701, "
        "by 0.111 [0.0500, 0.150].",
    ),
]


@pytest.mark.parametrize(("gap", "kind", "sentence"), CASES)
def test_sentences_say_what_the_interval_allows(gap, kind, sentence):
    found = verdict(gap)
    assert (found.kind, found.sentence) == (kind, sentence)
    assert "leave-one-out" in str(found)
    assert "400 examples" in str(found)


def test_an_additive_model_has_no_gap_to_speak_of():
    assert verdict(_gap(0.6, 0.6, 0.0, 0.0)).kind == "none"


def test_the_smallest_gap_that_matters_is_the_users():
    gap = _gap(0.90, 0.87, 0.02, 0.04)
    assert verdict(gap).kind == "relies"
    assert verdict(gap, smallest_gap=0.05).kind == "small"
    wide = _gap(0.90, 0.89, -0.02, 0.04)
    assert verdict(wide, smallest_gap=0.05).kind == "none"


def test_undecided_never_asks_for_fewer_examples_than_there_are():
    found = verdict(_gap(0.9, 0.8935, -0.002, 0.015, n=1000))
    assert found.kind == "undecided"
    # Half-width .0085 has to come down to .0065, the distance to 0.
    assert "About 1,700 examples" in found.sentence


def test_variance_and_decisions_may_disagree():
    gap = _gap(0.9, 0.899, -0.004, 0.006)
    found = verdict(gap, interaction_share=0.42, decisions_changed=3)
    assert found.details[0] == (
        "Interactions carry 42% of the variance of the logits, yet change 3 decisions in 400."
    )
    other = verdict(
        _gap(0.9, 0.6, 0.25, 0.35), interaction_share=0.02, decisions_changed=130
    ).details
    assert other[0] == (
        "Interactions carry only 2.0% of the variance of the logits, and yet change "
        "130 decisions in 400."
    )
    for share, changed in ((0.42, 100), (0.02, 3), (0.0, 0)):
        agreeing = verdict(gap, interaction_share=share, decisions_changed=changed)
        assert len(agreeing.details) == 1


def test_without_labels_the_sentence_is_about_variance_alone():
    found = verdict(None, interaction_share=0.42, space="probabilities")
    assert found.kind == "variance"
    assert found.sentence.startswith(
        "Interactions carry 42% of the variance of the probabilities; without labels"
    )
    assert "never varies" in verdict(None, interaction_share=float("nan")).sentence
    constant = verdict(_gap(0.6, 0.6, 0.0, 0.0), interaction_share=float("nan"))
    assert constant.kind == "undefined" and "nothing to split" in constant.sentence


def test_an_undefined_metric_says_why():
    nan = float("nan")
    gap = _gap(nan, nan, nan, nan, "roc_auc")
    found = verdict(gap, why_undefined="all labels are the same")
    assert (found.kind, found.sentence) == (
        "undefined",
        "ROC AUC is undefined here: all labels are the same.",
    )
    assert verdict(_gap(0.9, 0.8, nan, nan)).kind == "undecided"


def test_the_plain_projection_is_named_with_its_bias():
    assert "plain projection" in str(verdict(_gap(0.9, 0.8, 0.05, 0.15, projection="emap")))
    note = self_term_note(emap.decompose(np.zeros((10, 10))))
    assert "weight 0.190" in note


def test_records_survive_json():
    gap = _gap(0.9, 0.8, float("nan"), 0.15)
    kept = json.loads(json.dumps(gap.to_json(), allow_nan=False))
    assert kept["low"] is None
    back = Gap.from_json(kept)
    assert back.high == 0.15
    assert np.isnan(back.low)
    interval = Interval.from_json(json.loads(json.dumps(Interval(1.0, 0.5, 2.0).to_json())))
    assert interval == Interval(1.0, 0.5, 2.0)
