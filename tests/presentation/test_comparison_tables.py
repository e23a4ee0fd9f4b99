from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from samples import Staged, make_examples

import emap_core as emap
from emap_core.cli import main
from emap_core.errors import RunError, SettingError
from emap_core.inference import holm
from emap_core.presentation.compared_in_terminal import comparison
from emap_core.presentation.comparison_tables import (
    as_latex,
    as_markdown,
    comparison_table,
    differences_by_example,
    gap_differences,
    paired_gap,
    paired_p_value,
    readable_differences,
    readable_table,
    run_names,
    same_data,
    seeds_together,
    shared_metrics,
)


class Additive(Staged):
    fingerprint = "additive-1"

    def score(self, text_encodings, image_encodings):
        t, (v,) = text_encodings["t"], image_encodings
        return t[:, :3] + v[:, :3]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return [
        emap.compute(model, make_examples(), out=folder / name)
        for name, model in (("full", Staged()), ("additive", Additive()))
    ]


def test_the_table_holds_each_runs_scores_gaps_and_adjusted_p_values(runs):
    table = comparison_table(runs)
    assert list(table["run"]) == ["full", "additive"]
    for name in shared_metrics(runs):
        for row, run in zip(table.to_dict("records"), runs, strict=True):
            gap = run.gap(name)
            assert row[name] == gap.full == run.table().loc["full", name]
            assert row[f"{name}_emap"] == gap.projected
            assert row[f"{name}_gap"] == gap.difference
            assert row[f"{name}_gap_low"] <= row[f"{name}_gap"] <= row[f"{name}_gap_high"]
            assert row[f"{name}_p_value"] >= gap.p_value
            # Limits for both at once are as wide as a test at half the level asks for.
            assert row[f"{name}_gap_low_all"] <= gap.low <= gap.high <= row[f"{name}_gap_high_all"]
    assert table.accuracy_gap[1] == 0


def test_measurable_is_what_is_left_when_many_runs_are_compared(runs, monkeypatch):
    """One gap among eleven whose own interval just leaves out 0."""
    gap = runs[0].gap("accuracy")

    def with_p(p, low):
        made = replace(gap, p_value=p, difference=0.1, low=low, high=0.2 - low)
        run = type(runs[0])(runs[0]._folder, runs[0].manifest)
        monkeypatch.setattr(run, "gap", lambda *_: made)
        return run

    many = [with_p(0.0223, 0.01), *(with_p(0.6, -0.1) for _ in range(10))]
    table = comparison_table(many, ["accuracy"])
    assert table.accuracy_p_value[0] == pytest.approx(11 * 0.0223)
    assert not table.accuracy_measurable.any()
    assert comparison_table(many[:1], ["accuracy"]).accuracy_measurable.all()
    # Without a test the limits are widened for the number of runs.
    nan = float("nan")
    untested = [with_p(nan, 0.01), *(with_p(nan, -0.1) for _ in range(10))]
    assert not comparison_table(untested, ["accuracy"]).accuracy_measurable.any()
    assert comparison_table(untested[:1], ["accuracy"]).accuracy_measurable.all()
    clear = [with_p(0.0001, 0.06), *untested[1:]]
    assert list(comparison_table(clear, ["accuracy"]).accuracy_measurable[:2]) == [True, False]


def test_the_plain_projection_can_be_asked_for(runs):
    table = comparison_table(runs, ["accuracy"], "emap")
    assert table.accuracy_emap[0] == runs[0].gap("accuracy", "emap").projected


def test_names_are_as_short_as_they_can_be(runs):
    assert run_names(runs) == ["staged", "additive"]
    assert run_names([runs[0], runs[0]])[0] == "staged on examples"


def test_markdown_and_latex_hold_the_same_cells(runs):
    shown = readable_table(comparison_table(runs, ["accuracy"]), run_names(runs))
    markdown = as_markdown(shown)
    header, rule, first, second = markdown.strip().split("\n")
    assert header.startswith("| model | N | accuracy | accuracy, EMAP |")
    assert rule.count("---") == len(shown.columns)
    assert shown["accuracy"][0] in first
    assert second.startswith("| additive | 60 |")
    latex = as_latex(shown)
    assert r"\toprule" in latex
    assert shown["accuracy"][0].replace("%", r"\%") in latex


