import numpy as np
import pytest
from samples import Staged, as_callable, make_examples

import emap_core as emap
from emap_core.errors import DatasetError, SettingError


def from_side(side, n, seed):
    """Return data whose label is told by one side alone."""
    data = make_examples(n=n, n_texts=40, n_images=60, seed=seed)
    if side == "text":
        data.labels = [int("red" in text) for text in data.texts]
    else:
        red = [np.asarray(image, dtype=float).reshape(-1)[0] for image in data.images]
        data.labels = [int(value > 127) for value in red]
    return data


@pytest.mark.slow
@pytest.mark.parametrize(("side", "other"), [("text", "image"), ("image", "text")])
def test_a_linear_model_finds_what_its_side_tells(side, other, tmp_path):
    run = emap.compute(
        Staged(),
        from_side(side, 150, seed=1),
        train=from_side(side, 400, seed=2),
        out=tmp_path / "run",
        n_resamples=100,
    )
    table = run.table(intervals=True)
    assert table.loc[f"linear_{side}", "accuracy"] > 0.9
    assert table.loc["linear_both", "accuracy"] > 0.85
    assert table.loc[f"linear_{other}", "accuracy"] < 0.75
    row = table.loc[f"linear_{side}"]
    assert row["accuracy_low"] <= row["accuracy"] <= row["accuracy_high"]
    assert run.record()["metrics"]["accuracy"][f"linear_{side}"] == row["accuracy"]


def test_without_a_training_split_they_are_null_in_the_record(examples, tmp_path):
    run = emap.compute(Staged(), examples, out=tmp_path / "run")
    assert run.record()["metrics"]["accuracy"]["linear_both"] is None
    assert "linear_both" not in run.table().index


def test_a_callable_has_no_states_to_learn_from(examples, tmp_path):
    with pytest.raises(SettingError, match="a model with encoders"):
        emap.compute(as_callable, examples, train=examples, out=tmp_path / "run")


def test_training_data_needs_labels(examples, tmp_path):
    with pytest.raises(DatasetError, match="training data has no labels"):
        emap.compute(Staged(), examples, train=make_examples(labels=None), out=tmp_path / "run")
