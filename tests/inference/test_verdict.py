from __future__ import annotations

import json
import re

import numpy as np
import pytest
from scipy import stats

import emap_core as emap
from emap_core.errors import SettingError
from emap_core.inference import (
    Gap,
    Interval,
    PairError,
    default_margin,
    metric,
    self_term_note,
    verdict,
)
from emap_core.inference.number_format import bracket
from emap_core.inference.verdict import equivalence_p_value, units_needed

LOWER_IS_BETTER = ("log_loss", "root_mean_squared_error", "mean_absolute_error")


def _gap(full, projected, low, high, metric="accuracy", n=400, **changes):
    sign = -1 if metric in LOWER_IS_BETTER else 1
    fields = {
        "metric": metric,
        "projection": "emap_leave_one_out",
        "full": full,
        "projected": projected,
        "difference": sign * (full - projected),
        "low": low,
        "high": high,
        "p_value": 0.5,
        "method": "",
        "n_examples": n,
        "n_resamples": 1000,
        "seed": 0,
        "standard_error": (high - low) / 2 / 1.96,
        "degrees_of_freedom": n - 1,
        "cluster": "none",
        "n_units": n,
        "unit": "examples",
        "population": "for new examples",
    }
    return Gap(**(fields | changes))


CASES = [
    (
        _gap(0.999, 0.840, 0.127, 0.193),
        "relies",
        "This model relies on interactions: without them accuracy falls from 99.9% to 84.0%, "
        "by 15.9 points [12.7, 19.3].",
    ),
    (
        _gap(0.931, 0.926, 0.001, 0.014),
        "helps",
        "Interactions help; by how much is open: 0.5 points [0.1, 1.4].",
    ),
    (
        _gap(0.900, 0.899, -0.004, 0.006),
        "equivalent",
        "No meaningful use of interactions: accuracy changes by 0.1 points [−0.4, 0.6]. "
        "An additive approximation of this model performs as well, to within 1 point.",
    ),
    (
        _gap(0.900, 0.887, -0.010, 0.036),
        "undecided",
        "Undecided: 1.3 points [−1.0, 3.6]; a gain above 3.6 points is excluded. "
        "About 2,600 examples would settle it.",
    ),
    (
        _gap(0.880, 0.8991, -0.050, 0.009),
        "no_gain",
        "No gain that would matter: accuracy changes by −1.9 points [−5.0, 0.9]; "
        "a gain of 1 point is excluded.",
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
    (
        _gap(0.71, 0.70, -0.002, 0.022, "f1_macro"),
        "undecided",
        "Undecided: 1.0 points of macro F1 [−0.2, 2.2]; a gain above 2.2 points is excluded, and "
        "so is a loss above 0.2. About 1,200 examples would settle it.",
    ),
]


@pytest.mark.parametrize(("gap", "kind", "sentence"), CASES)
def test_sentences_say_what_the_interval_allows(gap, kind, sentence):
    found = verdict(gap)
    assert (found.kind, found.sentence) == (kind, sentence)
    assert "leave-one-out" in str(found)
    assert "400 examples; 95% interval in brackets, for new examples" in str(found)


def _expected_kind(low, high, smallest):
    if -smallest < low and high < smallest:
        return "equivalent"
    if low > 0:
        return "relies" if low >= smallest else "helps"
    if high < 0:
        return "hurts"
    return "no_gain" if high < smallest else "undecided"


ENDS = (
    -0.05,
    -0.0100001,
    -0.01,
    -0.0099,
    -0.0004,
    -1e-6,
    0.0,
    1e-7,
    0.0001,
    0.0099,
    0.01,
    0.010001,
)


@pytest.mark.parametrize("name", ["accuracy", "spearman"])
def test_limits_that_mean_different_verdicts_are_never_printed_alike(name):
    scale = 100 if name == "accuracy" else 1
    shown = {}
    for low in ENDS:
        for high in (end for end in ENDS if end > low):
            middle = (low + high) / 2
            found = verdict(_gap(0.5 + middle, 0.5, low, high, name))
            assert found.kind == _expected_kind(low, high, 0.01)
            text = bracket(low, high, metric(name).unit, (-0.01, 0.0, 0.01))
            shown.setdefault(text, set()).add(found.kind)
            # Whoever reads the printed limits comes to the same verdict.
            ends = [float(end.replace("−", "-")) / scale for end in text.strip("[]").split(", ")]
            assert _expected_kind(*ends, 0.01) == found.kind, text  # type: ignore[call-arg]
    assert all(len(kinds) == 1 for kinds in shown.values())


def test_a_limit_beside_the_margin_has_the_digit_that_shows_it():
    found = verdict(_gap(0.905, 0.9, 0.0001, 0.010001))
    assert "[0.01, 1.0001]" in found.sentence and found.kind == "helps"
    within = verdict(_gap(0.905, 0.9, 0.0001, 0.0099))
    assert "[0.01, 0.99]" not in str(within) or within.kind == "equivalent"
    assert "more than chance but less than what matters" in str(within)


def test_a_perfectly_additive_model_is_equivalent_to_its_projection():
    found = verdict(_gap(0.6, 0.6, 0.0, 0.0))
    assert found.kind == "equivalent"
    assert "p < 0.001" in str(found)


def test_the_equivalence_margin_is_the_users_and_always_printed():
    gap = _gap(0.90, 0.87, 0.02, 0.04)
    for given, kind in ((None, "relies"), (0.03, "helps"), (0.05, "equivalent")):
        found = verdict(gap, equivalence_margin=given)
        assert found.kind == kind
        words = {None: "1 point", 0.03: "3 points", 0.05: "5 points"}[given]
        assert f"The equivalence margin is {words}." in str(found)
        assert found.equivalence_margin == (given or 0.01)
    for given in (0.0, -0.01, 1.0, 5.0, float("nan"), float("inf")):
        with pytest.raises(SettingError, match="is 1 point"):
            verdict(gap, equivalence_margin=given)
    with pytest.raises(SettingError, match="the equivalence margin is 'accuracy'; expected"):
        verdict(gap, equivalence_margin="accuracy")


def test_where_a_metric_has_units_the_verdict_does_not_depend_on_them():
    for unit in (1e-3, 1.0, 1e3):
        scores = {"constant": 2.0 * unit}
        gap = _gap(1.0 * unit, 1.1 * unit, 0.01 * unit, 0.19 * unit, "root_mean_squared_error")
        found = verdict(gap, scores=scores)
        assert found.kind == "helps"
        assert found.equivalence_margin == pytest.approx(0.02 * unit)
        assert "1% of the best constant’s RMSE" in str(found)
    assert default_margin(metric("mean_absolute_error"), 0.0) == 0.01
    assert default_margin(metric("accuracy"), 0.3) == 0.01


def test_the_equivalence_test_is_the_dual_of_the_interval():
    for low, high in ((-0.004, 0.006), (-0.0099, 0.002), (0.001, 0.00999), (-0.01001, 0.0)):
        gap = _gap(0.9 + (low + high) / 2, 0.9, low, high)
        p = equivalence_p_value(gap, 0.01)
        assert (p < 0.025) == (low > -0.01 and high < 0.01)
    # Two one-sided t tests by hand.
    gap = _gap(0.902, 0.9, -0.004, 0.008)
    error = 0.006 / stats.t.ppf(0.975, 399)
    expected = max(stats.t.sf((0.01 + 0.002) / error, 399), stats.t.sf((0.01 - 0.002) / error, 399))
    assert equivalence_p_value(gap, 0.01) == pytest.approx(expected)
    said = str(verdict(gap))
    assert f"p = {expected:.3f}" in said and "any margin above 0.8 points" in said


def test_how_many_examples_would_settle_it_is_what_power_says():
    # A gap of 0.3 points [−0.001, 0.601] is settled by what is there: it is within 1 point.
    assert units_needed(0.003, 0.00301, 400, 0.01) == 400
    assert verdict(_gap(0.903, 0.9, -0.00001, 0.00601)).kind == "equivalent"
    # If nothing but 0 could settle it, 400 (2.80 / 1.96)² (0.301 / 0.3)² would be needed.
    assert units_needed(0.3, 0.301, 400, 0.01) == pytest.approx(821.7, rel=0.002)
    assert units_needed(0.05, 0.06, 400, 0.01) == pytest.approx(1_175, abs=2)
    assert units_needed(0.0, 0.05, 400, 0.01) == pytest.approx(27_300, rel=0.01)
    assert "About 1,200 examples" in verdict(_gap(0.95, 0.90, -0.01, 0.11)).sentence
    assert "About 27,000 examples" in verdict(_gap(0.90, 0.90, -0.05, 0.05)).sentence


@pytest.mark.parametrize("gap", [0.0, 0.002, 0.0049, 0.006, 0.02, -0.02])
def test_that_many_examples_settle_it_in_four_of_five_repetitions(gap):
    smallest, error_of_one = 0.01, 1.0
    n = units_needed(gap, 1.959964 * error_of_one / np.sqrt(100), 100, smallest)
    error = error_of_one / np.sqrt(n)
    seen = np.random.default_rng(0).normal(gap, error, 200_000)
    low, high = seen - 1.959964 * error, seen + 1.959964 * error
    # The less demanding of the two ends is what is planned for.
    settled = max(
        np.mean((low > 0) if gap > 0 else (high < 0)),
        np.mean((-smallest < low) & (high < smallest)),
    )
    assert settled == pytest.approx(0.8, abs=0.01)


def test_it_never_asks_for_fewer_than_there_are_and_counts_what_is_drawn():
    found = verdict(_gap(0.9, 0.8935, -0.002, 0.015, n=1000))
    (n,) = re.findall(r"About ([\d,]+) examples would settle it", found.sentence)
    assert int(n.replace(",", "")) >= 1000
    drawn = {"cluster": "text", "n_units": 100, "unit": "texts", "degrees_of_freedom": 99}
    found = verdict(_gap(0.95, 0.90, -0.01, 0.11, **drawn))
    assert "About 290 texts, with as many examples each, would settle it." in found.sentence
    found = verdict(_gap(0.95, 0.90, -0.01, 0.11, **(drawn | {"cluster": "both"})))
    assert "About 290 texts, and images in proportion, would settle it." in found.sentence


def test_a_sampled_run_asks_for_more_of_what_its_interval_comes_from():
    gap = _gap(0.95, 0.90, -0.01, 0.11)
    # h² = .0036, wanted .0036 / 2.94 = .00122: pairs alone do if examples leave less than that.
    pairs = verdict(gap, pairs=PairError(0.058, 4_000, 160_000)).sentence
    (n,) = re.findall(r"About ([\d,]+) pairs instead of 4,000 would settle it", pairs)
    of_pairs, of_examples = 0.058**2, 0.06**2 - 0.058**2
    left = of_pairs * 4_000 / int(n.replace(",", "")) + of_examples
    assert left == pytest.approx(0.06**2 / 2.939, rel=0.03)
    assert "choice of pairs" in pairs
    examples = verdict(gap, pairs=PairError(0.01, 4_000, 160_000)).sentence
    assert re.search(r"About 1,\d00 examples would settle it: most of the interval", examples)
    both = verdict(gap, pairs=PairError(0.045, 4_000, 160_000)).sentence
    assert "About 12,000 pairs instead of 4,000 and about 1,200 examples" in both
    grid = verdict(gap, pairs=PairError(0.058, 4_000, 5_000)).sentence
    assert "Scoring the whole grid, 5,000 pairs instead of 4,000, would settle it" in grid


def test_a_projection_no_better_than_a_constant_is_told_with_what_it_means():
    # f = 3 t v with texts and images correlated at .8: the model has 75.5, EMAP 55.2, yet always
    # saying the same has 73.0.
    gap = _gap(0.755, 0.552, 0.15, 0.25)
    found = verdict(gap, scores={"constant": 0.730, "text_only": 0.70, "image_only": 0.5})
    assert found.kind == "relies"
    said = found.details[0]
    assert "55.2%, does worse than the best constant, 73.0%" in said
    assert "needed for about 2.5 points of the gap" in said
    # The text side, 70.0%, does better than the projection, too; the constant says more.
    assert len(found.details) == 2
    side = verdict(gap, scores={"constant": 0.560, "text_only": 0.70, "image_only": 0.5})
    assert "the model’s text side alone reaches 70.0%" in side.details[1]
    assert "for only about 5.5 points of the gap" in side.details[1]
    lies = verdict(gap, scores={"constant": 0.560, "text_only": 0.60, "weighted_1": 0.685})
    assert "an additive fit to where the data lies reaches 68.5%" in lies.details[1]
    # Pure interaction on balanced labels: nothing is left, which is what the gap says.
    pure = verdict(_gap(0.95, 0.5, 0.4, 0.5), scores={"constant": 0.502})
    assert "needs text and image together" in pure.details[0]
    useless = verdict(_gap(0.40, 0.35, 0.02, 0.08), scores={"constant": 0.6})
    assert "Neither the model nor its projection" in useless.details[0]
    # A loss points the other way.
    loss = verdict(_gap(0.3, 0.9, 0.5, 0.7, "log_loss"), scores={"constant": 0.6})
    assert "does worse than the best constant, 0.600" in loss.details[0]
    fine = verdict(_gap(0.9, 0.8, 0.08, 0.12), scores={"constant": 0.5, "text_only": 0.805})
    assert len(fine.details) == 1


def test_where_nothing_can_be_recombined_nothing_is_measured():
    for gap in (_gap(0.9, 0.9, 0.0, 0.0), None):
        found = verdict(gap, shared_by_all="text")
        assert (found.kind, found.sentence) == (
            "not_measurable",
            "Not measurable: all examples share one text.",
        )


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
        "Interactions carry only 2.00% of the variance of the logits, and yet change "
        "130 decisions in 400."
    )
    for share, changed in ((0.42, 100), (0.02, 3), (0.0, 0)):
        agreeing = verdict(gap, interaction_share=share, decisions_changed=changed)
        assert len(agreeing.details) == 2


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
    assert "weight of 0.190" in note