def test_names_that_mean_something_to_latex_or_markdown_stay_names(runs):
    shown = readable_table(comparison_table(runs, ["accuracy"]), ["a_b & 50%", "c|d"])
    assert r"a\_b \& 50\%" in as_latex(shown)
    assert r"c\|d" in as_markdown(shown)
    lines = readable_table(comparison_table(runs, ["accuracy"]), ["a\n\n# b", "c\r\nd"])
    assert "| a # b |" in as_markdown(lines) and "\nc d &" in as_latex(lines)
    ends = readable_table(comparison_table(runs, ["accuracy"]), ["[2cm] a", "*b"])
    # Behind the end of a line, LaTeX takes these for a distance and a star of its command.
    assert "\n{}[2cm] a &" in as_latex(ends) and "\n{}*b &" in as_latex(ends)


def test_csv_gives_back_every_number(runs):
    table = comparison_table(runs, ["accuracy"])
    rows = list(csv.DictReader(io.StringIO(table.to_csv(index=False))))
    assert float(rows[0]["accuracy_gap"]) == table.accuracy_gap[0]


def test_examples_are_matched_by_id_and_the_most_different_come_first(runs):
    differences = differences_by_example(*runs)
    first, second = (run.examples().set_index("id") for run in runs)
    assert len(differences) == 60
    sizes = differences.difference.abs().to_numpy()
    assert (np.diff(sizes) <= 0).all()
    row = differences.iloc[0]
    assert row.difference == second.interaction_size[row.id] - first.interaction_size[row.id]
    assert row.prediction_first == first.prediction[row.id]


def test_two_models_on_the_same_examples_are_tested_against_each_other(runs):
    assert paired_p_value(runs[0], runs[0], "accuracy") == 1
    assert 0 < paired_p_value(*runs, "accuracy") < 0.05  # type: ignore[call-arg]


def test_runs_on_other_data_are_not_tested_against_each_other(runs, tmp_path):
    other = emap.compute(Staged(), make_examples(n=40), out=tmp_path / "other")
    assert not same_data([runs[0], other])
    with pytest.raises(RunError, match="not about the same"):
        paired_p_value(runs[0], other, "accuracy")


def test_models_with_other_classes_are_not_tested_against_each_other(runs, tmp_path):
    class Wider(Staged):
        fingerprint = "wider-1"
        classes = (*runs[0].classes, "another")

        def score(self, text_encodings, image_encodings):
            scores = super().score(text_encodings, image_encodings)
            return np.concatenate([scores, scores[:, :1] - 9], axis=1)

    other = emap.compute(Wider(), make_examples(), out=tmp_path / "wider")
    with pytest.raises(RunError, match="the same classes"):
        paired_p_value(runs[0], other, "accuracy")


def test_the_gaps_of_two_runs_are_compared_on_the_same_examples(runs):
    found = paired_gap(*runs, "log_loss")  # type: ignore[call-arg]
    gaps = [run.gap("log_loss").difference for run in runs]
    assert (found.first, found.second) == pytest.approx(gaps)
    assert found.difference == pytest.approx(gaps[0] - gaps[1])
    # The second model is additive, so that its gap is 0 in every resample.
    own = runs[0].gap("log_loss")
    assert (found.low, found.high) == pytest.approx((own.low, own.high), rel=0.15)
    assert 0 < found.p_value <= 1


def test_all_pairs_of_runs_are_adjusted_for_their_number(runs, tmp_path):
    class Stronger(Staged):
        fingerprint = "stronger-1"

        def score(self, text_encodings, image_encodings):
            return 3 * super().score(text_encodings, image_encodings)

    third = emap.compute(Stronger(), make_examples(), out=tmp_path / "stronger")
    table = gap_differences([*runs, third], "log_loss")
    assert len(table) == 3
    assert (table.difference >= 0).all()
    single = {
        (a.id, b.id): paired_gap(a, b, "log_loss").p_value
        for a in (*runs, third)
        for b in (*runs, third)
        if a is not b
    }
    given = [single[pair] for pair in zip(table.larger, table.smaller, strict=True)]
    assert list(table.p_value) == pytest.approx(holm(given))
    words = readable_differences(table, {run.id: run.id for run in (*runs, third)}, "log_loss")
    assert list(words["larger gap"]) == list(table.larger)


