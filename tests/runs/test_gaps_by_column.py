import numpy as np
import pandas as pd
import pytest
from samples import Staged, make_examples

import emap_core as emap
from emap_core.cli import main
from emap_core.datasets.sample import sample
from emap_core.engine import kept_columns
from emap_core.errors import DatasetError, RunError, SettingError
from emap_core.runs import gaps_by_column
from emap_core.runs.checksums import check_run
from emap_core.runs.gaps_by_column import MOST_GROUPS, gaps_by, groupable
from emap_core.runs.slices import Filter


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    columns = pd.DataFrame(
        {
            "answer_type": ["yes/no", "number", None] * 20,
            "n_words": [2, 3.0] * 30,
            "long": ["x" * 500] * 60,
            "number": range(60),
            "file": ["/srv/somebody/a.png", "b.png"] * 30,
        },
        index=range(60, 0, -1),
    )
    data = make_examples(columns=columns)
    return emap.compute(Staged(), data, out=tmp_path_factory.mktemp("runs") / "run")


def test_the_gap_by_label_is_the_difference_of_the_scores_in_each_group(run):
    table = run.table(by="label")
    examples = run.examples()
    assert list(table.index) == list(examples.label.value_counts().index)
    for name, row in table.iterrows():
        group = examples[examples.label == name]
        right, without = group.correct.mean(), group.correct_emap_leave_one_out.mean()
        assert (row.n_examples, row.full) == (len(group), pytest.approx(right))
        assert row.gap == pytest.approx(right - without)
        assert row.gap_low <= row.gap <= row.gap_high
    weights = table.n_examples / table.n_examples.sum()
    assert (weights * table.gap).sum() == pytest.approx(run.gap("accuracy").difference)


def test_groups_can_be_given_by_hand(run):
    names = np.where(np.arange(60) < 20, "first", "rest")
    assert run.table(by=names).n_examples.to_dict() == {"rest": 40, "first": 20}
    with pytest.raises(SettingError, match="by has 3 names, but the run has 60 examples"):
        run.table(by=["a", "b", "c"])
    with pytest.raises(SettingError, match="by is 'colour'; choose one of label"):
        run.table(by="colour")


def test_other_columns_of_the_data_are_kept_to_group_by(run, capsys):
    assert list(run.columns) == ["answer_type", "n_words", "long", "number"]
    assert run.columns["answer_type"][:3].tolist() == ["yes/no", "number", ""]
    assert run.columns["n_words"][:2].tolist() == ["2", "3"]
    assert any("because they name folders of this machine: file" in note for note in run.notes)
    assert run.table(by="answer_type").n_examples.to_dict() == {
        "yes/no": 20,
        "number": 20,
        "none": 20,
    }
    assert groupable(run) == ["answer_type", "n_words", "number"]
    assert emap.load_run(run.path).columns.equals(run.columns)
    assert main(["show", str(run.path), "--by", "answer_type"]) == 0
    assert "yes/no" in capsys.readouterr().out
    assert main(["show", str(run.path), "--by", "colour"]) == 2
    said = capsys.readouterr().err
    assert "choose one of label, prediction, kind, answer_type, n_words, long, number" in said
    assert check_run(run.path) == []
    examples = run.examples()
    assert Filter(where="answer_type=number").mask(examples).sum() == 20
    assert examples["data.n_words"][:2].tolist() == ["2", "3"]


def test_columns_are_kept_within_a_budget_and_groups_are_not_too_many(monkeypatch):
    monkeypatch.setattr(kept_columns, "BUDGET", 1_000)
    data = make_examples(columns=pd.DataFrame({"large": ["x" * 50] * 60, "small": ["y"] * 60}))
    columns, notes = kept_columns.kept_columns(data)
    assert list(columns) == ["small"]
    assert notes == ["columns not kept because together they would exceed 1 kB: large"]
    names = [str(number) for number in range(MOST_GROUPS + 1)]
    with pytest.raises(SettingError, match="column 'n' has 101 different values; choose one with"):
        gaps_by_column._of_few(names, "n")
    with pytest.raises(DatasetError, match="columns is not a DataFrame with one row per example"):
        make_examples(columns=["a"])


def test_columns_of_a_sample_and_of_a_merged_run_are_those_of_its_examples(tmp_path):
    columns = pd.DataFrame({"own": [f"of example-{i}" for i in range(60)]})
    data = sample(make_examples(columns=columns), 20, seed=3)
    settings = {"batch_size": 64, "n_resamples": 100}
    for shard in (1, 2):
        emap.compute_shard(Staged(), data, (shard, 2), out=tmp_path / str(shard), **settings)
    run = emap.merge_shards([tmp_path / "1", tmp_path / "2"], tmp_path / "run")
    assert run.columns["own"].tolist() == [f"of {name}" for name in run.ids]


def test_the_terminal_prints_them(run, capsys):
    assert main(["show", str(run.path), "--by", "kind", "--metric", "f1_macro"]) == 0
    said = capsys.readouterr().out
    assert "redundant" in said and "Gap" in said and "Macro F1" in said and "groups at once" in said
    assert main(["show", str(run.path), "--by", "label", "--metric", "nonsense"]) == 2


@pytest.mark.slow
def test_a_part_of_the_pairs_is_too_little_for_groups(tmp_path):
    sampled = emap.compute(
        Staged(), make_examples(), out=tmp_path / "run", method="sampled", images_per_text=6
    )
    with pytest.raises(RunError, match="compute it with the exact method"):
        gaps_by(sampled, "label")
