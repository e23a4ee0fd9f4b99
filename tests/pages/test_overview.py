from __future__ import annotations

import numpy as np
import pytest
from samples import Staged, as_callable, make_examples

import emap_core as emap
from emap_core.errors import RunError
from emap_core.presentation.further_questions import further_questions
from emap_core.runs import Run


@pytest.fixture
def run_of(tmp_path, monkeypatch):
    """Return a function that computes a small run with data as given, in the app's folder."""
    monkeypatch.setenv("EMAP_RUNS", str(tmp_path))

    def run_of_(settings=None, **changes):
        return emap.compute(
            as_callable, make_examples(40, **changes), out=tmp_path / "run", **(settings or {})
        )

    return run_of_


def links(app):
    return [link.label.replace("\\", "") for link in app.get("page_link")]


def tables(app):
    return "\n".join(table.value.to_csv() for table in app.table)


def test_the_verdict_with_its_interval_stands_first_and_the_table_has_every_row(
    open_page, words, runs_with_one
):
    app = open_page("overview", run=runs_with_one.id)
    said = words(app)
    assert runs_with_one.verdict().sentence in said
    assert "leave-one-out" in said
    table = tables(app)
    for row in ("The model as it is", "EMAP, as published", "EMAP, leave-one-out", "Text only"):
        assert row in table
    accuracy = runs_with_one.table().loc["emap_leave_one_out", "accuracy"]
    assert f"{100 * accuracy:.1f}% [" in table
    assert "; p = " in table
    assert "400 of whole texts" in table
    assert "Population(" not in table and ", for new texts and new images" in table


def test_the_scores_stand_while_their_intervals_are_computed(open_page, runs_with_one, monkeypatch):
    def at_work(_):
        raise RunError("still at work")

    monkeypatch.setattr(Run, "has_intervals", False)
    monkeypatch.setattr(Run, "intervals", at_work)
    (table,) = open_page("overview", run=runs_with_one.id).table
    accuracy = runs_with_one.table().loc["emap_leave_one_out", "accuracy"]
    (shown,) = table.value.loc[table.value.iloc[:, 0] == "EMAP, leave-one-out", "Accuracy ↑"]
    assert shown == f"{100 * accuracy:.1f}%"


def test_each_cell_leads_to_just_its_examples(open_page, words, runs_with_one):
    app = open_page("overview", run=runs_with_one.id)
    examples = runs_with_one.examples()
    helped = int((examples["flip"] == "helped").sum())
    assert helped
    (link,) = [x for x in app.get("page_link") if "right only with interactions" in x.label]
    assert link.label.startswith(f"{helped:,} ")
    there = open_page("examples", run=runs_with_one.id, view="show.helped")
    assert f"{helped} of {len(examples)}: right only with interactions" in words(there)


def test_the_equivalence_margin_changes_the_verdict(open_page, words, runs_with_one):
    app = open_page("overview", run=runs_with_one.id)
    (asked,) = app.number_input
    assert asked.value == 1.0
    asked.set_value(50.0).run()
    assert app.query_params["view"] == "smallest.0.5"
    assert runs_with_one.verdict(0.5).sentence in words(app)


def test_without_labels_the_page_speaks_of_variance_alone(open_page, words, run_of):
    run = run_of(labels=None)
    app = open_page("overview", run=run.id)
    said = words(app)
    assert "no labels" in said
    assert "of the variance of the logits" in said
    assert "EMAP, as published" not in tables(app)
    assert not any("right only" in label for label in links(app))


def test_labels_of_one_class_and_sums_alone_say_what_they_lack(open_page, words, run_of):
    run = run_of({"keep": "sums"}, labels=[1] * 40)
    app = open_page("overview", run=run.id)
    assert "The grid was not kept" in words(app)
    assert "sums only" in tables(app)
    examples = open_page("examples", run=run.id)
    assert "This run kept only sums" in words(examples)


def test_one_output_and_one_image_still_make_a_page(
    open_page, words, tmp_path, monkeypatch, one_item_allowed
):
    monkeypatch.setenv("EMAP_RUNS", str(tmp_path))
    data = make_examples(12, n_texts=12, n_images=1, labels=[0, 1] * 6, task="binary")
    run = emap.compute(lambda t, v: as_callable(t, v)[:, :1] - 1, data, out=tmp_path / "one")
    for page in ("overview", "contributions", "examples"):
        assert words(open_page(page, run=run.id))
    app = open_page("overview", run=run.id)
    said = words(app)
    assert "Not measurable: all examples share one image." in said
    # Nothing on the page says how much interactions do.
    assert "Interactions carry" not in said
    assert not any("right only with" in label for label in links(app))


