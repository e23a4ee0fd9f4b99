"""Runs as versions before this one stored them open unchanged: names on disk are a promise."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from emap_core.inference.gap import RECORD_VERSION
from emap_core.runs import Run
from emap_core.runs.checksums import check_run
from emap_core.runs.manifest import FORMAT

GOLDEN = Path(__file__).parent / "golden"
RUNS = sorted(path.parent for path in GOLDEN.glob("*/*/run.json"))


@pytest.fixture(params=RUNS, ids=lambda path: f"{path.parent.name}-{path.name}")
def stored(request, tmp_path):
    """A copy of a stored run, and what the version that stored it said of it."""
    path = request.param
    shutil.copytree(path, tmp_path / path.name)
    return tmp_path / path.name, json.loads(path.with_suffix(".json").read_text())


def test_there_is_a_run_of_each_method_and_of_each_way_to_keep_a_grid():
    formats = {f"format_{number}" for number in range(1, FORMAT + 1)}
    assert {path.parent.name for path in RUNS} == formats
    manifests = [json.loads((path / "run.json").read_text()) for path in RUNS]
    assert {(one["method"], one["keep"]) for one in manifests} == {
        ("exact", "grid"),
        ("exact", "classes"),
        ("sampled", "sums"),
        ("subsample", "sums"),
    }


def test_what_is_stored_is_read_to_the_bit(stored):
    path, _ = stored
    run = Run.load(path)
    run.verify()
    with np.load(path / "sums.npz") as arrays:
        for name in ("logits", "mean", "sums_of_squares", "centred_variance", "noise"):
            np.testing.assert_array_equal(getattr(run.decomposition, name), arrays[name])
        for axis, side in (("row", "text"), ("column", "image")):
            for what in ("mean", "share", "index"):
                found = getattr(run.decomposition, f"{axis}_{what}")
                np.testing.assert_array_equal(found, arrays[f"{side}_{what}"])
        again = run.method.arrays(run.result)
        assert {"text_order", *again} == set(arrays.files)
        for name, array in again.items():
            np.testing.assert_array_equal(array, arrays[name])
    assert (len(run.texts), len(run.ids)) == (run.manifest["n_texts"], run.manifest["n_examples"])
    assert run.thumbnail(0).startswith(b"\xff\xd8")
    assert run.picture(0) == run.thumbnail(0)
    assert not check_run(path)


def test_its_numbers_are_those_that_were_told_when_it_was_stored(stored):
    path, told = stored
    run = Run.load(path)
    table = run.table()
    for name in table:
        for row, value in table[name].items():
            assert value == pytest.approx(told["table"][name][row], rel=1e-9, nan_ok=True)
    np.testing.assert_allclose(
        run.scores("emap_leave_one_out"), told["emap_leave_one_out"], atol=1e-12
    )
    np.testing.assert_allclose(run.shares.pooled_shares, told["pooled_shares"], atol=1e-12)
    examples, then = run.examples(), pd.DataFrame(told["examples"])
    assert list(examples) == list(then)
    np.testing.assert_allclose(examples["interaction_size"], then["interaction_size"], atol=1e-12)
    for name in set(examples) - {"interaction_size"}:
        assert list(examples[name]) == list(then[name])


def kept_version(path):
    return json.loads((path / "inference" / "intervals.json").read_text())["version"]


def test_there_are_kept_intervals_of_the_present_version():
    missing = "add runs that this version stored, as golden/make.py says"
    assert RECORD_VERSION in {kept_version(path) for path in RUNS}, missing


def test_kept_intervals_are_read_and_those_of_another_version_are_not(stored, monkeypatch):
    path, told = stored
    run = Run.load(path)
    if kept_version(path) != RECORD_VERSION:
        assert not run.has_intervals
        return
    monkeypatch.setattr(type(run.statistics), "intervals", None)
    assert run.has_intervals
    assert run.gap("accuracy").to_json() == told["gap"]


def test_a_kept_grid_holds_the_models_outputs(stored):
    path, _ = stored
    run = Run.load(path)
    if not run.kept_classes:
        return
    d = run.decomposition
    for c in run.kept_classes:
        cells = run.class_grid(c)[d.row_index, d.column_index]
        np.testing.assert_allclose(cells, d.logits[:, c], rtol=1e-6)


@pytest.mark.parametrize("format_", sorted(path.name for path in GOLDEN.glob("format_*")))
def test_linear_probes_and_densities_are_read_as_they_are_stored(format_):
    path = GOLDEN / format_ / "baselines_and_density"
    run = Run.load(path)
    with np.load(path / "baselines.npz") as arrays:
        assert list(run.linear_probes) == ["linear_text", "linear_image", "linear_both"]
        for name, scores in run.linear_probes.items():
            np.testing.assert_array_equal(scores, arrays[name])
    with np.load(path / "density.npz") as arrays:
        np.testing.assert_array_equal(run.density, np.exp(arrays["log_ratio"].astype(float)))


def test_a_run_from_before_rounding_was_stored_takes_that_of_float32(stored):
    path, _ = stored
    with np.load(path / "sums.npz") as arrays:
        older = {name: arrays[name] for name in arrays.files if name != "noise"}
    with (path / "sums.npz").open("wb") as file:
        np.savez(file, **older)
    assert (Run.load(path).decomposition.noise > 0).all()
