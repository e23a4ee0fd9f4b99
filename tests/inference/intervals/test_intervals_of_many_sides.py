from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import special

import emap_core as emap
from emap_core.inference import Intervals, intervals, score_table

SIDES = ("question", "written", "spoken")
SIZES = (6, 30, 24)


def digits(n=180, noise=0.3, seed=0):
    """Return a grid of all orders of interaction, its decomposition, and labels."""
    rng = np.random.default_rng(seed)
    a, b, c = (rng.normal(size=size) for size in SIZES)
    parts = {
        1: a[:, None, None] + b[:, None] + c,
        2: (a[:, None] * b)[:, :, None] + a[:, None, None] * c,
        3: a[:, None, None] * b[:, None] * c,
    }
    index = {k: rng.permutation(n) % size for k, size in zip(SIDES, SIZES, strict=True)}
    grids = {3: parts[1] + parts[2] + parts[3], 2: parts[1] + parts[2], 1: parts[1]}
    own = tuple(index.values())
    labels = (grids[3][own] + noise * rng.normal(size=n) > 0).astype(int)
    return grids, {k: emap.decompose(g, index=index) for k, g in grids.items()}, labels


def test_steps_split_what_the_model_does_better_than_a_constant():
    grids, decompositions, labels = digits()
    found = intervals(
        decompositions[3], labels, "binary", ["accuracy", "log_loss"], grid=grids[3],
        cluster="written+spoken", n_resamples=60,
    )  # fmt: skip
    table = score_table(decompositions[3], labels, "binary", ["accuracy", "log_loss"])
    for name, sign in (("accuracy", 1.0), ("log_loss", -1.0)):
        steps = found.steps[name]
        assert [(upper, gap.projection) for upper, gap in steps.items()] == [
            ("emap_leave_one_out", "constant"),
            ("pairs", "emap_leave_one_out"),
            ("full", "pairs"),
        ]
        total = table.loc["full", name] - table.loc["constant", name]
        assert sum(gap.difference for gap in steps.values()) == pytest.approx(sign * total)
        for upper, gap in steps.items():
            assert gap.full == pytest.approx(table.loc[upper, name])
            assert gap.low < gap.difference < gap.high
        assert steps["full"].to_json() == found.gaps[name]["pairs"].to_json()
        assert list(found.rows[name]) == list(table.index)
    assert found.population == "for these 6 items of question and new items of written and spoken"
    kept = Intervals.from_json(json.loads(json.dumps(found.to_json())))
    assert kept.to_json() == found.to_json()


def test_shares_are_those_of_every_set_of_sides():
    grids, decompositions, labels = digits()
    d = decompositions[3]
    found = intervals(d, labels, "binary", [], grid=grids[3], n_resamples=70)
    assert list(found.shares) == [
        *SIDES, "question × written", "question × spoken", "written × spoken",
        "question × written × spoken", "interaction",
    ]  # fmt: skip
    for some, share in d.terms.items():
        assert found.shares[" × ".join(some)][0].value == pytest.approx(share[0])
    assert found.pooled_shares["interaction"].value == pytest.approx(d.pooled_shares[-1])
    assert found.steps == {}
    assert all(share.low < share.high for share in found.pooled_shares.values())


@pytest.mark.parametrize("order", [1, 2])
def test_a_model_of_an_order_loses_nothing_without_higher_ones(order):
    grids, decompositions, labels = digits()
    found = intervals(
        decompositions[order], labels, "binary", ["accuracy"], grid=grids[order], n_resamples=70
    )
    last = found.steps["accuracy"]["full"]
    assert (last.difference, last.low, last.high, last.p_value) == (0.0, 0.0, 0.0, 1.0)
    before = found.steps["accuracy"]["pairs"]
    assert (before.difference == 0.0) == (order == 1)


def test_two_sides_have_no_steps():
    rng = np.random.default_rng(0)
    grid = rng.normal(size=(12, 12, 2))
    found = intervals(emap.decompose(grid), rng.integers(0, 2, 12), "multiclass", ["accuracy"])
    assert found.steps == {} and "steps" not in found.to_json()
    assert list(found.shares) == ["text", "image", "interaction"]


def test_without_a_grid_the_scores_alone_are_drawn():
    _, decompositions, labels = digits()
    found = intervals(decompositions[3], labels, "binary", ["accuracy"], n_resamples=70)
    gap = found.gaps["accuracy"]["pairs"]
    assert gap.low < gap.difference < gap.high
    assert "since the grid was not kept" in gap.method
    assert np.isnan(found.pooled_shares["interaction"].low)


@pytest.mark.slow
def test_where_all_sides_repeat_limits_hold_the_accuracy_and_those_of_single_examples_do_not():
    # A model that is right where noise of its item on each side, and its own, sum to less than 0.6.
    sizes, n, n_sets = (30, 32, 34), 480, 40
    truth = float(special.ndtr(0.6 / np.sqrt(1.0 + 3 * 0.5**2)))
    held = {"auto": 0, "none": 0}
    for number in range(n_sets):
        rng = np.random.default_rng([5, number])
        index = {k: rng.integers(0, size, n) for k, size in zip(SIDES, sizes, strict=True)}
        of_items = sum(0.5 * rng.normal(size=100)[items] for items in index.values())
        right = of_items + rng.normal(size=n) < 0.6
        logit = rng.normal(size=sizes)
        d = emap.decompose(logit, index=index)
        labels = np.where(right, d.logits[:, 0] > 0, d.logits[:, 0] <= 0).astype(int)
        for cluster in held:
            row = intervals(
                d, labels, "binary", ["accuracy"], cluster=cluster, n_resamples=140, seed=number
            ).rows["accuracy"]["full"]
            held[cluster] += row.low <= truth <= row.high
    # Of 40 data sets, limits that hold 95% hold 34 or fewer in one trial of a hundred.
    assert held["auto"] > 34
    assert held["none"] < 30