def test_a_run_of_the_sub_sampling_protocol_is_labelled_as_one(open_page, words, run_of):
    bad = ["row 3 of photos.csv: image *a*.jpg does not exist"]
    run = run_of({"method": "subsample", "subsample_size": 15, "repeats": 4}, skipped=bad)
    app = open_page("overview", run=run.id)
    assert "The protocol of published papers: EMAP on random sub-samples of 15 of 40" in words(app)
    shown = tables(app).replace("\\", "")
    assert "none; 4 random sub-samples of 15 of 40 examples" in shown
    assert "; 1 row was left out, see below" in shown
    assert bad in [list(listed.value.iloc[:, 0]) for listed in app.dataframe]
    deviation = run.spread.deviations["accuracy"]["gap_leave_one_out"]
    assert f"{100 * deviation:.1f}" in shown
    for page in ("modes", "recombine"):
        assert "scored random sub-samples" in words(open_page(page, run=run.id))
    for page in ("contributions", "examples", "report"):
        words(open_page(page, run=run.id))


def test_the_gap_of_each_answer_is_shown_when_it_is_asked_for(open_page, words, runs_with_one):
    app = open_page("overview", run=runs_with_one.id)
    assert "hold for all" not in words(app)
    app = open_page("overview", run=runs_with_one.id, view="by.label")
    n_answers = runs_with_one.examples().label.nunique()
    assert f"limits that hold for all {n_answers} gaps at once" in words(app)
    app = open_page("overview", run=runs_with_one.id, view="by.answer_type")
    assert "limits that hold for all 3 gaps at once" in words(app)


def test_a_metric_with_units_has_an_equivalence_margin_in_them(open_page, words, run_of):
    numbers = 1e-3 * np.random.default_rng(0).normal(size=(40, 3))
    run = run_of(
        {"metrics": ("root_mean_squared_error", "mean_absolute_error")},
        labels=numbers,
        task="regression",
    )
    app = open_page("overview", run=run.id)
    smallest = run.verdict().equivalence_margin
    assert smallest == pytest.approx(0.01 * run.table().loc["constant"].iloc[0])
    assert "1% of the best constant’s RMSE" in words(app)
    (asked,) = app.number_input
    assert asked.value == pytest.approx(smallest)
    asked.set_value(4 * smallest).run()
    kept = float(app.query_params["view"].removeprefix("smallest."))
    assert kept == pytest.approx(4 * smallest, rel=1e-5)
    assert run.verdict(kept).sentence in words(app)
    assert run.verdict(kept).sentence in words(
        open_page("report", run=run.id, view=f"smallest.{kept}")
    )


def test_what_leans_on_few_examples_is_told_under_the_verdict(open_page, words, runs_with_one):
    app = open_page("overview", run=runs_with_one.id)
    assert runs_with_one.warnings
    (box,) = app.warning
    for warning in runs_with_one.warnings:
        assert warning in box.value.replace("\\", "")


def test_every_interval_says_for_whom_it_holds(open_page, words, runs_with_one):
    app = open_page("overview", run=runs_with_one.id)
    population = runs_with_one.intervals().population
    # Below the verdict, under the table, at the shares and at the kinds.
    assert words(app).count(population) >= 4


def test_what_a_run_answers_beside_its_table_is_folded_away_below_it(
    open_page, words, tmp_path, monkeypatch
):
    monkeypatch.setenv("EMAP_RUNS", str(tmp_path))
    run = emap.compute(
        Staged(), make_examples(), density="encodings", n_resamples=100, out=tmp_path / "run"
    )
    app = open_page("overview", run=run.id)
    said, shown = words(app), tables(app)
    folded = {expander.label for expander in app.expander if not expander.proto.expanded}
    for one in further_questions(run):
        assert one.question in folded
        assert one.answer in said
        assert one.note in said
        for column, cells in one.columns.items():
            assert column in shown
            assert all(cell.replace("[", "\\[") in shown or cell in shown for cell in cells)


def test_blind_rows_stand_under_the_table_as_outside_the_data(
    open_page, words, tmp_path, monkeypatch
):
    monkeypatch.setenv("EMAP_RUNS", str(tmp_path))
    few = {"limit": 30}
    run = emap.compute("demo:concat", "demo:easy-vqa", data_args=few, out=tmp_path / "few")
    app = open_page("overview", run=run.id)
    assert "Outside the data" not in words(app)
    found = run.probe("blind-rows")
    app = open_page("overview", run=run.id)
    assert "Outside the data" in words(app)
    (table,) = [one.value for one in app.table if "Outside the data" in one.value]
    assert len(table) == 3 and f"{100 * found.rows['empty_text'].value:.1f}%" in table.iloc[2, 1]
