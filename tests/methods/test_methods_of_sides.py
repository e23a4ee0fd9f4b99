"""Sampled and sub-sampled runs of three sides, held against their whole grid."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import emap_core as emap
from emap_core import cli
from emap_core.decomposition.design_of_sides import design_of_sides
from emap_core.decomposition.incomplete_sides import fit_sides
from emap_core.engine.noise import FEW
from emap_core.errors import DatasetError, SettingError
from emap_core.inference import evaluate
from emap_core.presentation.paper import methods_paragraph
from emap_core.presentation.tables import spread_table

SIDES = ("asked", "heard", "seen")
SIZES = (9, 30, 20)
N = 60
CLASSES = ["no", "yes", "maybe"]


def _numbers(side):
    """Return what the model knows of each item of a side."""
    return np.random.default_rng(SIDES.index(side)).normal(size=(SIZES[SIDES.index(side)], 4, 3))


def _fused(asked, heard, seen):
    """Return logits with terms of one, two and three sides, of shapes that fit together."""
    found = asked[..., 0, :] + heard[..., 0, :] + seen[..., 0, :]
    found = found + 0.5 * asked[..., 1, :] * heard[..., 1, :]
    return found + 0.5 * asked[..., 2, :] * heard[..., 2, :] * seen[..., 2, :]


class Model:
    """Looks up what it knows of an item by the number that the item ends with."""

    sides, classes, fingerprint = SIDES, CLASSES, "three sides"

    def __init__(self, breaks_at=None):
        self.breaks_at = breaks_at
        self.n_scored = self.n_calls = 0
        known = {side: _numbers(side) for side in SIDES}
        self.encoders = {
            side: lambda items, side=side: known[side][[int(one.split()[-1]) for one in items]]
            for side in SIDES
        }

    def score(self, *encoded):
        self.n_calls += 1
        if self.n_calls == self.breaks_at:
            raise ZeroDivisionError
        self.n_scored += len(encoded[0])
        return _fused(*encoded)


def _index(seed=0):
    rng = np.random.default_rng(seed)
    return [rng.permutation(np.arange(N) % size) for size in SIZES]


def data():
    index, rng = _index(), np.random.default_rng(1)
    items = {
        # Not in the order of their lengths.
        side: [f"{side} {'very ' * (number % 3)}{number}" for number in numbers]
        for side, numbers in zip(SIDES, index, strict=True)
    }
    logits = _fused(*(_numbers(side)[one] for side, one in zip(SIDES, index, strict=True)))
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    return {"sides": items, "labels": [CLASSES[label] for label in labels]}


def grid_of(index):
    """Return the whole grid with items numbered in order of first appearance, as in a run."""
    first = [numbers[np.sort(np.unique(numbers, return_index=True)[1])] for numbers in index]
    a, b, c = (_numbers(side)[order] for side, order in zip(SIDES, first, strict=True))
    return _fused(a[:, None, None], b[:, None], c)


def sampled(folder, model=None, **settings):
    chosen = {"images_per_text": 12, "metrics": ["accuracy"], **settings}
    return emap.compute(
        Model() if model is None else model, data(), out=folder, method="sampled", **chosen
    )


@pytest.mark.parametrize("batch_size", [None, 37])
def test_the_cells_of_the_design_are_scored_and_fitted(batch_size, tmp_path):
    run = sampled(tmp_path / "run", batch_size=batch_size)
    d = run.decomposition
    chosen = design_of_sides(d.index, SIZES, 12)
    expected = fit_sides(chosen, SIDES, grid_of(_index())[chosen.items]).decomposition
    for name in ("logits", "mean", "emap", "emap_leave_one_out", "pooled_shares"):
        np.testing.assert_allclose(getattr(d, name), getattr(expected, name), atol=1e-9)
    assert run.manifest["n_pairs_evaluated"] == len(chosen) < 12 * 30 + N + 1
    assert run.manifest["method"] == "sampled" and run.grid is None


def test_a_sample_that_was_cut_off_goes_on_to_the_same_bits(tmp_path):
    whole = sampled(tmp_path / "whole", batch_size=40)
    with pytest.raises(ZeroDivisionError):
        sampled(tmp_path / "run", Model(breaks_at=8), batch_size=40)
    again = Model()
    run = sampled(tmp_path / "run", again, batch_size=40)
    assert 0 < again.n_scored < run.manifest["n_pairs_evaluated"]
    assert run.decomposition.equals(whole.decomposition)
    assert run.gap("accuracy") == whole.gap("accuracy")


def test_a_sample_of_all_cells_is_the_exact_run(tmp_path):
    exact = emap.compute(Model(), data(), out=tmp_path / "exact")
    run = sampled(tmp_path / "run", images_per_text=9 * 20)
    assert run.manifest["method"] == "exact"
    assert run.decomposition.equals(exact.decomposition)


def test_too_few_cells_an_item_are_refused(tmp_path):
    with pytest.raises(SettingError, match="images_per_text is 2; expected at least 6 for 3 sides"):
        sampled(tmp_path / "run", images_per_text=2)


def test_until_doubles_the_cells_and_keeps_those_it_has(tmp_path):
    events, model = [], Model()
    run = sampled(
        tmp_path / "run",
        model,
        images_per_text=None,
        until=0.04,
        listener=events.append,
        batch_size=500,
    )
    told = [event for event in events if event["event"] == "sampled"]
    assert [event["images_per_text"] for event in told] == [16 * 2**i for i in range(len(told))]
    assert len(told) > 1
    assert told[-1]["reach"] <= 0.04 or run.manifest["n_pairs_evaluated"] == np.prod(SIZES)
    # The first ones are not among those that are drawn, and a few are scored twice.
    assert model.n_scored < run.manifest["n_pairs_evaluated"] + 8 * FEW


def test_a_sample_tells_what_it_knows_and_null_for_the_rest(tmp_path, capsys):
    exact = emap.compute(Model(), data(), out=tmp_path / "exact")
    run = sampled(tmp_path / "run", images_per_text=60)
    record = json.loads(_shown(capsys, run, "--json"))
    found = record["metrics"]["accuracy"]
    assert found["pairs"] is None and found["steps"] is None
    for row in ("full", "emap", "emap_leave_one_out", "asked_only", "heard_only", "constant"):
        assert found[row] is not None
    # All examples are the same: only the choice of cells makes the difference.
    error = run.statistics.pair_error(run.gap("accuracy")).half_width
    assert abs(run.gap("accuracy").difference - exact.gap("accuracy").difference) < 2 * error
    assert found["gap_leave_one_out_low"] < found["gap_leave_one_out"]
    shares = record["variance_shares"]["pooled"]
    assert shares["asked × heard"] is None and shares["asked × heard × seen"] is None
    for part in (*SIDES, "interaction"):
        of_grid = exact.record()["variance_shares"]["pooled"][part]
        assert shares[part] == pytest.approx(of_grid, abs=0.05)

    said = _shown(capsys, run)
    assert "Pairs of sides       not defined" in said
    assert "from 1,8" in said and "the choice of combinations" in said
    assert "of the 5,400 recombinations of an item of each side" in methods_paragraph(run)
    assert f"Interactions carry {100 * shares['interaction']:.1f}% of the variance" in said
    assert "nan" not in said.lower()
    report = tmp_path / "report.html"
    assert cli.main(["report", str(run.path), "--out", str(report)]) == 0
    assert "<td>nan</td>" not in report.read_text()
    assert "all interactions" in report.read_text()


def _shown(capsys, run, *flags):
    capsys.readouterr()
    assert cli.main(["show", str(run.path), *flags]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("name", ["shares", "waterfall", "gap", "contributions", "decisions"])
def test_figures_of_a_sample_show_all_interactions_as_one(name, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "sample-of-sides"
    run = sampled(folder)
    chart = run.figure(name)
    assert "nan" not in chart.to_json().lower()
    if name == "waterfall":
        assert "interaction" in chart.layout.yaxis.ticktext


def test_pairs_are_listed_of_two_sides_alone():
    with pytest.raises(DatasetError, match="the data has 3 sides, but pairs have two"):
        emap.pairs_to_score("demo:digits", 12)


def test_sub_samples_are_exact_runs_of_their_examples(tmp_path):
    settings = {"method": "subsample", "subsample_size": 25, "repeats": 3}
    run = emap.compute(Model(), data(), out=tmp_path / "run", **settings)
    again = emap.compute(Model(), data(), out=tmp_path / "again", batch_size=333, **settings)
    assert run.decomposition.equals(again.decomposition)
    d: Any = run.decomposition
    names = data()["labels"]
    used = np.array([int(name) for name in run.ids])
    table = []
    for examples in d.drawn:
        index = [np.unique(numbers[used[examples]], return_inverse=True)[1] for numbers in _index()]
        there = [np.unique(numbers[used[examples]]) for numbers in _index()]
        a, b, c = (_numbers(side)[items] for side, items in zip(SIDES, there, strict=True))
        grid = _fused(a[:, None, None], b[:, None], c)
        alone = emap.decompose(grid, index=dict(zip(SIDES, index, strict=True)))
        truth = np.array([CLASSES.index(names[i]) for i in used[examples]])
        left_out = [side for side, items in zip(SIDES, there, strict=True) if len(items) >= 20]
        rows = {
            "full": alone.logits,
            "pairs": alone.projection(2, leave_one_out=left_out),
            "emap": alone.emap,
            "emap_leave_one_out": alone.emap_leave_one_out,
            "asked_only": alone.only("asked"),
            "seen_only": alone.only("seen"),
        }
        table.append(
            [evaluate("accuracy", truth, scores, "multiclass") for scores in rows.values()]
            + alone.class_centred().sums_of_squares.sum(axis=1).tolist()
        )
    expected = np.mean(table, axis=0)
    np.testing.assert_allclose(run.table().loc[list(rows), "accuracy"], expected[: len(rows)])
    of_sets = run.shares.sums_of_squares.sum(axis=1)
    np.testing.assert_allclose(of_sets, expected[len(rows) :], rtol=1e-9)
    steps = run.intervals().steps["accuracy"]
    assert steps["full"].difference == pytest.approx(expected[0] - expected[1])
    over, *_ = (spread_table(run) or {}).values()
    assert over[:4] == [
        "The model as it is",
        "Pairs of sides",
        "EMAP, as published",
        "EMAP, leave-one-out",
    ]
    assert over[4:7] == ["Asked only", "Heard only", "Seen only"]


def test_sub_samples_of_everything_are_the_exact_run(tmp_path):
    exact = emap.compute(Model(), data(), out=tmp_path / "exact")
    run = emap.compute(
        Model(), data(), out=tmp_path / "run", method="subsample", subsample_size=N, repeats=2
    )
    np.testing.assert_allclose(run.table(), exact.table().loc[run.table().index], atol=1e-12)
    np.testing.assert_allclose(
        list(run.shares.pooled_terms.values()), list(exact.shares.pooled_terms.values()), atol=1e-12
    )


def test_sub_samples_that_do_not_fit_in_memory_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("emap_core.engine.gate.MOST_BYTES_OF_SUMS", 8 * 3 * 9 * 20 * 20 - 1)
    with pytest.raises(SettingError, match=r"sub-sample .*choose smaller sub-samples than"):
        emap.compute(Model(), data(), out=tmp_path / "run", method="subsample", subsample_size=N)


def test_the_command_samples_the_demo_of_three_sides(tmp_path, capsys):
    folder = str(tmp_path / "run")
    command = ["run", "--model", "demo:digits-joint", "--data", "demo:digits", "--out", folder]
    assert (
        cli.main(
            [*command, "--method", "sampled", "--images-per-text", "24", "--metric", "accuracy"]
        )
        == 0
    )
    said = capsys.readouterr().out
    assert "This model needs its sides together" in said
    capsys.readouterr()
    assert cli.main(["show", folder, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    # 24 for each of 100 written digits, and the cells of 600 examples.
    assert 24 * 100 <= record["n_pairs_evaluated"] <= 24 * 100 + 600
    # Of the whole grid it is 36.0 points.
    gap = record["metrics"]["accuracy"]
    assert gap["gap_leave_one_out_low"] < 0.36 < gap["gap_leave_one_out_high"]
    assert gap["gap_leave_one_out"] == pytest.approx(0.36, abs=0.06)