def test_records_survive_json():
    gap = _gap(0.9, 0.8, float("nan"), 0.15)
    kept = json.loads(json.dumps(gap.to_json(), allow_nan=False))
    assert kept["low"] is None
    back = Gap.from_json(kept)
    assert back.high == 0.15
    assert np.isnan(back.low)
    interval = Interval.from_json(json.loads(json.dumps(Interval(1.0, 0.5, 2.0).to_json())))
    assert interval == Interval(1.0, 0.5, 2.0)


def test_a_gain_that_cannot_be_is_not_said_to_be_excluded():
    found = verdict(_gap(0.5, 0.5, -1.0, 1.0, n=2))
    assert found.kind == "undecided" and "no gain is excluded" in found.sentence


SIDES = ("question", "written", "spoken")
STEPS = {
    "emap_leave_one_out": _gap(0.628, 0.503, 0.074, 0.176, projection="constant"),
    "pairs": _gap(0.758, 0.628, 0.074, 0.186),
    "full": _gap(0.988, 0.758, 0.181, 0.284, projection="pairs"),
}


def _of_three(gap, **given):
    return verdict(gap, sides=SIDES, steps=STEPS, **given)


def test_a_verdict_of_three_sides_splits_the_gap():
    found = _of_three(_gap(0.988, 0.628, 0.316, 0.405), scores={"question_only": 0.657})
    assert found.kind == "relies"
    assert found.sentence == (
        "This model needs its sides together: with one side at a time accuracy falls from 98.8% to "
        "62.8%, by 36.0 points [31.6, 40.5]; with pairs of sides it is 75.8%."
    )
    assert found.details[0] == (
        "Pairs of sides gain 13.0 points [7.4, 18.6] over one side at a time, and only all three "
        "together another 23.0 points [18.1, 28.4]."
    )
    assert "the model’s question side alone reaches 65.7%" in found.details[1]