def test_gaps_on_other_examples_are_not_compared(runs, tmp_path):
    other = emap.compute(Staged(), make_examples(seed=1), out=tmp_path / "other")
    with pytest.raises(RunError, match="not about the same labelled examples"):
        paired_gap(runs[0], other, "accuracy")


@pytest.mark.slow
def test_a_run_that_scored_a_part_of_the_pairs_has_no_paired_interval(runs, tmp_path):
    sampled = emap.compute(
        Additive(), make_examples(), out=tmp_path / "run", method="sampled", images_per_text=8
    )
    found = paired_gap(runs[0], sampled, "accuracy")
    assert found.second == sampled.gap("accuracy").difference
    assert np.isnan([found.low, found.high, found.p_value]).all()
    reason = "There is no interval and no p-value if a run scored only some pairs."
    assert reason in comparison([runs[0], sampled])
    assert "no interval" not in comparison(runs)


def test_seeds_of_one_model_are_put_together(runs):
    found = seeds_together(runs, "accuracy")
    gaps = [run.gap("accuracy").difference for run in runs]
    assert found.mean == pytest.approx(np.mean(gaps))
    assert found.spread == pytest.approx(np.std(gaps, ddof=1))
    assert found.low < found.mean < found.high
    assert found.population == "for new seeds, new texts and new images"
    with pytest.raises(SettingError, match="is not a mean over examples"):
        seeds_together(runs, "f1_macro")


def test_runs_of_two_and_of_three_sides_stand_side_by_side_and_are_not_matched(tmp_path):
    values = np.random.default_rng(0).integers(-3, 4, (60, 3))
    labels = ["no" if row.prod() <= 0 else "yes" for row in values]
    rest = {"labels": labels, "classes": ["no", "yes"]}
    sides = dict(
        zip(("premise", "hypothesis", "context"), values.astype(str).T.tolist(), strict=True)
    )

    def model(*given):
        product = np.prod([np.array(one, dtype=float) for one in given], axis=0)
        return np.stack([-product, product + 0.1], axis=1)

    three, other = (
        emap.compute(model, {"sides": sides, **rest}, fingerprint=name, out=tmp_path / name)
        for name in ("three", "other")
    )
    fewer = {name: sides[name] for name in ("premise", "hypothesis")}
    two = emap.compute(model, {"sides": fewer, **rest}, fingerprint="two", out=tmp_path / "two")
    assert not gap_differences([three, other], "accuracy")["difference"].any()
    shown = readable_table(comparison_table([two, three]), run_names([two, three]))
    assert not shown.isna().any().any() and len(shown) == 2
    said = comparison([two, three])
    assert "different sides (premise and hypothesis; premise and hypothesis and context)" in said
    assert "own combination" in said and "new texts" not in said
    assert "for new premises and new hypotheses or for new items of premise, hypo" in said


def test_the_terminal_compares_runs_as_the_page_does(runs, capsys):
    paths = [str(run.path) for run in runs]
    assert main(["compare", *paths]) == 0
    said = capsys.readouterr().out
    shown = readable_table(comparison_table(runs), run_names(runs))
    for cell in (*shown.columns, *shown.iloc[0]):
        assert cell in said
    assert (
        readable_differences(
            gap_differences(runs, "accuracy"),
            dict(zip((r.id for r in runs), run_names(runs), strict=True)),
            "accuracy",
        ).iloc[0, 2]
        in said
    )
    assert main(["compare", *paths, "--form", "markdown"]) == 0
    assert capsys.readouterr().out.startswith(as_markdown(shown))
    assert main(["compare", paths[0]]) == 2
    assert "1 run is not enough; name at least two" in capsys.readouterr().err
