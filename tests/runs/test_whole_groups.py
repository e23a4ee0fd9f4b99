import json

import numpy as np
import pandas as pd
import pytest
from samples import Staged, make_examples

import emap_core as emap
from emap_core.cli import main
from emap_core.errors import RunError, SettingError


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    groups = [f"pair {i // 2}" if i < 50 else "" for i in range(60)]
    kinds = ["all of a kind"] * 60
    data = make_examples(columns=pd.DataFrame({"kind": kinds, "group_id": groups}))
    return emap.compute(Staged(), data, out=tmp_path_factory.mktemp("runs") / "grouped")


def test_groups_are_those_of_the_data_or_of_an_image(run):
    assert run.groupings == ["group_id", "image", "text"]
    found = run.group_scores()
    assert found.by == "group_id" and found.n_groups["group_accuracy"] == 25
    right = run.examples()["correct"].to_numpy(bool)[:50].reshape(25, 2)
    assert found.rows["group_accuracy"]["full"].value == np.mean(right.all(axis=1))
    by_image = run.group_scores("image")
    assert by_image.n_groups["group_accuracy"] == 23
    kept = emap.load_run(run.path).group_scores("image")
    assert kept.to_json() == by_image.to_json()
    with pytest.raises(SettingError, match="kind, group_id, image, text"):
        run.group_scores("colour")


def test_the_command_and_the_figure_show_them(run, capsys):
    assert main(["show", str(run.path), "--groups"]) == 0
    said = capsys.readouterr().out
    assert run.group_scores().sentence in said and "An image with all its texts" not in said
    assert main(["show", str(run.path), "--groups", "image", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["by"] == "image"
    assert main(["show", str(run.path), "--groups", "--measures"]) == 2
    assert "a separate table" in capsys.readouterr().err
    table = run.figure("groups", by="image").data
    assert [trace.name for trace in table][-1] == "guessing"


def test_a_run_without_labels_has_none(tmp_path):
    run = emap.compute(Staged(), make_examples(labels=None), out=tmp_path / "unlabelled")
    with pytest.raises(RunError, match="no labels"):
        run.group_scores()


def test_a_metric_of_groups_is_no_metric_of_a_run(tmp_path):
    with pytest.raises(SettingError, match="--groups"):
        emap.compute(Staged(), make_examples(), out=tmp_path / "r", metrics=["group_accuracy"])
