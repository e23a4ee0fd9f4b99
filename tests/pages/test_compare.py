from __future__ import annotations

import re
import shutil

import pytest

import emap_core as emap
from emap_core.inference.number_format import change
from emap_core.inference.verdict import IN_WORDS
from emap_core.presentation.comparison_tables import paired_gap
from emap_core.runs.checksums import renew_manifest_checksum
from emap_core.runs.folder import RunFolder


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    return [
        emap.compute(f"demo:{name}", "demo:easy-vqa", data_args={"limit": 60}, out=root / name)
        for name in ("concat", "additive")
    ]


@pytest.fixture
def runs_with_two(two_runs, monkeypatch):
    monkeypatch.setenv("EMAP_RUNS", str(two_runs[0].path.parent))
    return two_runs


def test_one_run_alone_says_what_to_do(open_page, words, runs_with_one):
    said = words(open_page("compare", run=runs_with_one.id))
    assert "Select at least one more run" in said
    assert "run a second model on the same data" in said


def test_runs_on_the_same_data_stand_side_by_side(open_page, words, runs_with_two):
    concat, _ = runs_with_two
    app = open_page("compare", run=concat.id)
    said = words(app)
    assert "measurably, by accuracy" in said
    table = app.dataframe[0].value
    assert set(table.model) == {"concat on easy-vqa", "additive on easy-vqa"}
    of_additive = table[table.model == "additive on easy-vqa"].iloc[0]
    assert of_additive["accuracy, difference"].startswith("0.0 points")
    assert f"additive on easy-vqa: {IN_WORDS['equivalent']}" in said
    assert f"concat on easy-vqa: {IN_WORDS[concat.verdict().kind]}" in said
    assert "Where the two differ" in said
    (changed,) = (table.value for table in app.table if "Model" in list(table.value.iloc[:, 0]))
    assert r"demo\:additive" in changed.to_string()
    assert "Model, fingerprint" not in changed.to_string(), "its weights are told"
    assert f"Of {len(concat.ids)} examples" in said


def test_the_examples_that_differ_most_come_first(open_page, runs_with_two):
    concat, _ = runs_with_two
    differences = open_page("compare", run=concat.id).dataframe[1].value
    assert len(differences) == 60
    assert (differences.difference.abs().diff().dropna() <= 1e-12).all()


def test_the_choice_of_runs_is_kept_in_the_url(open_page, words, runs_with_two):
    app = open_page("compare", run="concat")
    app.multiselect[0].unselect("additive").run()
    assert app.query_params["view"] == "runs.concat"
    assert "Select at least one more run" in words(app)


def test_a_link_to_runs_that_are_gone_shows_those_that_are_left(open_page, words, runs_with_two):
    app = open_page("compare", run="concat", view="runs.gone,concat,additive")
    assert set(app.multiselect[0].value) == {"concat", "additive"}
    words(app)


def test_it_says_whose_gap_is_larger_by_how_much(open_page, words, runs_with_two):
    concat, additive = runs_with_two
    app = open_page("compare", run=concat.id)
    found = paired_gap(concat, additive, "accuracy")
    (table,) = [t.value for t in app.table if "larger gap" in t.value.columns]
    assert f"{100 * found.difference:+.1f}" in table.to_csv().replace("\\", "")
    assert "Whose gap is larger" in words(app)
    assert "no interval" not in words(app)


def test_a_difference_without_an_interval_says_why(
    two_runs, open_page, words, tmp_path, monkeypatch
):
    monkeypatch.setenv("EMAP_RUNS", str(tmp_path))
    shutil.copytree(two_runs[0].path, tmp_path / "concat")
    work = {"limit": 60, "method": "sampled", "images_per_text": 4}
    emap.compute("demo:additive", "demo:easy-vqa", out=tmp_path / "sampled", **work)
    said = words(open_page("compare", run="concat"))
    assert "no interval and no p-value if a run scored only some pairs." in said


def test_runs_that_name_a_step_are_drawn_over_training(
    two_runs, open_page, words, tmp_path, monkeypatch
):
    monkeypatch.setenv("EMAP_RUNS", str(tmp_path))
    for step, run in zip((200, 100), two_runs, strict=True):
        shutil.copytree(run.path, tmp_path / f"at-{step}")
        folder = RunFolder(tmp_path / f"at-{step}")
        settings = {**folder.manifest()["settings"], "step": step}
        folder.update_manifest(settings=settings, name="fusion")
        renew_manifest_checksum(folder)
    gaps = [change(run.gap("accuracy").difference, "points") for run in two_runs[::-1]]
    said = words(open_page("compare", run="at-100"))
    assert "Interactions over training" in said
    assert re.search(
        rf"{re.escape(gaps[0])} \S+ \S+ at step 100 and {re.escape(gaps[1])} .* at step 200", said
    )
