"""Runs found among many; what is expected is written out by hand."""

import json

import pytest
from samples import Staged, make_examples

import emap_core as emap
from emap_core.cli import main
from emap_core.inference import metric
from emap_core.option_names import ORDERS
from emap_core.presentation.run_list import gap_in_words, in_order, known_gap, matching, tags_of
from emap_core.runs import list_runs

FACTS = {
    "a": {"model": "zeta", "dataset": "vqa", "created": "2026-01-03", "name": "Late fusion"},
    "b": {"model": "concat", "dataset": "emoji", "created": "2026-01-02", "tags": ["paper"]},
    "c": {"model": "beta", "dataset": "vqa", "created": "2026-01-01", "tags": ["Paper", "v2"]},
}


@pytest.fixture
def runs(tmp_path):
    emap.compute(Staged(), make_examples(), out=tmp_path / "a", keep="sums", n_resamples=100)
    written = json.loads((tmp_path / "a" / "run.json").read_text())
    for name, facts in FACTS.items():
        (tmp_path / name).mkdir(exist_ok=True)
        facts = {**facts, "created": f"{facts['created']}T10:00:00+00:00"}
        (tmp_path / name / "run.json").write_text(json.dumps({**written, **facts}))
    return list_runs(tmp_path)


def ids(runs):
    return "".join(run.id for run in runs)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", "abc"),
        ("LATE", "a"),
        ("paper", "bc"),
        ("paper vqa", "c"),
        ("2026-01-0", "abc"),
        ("2026-01-02", "b"),
        ("v2 emoji", ""),
    ],
)
def test_all_words_have_to_stand_somewhere(runs, words, found):
    assert ids(matching(runs, words)) == found


def test_every_order_is_one(runs):
    orders = {"newest": "abc", "oldest": "cba", "name": "cba", "model": "cba", "data": "bac"}
    # By title: beta on vqa, concat on emoji, Late fusion.
    assert {by: ids(in_order(runs, by)) for by in orders} == orders
    assert {*ORDERS} == {*orders, "gap"}
    assert tags_of(runs) == {"paper": 1, "Paper": 1, "v2": 1}


def test_the_largest_gap_comes_first_and_metrics_are_not_mixed(runs):
    run = emap.load_run(runs[0].path)
    assert known_gap(runs[0]) is None, "nobody waits for an interval to see a list"
    gap = run.gap(run.metrics[0])
    assert known_gap(runs[0]).difference == gap.difference
    gaps = {
        "a": gap.__class__(**{**vars(gap), "difference": 0.1}),
        "b": gap.__class__(**{**vars(gap), "difference": 0.3}),
        "c": gap.__class__(**{**vars(gap), "difference": 9.0, "metric": "log_loss"}),
    }
    asked = []

    def gap_of(info):
        asked.append(info.id)
        return gaps.get(info.id)

    assert ids(in_order(runs, "gap", gap_of)) == "bac"
    assert ids(in_order(runs, "name", gap_of)) == "cba" and len(asked) == 3
    del gaps["b"]
    assert ids(in_order(runs, "gap", gap_of))[-1] == "b"
    assert gap_in_words(gap).startswith(metric(gap.metric).label)


def test_the_terminal_lists_finds_archives_and_deletes(runs, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EMAP_RUNS", str(tmp_path))

    def said(*words):
        assert main(words) == 0
        told = capsys.readouterr()
        return told.out + told.err

    assert main(["annotate", "a", "b", "--tag", "May", "--untag", "paper"]) == 2
    assert "run 'a' has no tag 'paper'; it has none" in capsys.readouterr().err
    assert "Tags: May" in said("annotate", "a", "--tag", "May", "--comment", "one\ntwo")
    assert "Late fusion" in (listed := said("list", "--find", "may")) and "concat" not in listed
    assert "Comment: one two" in said("show", "a")
    assert said("archive", "a", "b").count("is archived") == 2
    assert "beta on vqa" in (listed := said("list")) and "Late" not in listed
    assert "Late fusion" in said("list", str(tmp_path), "--archived")
    assert f"none of 1 run in {tmp_path} has all these words" in said("list", "--find", "late")
    said("archive", "a", "--undo")
    assert "Late fusion" in said("list")
    assert main(["delete", "a"]) == 2
    assert "nobody can answer here; give --yes" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: "no")
    assert "Nothing was deleted" in said("delete", "a")
    assert main(["delete", "a", "nothing", "--yes"]) == 2 and (tmp_path / "a").exists()
    monkeypatch.setattr("builtins.input", lambda question: "yes")
    said("delete", "a", "b")
    assert [run.id for run in list_runs(tmp_path)] == ["c"]
