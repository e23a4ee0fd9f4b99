from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

import emap_core as emap
from emap_core.inference import (
    PROJECTIONS,
    Intervals,
    evaluate,
    intervals,
    score_table,
)
from emap_core.inference.resamples.limits import estimate, rule_of_three, variance_of
from emap_core.inference.resamples.population import population_of, population_of_items


def _sample(n=40, n_classes=3, strength=0.5, seed=0):
    rng = np.random.default_rng(seed)
    text, image = rng.normal(size=(2, n, n_classes))
    mixed = rng.normal(size=(n, n, n_classes))
    grid = text[:, None] + image[None] + strength * mixed
    decomposition = emap.decompose(grid)
    labels = (decomposition.logits + 0.3 * rng.gumbel(size=(n, n_classes))).argmax(axis=1)
    return grid, decomposition, labels


def test_everything_in_the_table_has_an_interval_around_its_value():
    grid, decomposition, labels = _sample()
    names = ["accuracy", "f1_macro", "log_loss", "roc_auc"]
    found = intervals(decomposition, labels, "multiclass", names, grid=grid, n_resamples=60)
    table = score_table(decomposition, labels, "multiclass", names)
    for name in names:
        for row in PROJECTIONS:
            interval = found.rows[name][row]
            assert interval.value == table.loc[row, name]
            assert interval.low <= interval.value <= interval.high
        for row in ("emap", "emap_leave_one_out"):
            gap = found.gaps[name][row]
            sign = -1 if name == "log_loss" else 1
            assert gap.difference == pytest.approx(
                sign * (table.loc["full", name] - table.loc[row, name])
            )
            assert gap.low < gap.difference < gap.high
            assert 0 < gap.p_value <= 1
            assert "computed anew" in gap.method
    for part, share in zip(
        ("text", "image", "interaction"), decomposition.pooled_shares, strict=True
    ):
        assert found.pooled_shares[part].low < share < found.pooled_shares[part].high
        assert len(found.shares[part]) == 3


def test_the_interval_of_the_full_model_is_that_of_a_proportion():
    grid, decomposition, labels = _sample(n=300, n_classes=2)
    found = intervals(decomposition, labels, "multiclass", ["accuracy"], grid=grid)
    interval = found.rows["accuracy"]["full"]
    share = interval.value
    half = 1.96 * np.sqrt(share * (1 - share) / 300)
    assert interval.high - interval.low == pytest.approx(2 * half, rel=0.08)


def test_the_interval_of_a_mean_of_clusters_is_that_of_the_clusters():
    rng = np.random.default_rng(4)
    n_images, copies = 60, 5
    image = np.repeat(np.arange(n_images), copies)
    text = np.arange(n_images * copies)
    grid = np.repeat(rng.normal(size=(1, n_images, 1)) + 0.8, len(text), axis=0)
    decomposition = emap.decompose(grid, text, image)
    labels = np.ones(n_images * copies, dtype=int)
    found = intervals(decomposition, labels, "binary", ["log_loss"], grid=grid)
    assert found.cluster == "image"
    interval = found.rows["log_loss"]["full"]
    losses = np.log1p(np.exp(-grid[0, :, 0]))
    half = stats.t.ppf(0.975, n_images - 1) * stats.sem(losses)
    assert interval.high - interval.low == pytest.approx(2 * half, rel=0.08)
    none = intervals(decomposition, labels, "binary", ["log_loss"], grid=grid, cluster="none")
    narrow = none.rows["log_loss"]["full"]
    assert (narrow.high - narrow.low) < 0.6 * (interval.high - interval.low)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["accuracy", "log_loss", "roc_auc"])
def test_interval_and_test_never_contradict_each_other(name):
    seen = set()
    for seed in range(15):
        grid, decomposition, labels = _sample(n_classes=2, strength=0.6, seed=seed)
        found = intervals(decomposition, labels, "multiclass", [name], grid=grid, n_resamples=60)
        gap = found.gaps[name]["emap_leave_one_out"]
        seen.add(gap.low <= 0 <= gap.high)
        assert (gap.low <= 0 <= gap.high) == (gap.p_value >= 0.05)
    assert seen == {True, False}


