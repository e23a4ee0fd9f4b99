import numpy as np
import pytest
from samples import Staged, make_examples

import emap_core as emap
from emap_core.cli import main
from emap_core.errors import RunError, SettingError
from emap_core.runs.groups import gaps_by


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return emap.compute(Staged(), make_examples(), out=tmp_path_factory.mktemp("runs") / "run")


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
    with pytest.raises(SettingError, match="by has 3 names, and the run has 60 examples"):
        run.table(by=["a", "b", "c"])
    with pytest.raises(SettingError, match="by is 'colour'; choose one of label"):
        run.table(by="colour")


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
