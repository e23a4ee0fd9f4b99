import shutil

import pytest
from samples import Staged, make_examples

import emap_core as emap
from emap_core.presentation.report import report_html
from emap_core.presentation.run_titles import file_name, run_title, run_titles, title_beside_others


def manifest(**changes):
    return {"model": "clip", "dataset": "photos", "n_examples": 50, "method": "exact"} | changes


def test_a_run_alone_has_a_short_label():
    assert run_titles({"a": manifest()}) == {"a": "clip on photos"}
    assert run_title(manifest(name="best so far")) == "best so far"


def test_runs_of_one_title_say_first_what_differs():
    runs = {
        "a": manifest(provenance={"model": {"spec": "hf:clip", "arguments": {"seed": 1}}}),
        "b": manifest(provenance={"model": {"spec": "hf:clip", "arguments": {"seed": 2}}}),
        "c": manifest(n_examples=200),
    }
    labels = run_titles(runs)
    assert labels["a"] == "seed=1, hf:clip · clip on photos" or labels["a"].startswith("seed=1")
    assert labels["b"].startswith("seed=2")
    assert len(set(labels.values())) == 3


def test_an_argument_that_only_later_runs_have_comes_before_the_date():
    first = manifest(created="2026-01-01T10:00", provenance={"model": {"spec": "m:load"}})
    second = manifest(
        created="2026-01-02T10:00",
        provenance={"model": {"spec": "m:load", "arguments": {"kind": "additive"}}},
    )
    told = {"a": "clip on photos", "b": "kind=additive · clip on photos"}
    assert run_titles({"a": first, "b": second}) == told
    assert run_titles({"b": second, "a": first}) == told


def test_settings_weights_dates_and_at_last_the_id_tell_runs_apart():
    by_method = run_titles({"a": manifest(), "b": manifest(method="sampled")})
    assert by_method == {"a": "exact · clip on photos", "b": "sampled · clip on photos"}
    by_weights = run_titles(
        {i: manifest(fingerprints={"model": i * 20}) for i in ("a", "b")},
    )
    assert by_weights["a"] == "weights aaaaaaaa · clip on photos"
    assert run_titles({"a": manifest(), "b": manifest()}) == {
        "a": "clip on photos · a",
        "b": "clip on photos · b",
    }


def test_runs_of_one_name_are_told_apart_too():
    labels = run_titles({i: manifest(name="mine", created=f"2026-01-0{i}T10:00") for i in "12"})
    assert labels == {"1": "2026-01-01 10:00 · mine", "2": "2026-01-02 10:00 · mine"}


def test_a_fact_that_tells_no_more_runs_apart_stands_in_no_label():
    arguments = ({"limit": 60}, {"limit": 60}, {"limit": 80})
    labels = run_titles(
        {
            name: manifest(
                provenance={"data": {"arguments": arguments[i]}},
                n_examples=arguments[i]["limit"],
                settings={"batch_size": 2**i},
            )
            for i, name in enumerate("abc")
        }
    )
    assert labels == {
        "a": "limit=60, batch size 1 · clip on photos",
        "b": "limit=60, batch size 2 · clip on photos",
        "c": "limit=80, batch size 4 · clip on photos",
    }


@pytest.mark.slow
def test_a_report_has_the_label_that_the_run_has_among_others(tmp_path):
    data = make_examples(24, 6, 8)
    run = emap.compute(Staged(), data, out=tmp_path / "a", n_resamples=100)
    assert f"<h1>{title_beside_others(run)}</h1>" in report_html(run)
    shutil.copytree(run.path, tmp_path / "b")
    emap.annotate_run(tmp_path / "b", name="late fusion")
    assert title_beside_others(emap.Run.load(tmp_path / "b")) == "late fusion"
    shutil.copytree(run.path, tmp_path / "c")
    emap.annotate_run(tmp_path / "c", name="late fusion")
    label = title_beside_others(emap.Run.load(tmp_path / "c"))
    assert label == "late fusion · c"
    assert label in report_html(emap.Run.load(tmp_path / "c"))


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("seed=1 · clip on photos", "seed=1-clip-on-photos-table.csv"),
        ("../../etc/passwd\x00", "etc-passwd-table.csv"),
        ("كرة 是", "كرة-是-table.csv"),
        ("???", "run-table.csv"),
        ("x" * 500, "x" * 80 + "-table.csv"),
    ],
)
def test_a_file_is_named_after_its_run_whatever_the_run_is_called(label, name):
    assert file_name(label, "table.csv") == name