def test_both_sides_drawn_has_the_variance_of_a_crossed_design():
    # Each text with each image: the variance of the mean is known from the effects of both.
    rng = np.random.default_rng(12)
    n_texts, n_images = 25, 40
    text, image = np.divmod(np.arange(n_texts * n_images), n_images)
    losses = rng.normal(size=(n_texts, 1)) + rng.normal(size=(1, n_images))
    grid = losses[:, :, None] + rng.normal(size=(n_texts, n_images, 1))
    decomposition = emap.decompose(grid, text, image)
    targets = np.zeros((n_texts * n_images, 1))
    found = intervals(decomposition, targets, "regression", ["r2"], grid=grid, n_resamples=30)
    assert found.cluster == "both"
    assert found.population == "for new texts and new images"
    labels = np.ones(n_texts * n_images, dtype=int)
    found = intervals(decomposition, labels, "binary", ["log_loss"], n_resamples=3000)
    each = np.log1p(np.exp(-decomposition.logits[:, 0])).reshape(n_texts, n_images)
    variance = each.mean(axis=1).var(ddof=1) / n_texts + each.mean(axis=0).var(ddof=1) / n_images
    variance -= each.var(ddof=1) / each.size
    row = found.rows["log_loss"]["full"]
    reach = stats.t.ppf(0.975, n_texts - 1)
    assert (row.high - row.low) / 2 == pytest.approx(reach * np.sqrt(variance), rel=0.05)