def test_a_verdict_of_four_sides_goes_up_in_three_steps():
    steps = STEPS | {"triples": _gap(0.9, 0.758, 0.1, 0.2), "full": _gap(0.988, 0.9, 0.05, 0.1)}
    steps = {row: steps[row] for row in ("emap_leave_one_out", "pairs", "triples", "full")}
    found = verdict(_gap(0.988, 0.628, 0.316, 0.405), sides=(*SIDES, "room"), steps=steps)
    assert found.sentence.endswith(
        "; with pairs of sides it is 75.8%; with three sides at a time it is 90.0%."
    )
    assert found.details[0].startswith("Pairs of sides gain 13.0 points [7.4, 18.6] over one side")
    assert "three sides at a time another 14.2 points [10.0, 20.0], and only all four" in str(found)


@pytest.mark.parametrize(
    "found",
    [
        _of_three(_gap(0.988, 0.628, 0.316, 0.405), scores={"constant": 0.63}),
        _of_three(_gap(0.9, 0.6, -0.1, 0.7, cluster="question+spoken", unit="items of spoken")),
        _of_three(_gap(0.9, 0.6, 0.1, 0.5), interaction_share=float("nan")),
        _of_three(_gap(0.9, 0.95, -0.08, -0.02)),
        _of_three(_gap(0.9, 0.9, -0.004, 0.004)),
        verdict(None, sides=SIDES, shared_by_all="written and one spoken"),
        verdict(None, sides=SIDES, interaction_share=0.7),
    ],
)
def test_no_verdict_of_three_sides_speaks_of_texts_and_images(found):
    assert not re.search(r"\b(texts?|images?|both)\b", " ".join((str(found), *found.warnings)))


def test_several_sides_are_to_grow_together():
    found = _of_three(_gap(0.9, 0.85, -0.1, 0.2, cluster="written+spoken", unit="items of spoken"))
    assert "items of spoken, and those of the other sides in proportion, would settle it" in str(
        found
    )
