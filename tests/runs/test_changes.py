import pytest
from samples import Staged, make_examples

import emap_core as emap
from emap_core.errors import RunError
from emap_core.runs import Run
from emap_core.runs.changes import delete_run, rename_run
from emap_core.runs.check import check_run
from emap_core.runs.folder import RunFolder


@pytest.fixture
def run(store):
    return emap.compute(Staged(), make_examples(), out=store / "run", keep="sums")


def test_a_renamed_run_is_as_whole_as_before(run):
    rename_run(run.path, "late fusion")
    again = Run.load(run.path)
    assert again.manifest == {**run.manifest, "name": "late fusion"}
    assert check_run(run.path) == []
    rename_run(run.path, "  ")
    assert Run.load(run.path).manifest["name"] is None


def test_a_run_that_is_being_computed_is_not_deleted(tmp_path):
    run = emap.compute(Staged(), make_examples(), out=tmp_path / "run", keep="sums")
    with RunFolder(run.path).lock(), pytest.raises(RunError, match="cancel it first"):
        delete_run(run.path)
    assert Run.load(run.path).table().shape


def test_a_deleted_run_is_gone(run):
    delete_run(run.path)
    assert not run.path.exists()
    with pytest.raises(RunError, match="there is no run"):
        delete_run(run.path)