def test_an_additive_model_has_no_gap_and_no_doubt():
    _, decomposition, labels = _sample(strength=0.0)
    grid = decomposition.row_mean[:, None] + decomposition.column_mean[None] - decomposition.mean
    found = intervals(decomposition, labels, "multiclass", ["accuracy"], grid=grid, n_resamples=40)
    gap = found.gaps["accuracy"]["emap_leave_one_out"]
    assert (gap.difference, gap.low, gap.high, gap.p_value) == (0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize("seed", range(4))
def test_what_losses_of_an_additive_model_round_is_no_gap(seed):
    grid, decomposition, labels = _sample(strength=0.0, seed=seed)
    found = intervals(decomposition, labels, "multiclass", ["log_loss"], grid=grid, n_resamples=100)
    for gap in found.gaps["log_loss"].values():
        assert (gap.low, gap.difference, gap.high) == (0.0, 0.0, 0.0)
        assert gap.p_value == 1.0


def test_no_difference_seen_is_not_no_difference():
    # Interactions that change no decision on these examples may change some on others.
    _, decomposition, labels = _sample(n=50, strength=1e-4)
    found = intervals(decomposition, labels, "multiclass", ["accuracy"], n_resamples=40)
    gap = found.gaps["accuracy"]["emap_leave_one_out"]
    assert gap.difference == 0.0
    most = stats.t.ppf(0.975, 49) ** 2
    assert (gap.low, gap.high) == pytest.approx((-most / (50 + most), most / (50 + most)))
    assert gap.p_value == 1.0
    pairs = population_of_items(np.arange(50), np.repeat(np.arange(25), 2))
    assert rule_of_three(np.zeros(50, dtype=bool), pairs) == 3 / 25
    assert rule_of_three(np.arange(50) < 3, population_of(decomposition)) == 0.0


def test_without_labels_there_are_shares_alone():
    grid, decomposition, _ = _sample()
    found = intervals(decomposition, None, "multiclass", grid=grid, centred=True, n_resamples=30)
    assert found.rows == found.gaps == {}
    centred = decomposition.class_centred().pooled_shares[2]
    assert found.pooled_shares["interaction"].value == centred
    assert found.pooled_shares["interaction"].low < centred


def test_without_the_grid_shares_have_no_limits():
    _, decomposition, labels = _sample()
    found = intervals(decomposition, labels, "multiclass", n_resamples=30)
    share = found.pooled_shares["interaction"]
    assert share.value == pytest.approx(decomposition.pooled_shares[2])
    assert np.isnan(share.low)
    assert any("not kept" in note for note in found.notes)


def test_two_examples_and_a_single_text_give_defined_results():
    grid = np.array([[[1.0], [0.2]], [[-0.3], [-2.0]]])
    names = ["accuracy", "roc_auc"]
    two = intervals(emap.decompose(grid), [1, 0], "binary", names, grid=grid, n_resamples=50)
    gap = two.gaps["accuracy"]["emap_leave_one_out"]
    assert gap.low <= gap.difference <= gap.high
    assert any("single text or image" in note for note in two.notes)
    assert any("ROC AUC is undefined in" in note for note in two.notes)

    line = np.random.default_rng(0).normal(size=(1, 6, 1))
    single = emap.decompose(line, [0] * 6, range(6))
    found = intervals(single, [0, 1] * 3, "binary", ["accuracy"], grid=line, n_resamples=20)
    alone = found.gaps["accuracy"]["emap_leave_one_out"]
    assert np.isnan(alone.difference)
    assert np.isnan(alone.p_value)
    assert "undefined" in alone.method
    assert np.isfinite(found.gaps["accuracy"]["emap"].high)


def test_one_class_only_leaves_a_ranking_without_gap():
    grid, decomposition, _ = _sample(n=10, n_classes=1)
    found = intervals(decomposition, [1] * 10, "binary", grid=grid, n_resamples=20)
    assert np.isnan(found.gaps["roc_auc"]["emap_leave_one_out"].difference)
    assert np.isnan(found.gaps["roc_auc"]["emap_leave_one_out"].p_value)
    assert np.isfinite(found.gaps["accuracy"]["emap_leave_one_out"].low)


def test_the_other_tasks_have_intervals_too():
    rng = np.random.default_rng(3)
    grid = rng.normal(size=(30, 30, 2))
    decomposition = emap.decompose(grid)
    several = (decomposition.logits + rng.normal(size=(30, 2)) > 0).astype(int)
    numbers = decomposition.logits + rng.normal(size=(30, 2))
    for task, labels in (("multilabel", several), ("regression", numbers)):
        found = intervals(decomposition, labels, task, grid=grid, n_resamples=30)
        for name, gaps in found.gaps.items():
            gap = gaps["emap_leave_one_out"]
            assert gap.low < gap.difference < gap.high
            assert gap.full == evaluate(name, labels, decomposition.logits, task)


def test_the_same_seed_gives_the_same_record_and_survives_json():
    grid, decomposition, labels = _sample()
    first, again, other = (
        intervals(decomposition, labels, "multiclass", grid=grid, n_resamples=25, seed=seed)
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other
    kept = json.loads(json.dumps({"metrics": [], **first.to_json()}, allow_nan=False))
    assert Intervals.from_json(kept).to_json() == first.to_json()


def test_limits_take_off_what_is_counted_twice():
    replicates = np.random.default_rng(0).normal(scale=2.0, size=4000)
    many, few = (population_of_items(np.arange(n), np.arange(n)) for n in (10_000, 4))
    plain = estimate(0.0, [variance_of(replicates, 10_000)], many)
    less = estimate(0.0, [variance_of(replicates, 10_000, flips=1.0)], many)
    assert plain.high == pytest.approx(2 * 1.96, rel=0.05)
    assert less.high == pytest.approx(np.sqrt(3) * 1.96, rel=0.05)
    four = estimate(0.0, [variance_of(replicates, 4)], few)
    assert four.high == pytest.approx(2 * np.sqrt(4 / 3) * stats.t.ppf(0.975, 3), rel=0.05)
    assert np.isnan(estimate(0.0, [variance_of(np.full(5, np.nan), 9)], many).low)


def _answers_that_need_both(shared, rng):
    """Return grid, numbers of texts and images, and labels; the gap of the population is .1.

    A fifth of the texts ask whether text and image have the same sign, the others for that of
    the text. No projection on texts and images says more than the latter, which is wrong for half
    of a fifth.
    """
    each = np.arange(400)
    text, image = each % 40, each
    if shared == "both":
        image = (text + rng.permutation(40)[each // 40]) % 40
    x, z = rng.choice([-1.0, 1.0], 40), rng.choice([-1.0, 1.0], image.max() + 1)
    asks_for_both = np.where(rng.random(40) < 0.2, 2.0, 0.0)
    grid = 0.9 * x[:, None] + (asks_for_both * x)[:, None] * z
    return grid, text, image, (grid[text, image] > 0).astype(int)


@pytest.mark.slow
@pytest.mark.parametrize("shared", ["texts", "both"])
def test_where_texts_repeat_limits_hold_the_gap_and_those_of_single_examples_do_not(shared):
    held = {"auto": 0, "none": 0}
    for number in range(40):
        rng = np.random.default_rng([41, number])
        grid, text, image, labels = _answers_that_need_both(shared, rng)
        decomposition = emap.decompose(grid, text, image)
        for cluster in held:
            gap = intervals(
                decomposition, labels, "binary", ["accuracy"], grid=grid, cluster=cluster,
                n_resamples=90, seed=number,
            ).gaps["accuracy"]["emap_leave_one_out"]  # fmt: skip
            held[cluster] += gap.low <= 0.1 <= gap.high
    assert held["auto"] >= 36
    assert held["none"] <= 30
