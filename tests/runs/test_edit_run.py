import pytest
from samples import Staged, make_examples

import emap_core as emap
from emap_core.errors import RunError, SettingError
from emap_core.runs import Run, list_runs
from emap_core.runs.checksums import check_run
from emap_core.runs.folder import RunFolder


@pytest.fixture
def run(store):
    return emap.compute(Staged(), make_examples(), out=store / "run", keep="sums")


def test_what_people_say_of_a_run_is_kept_with_it_and_changes_nothing_else(run):
    said = {"name": "late fusion", "tags": ["paper", "v2"], "comment": "of May,\nsecond try"}
    emap.annotate_run(run.path, **said)
    again = Run.load(run.path)
    assert again.manifest == {**run.manifest, **said}
    assert check_run(run.path) == []
    record = again.record()
    assert {key: record[key] for key in said} == said and record["archived"] is False
    emap.annotate_run(run.path, name="  ", tags=[])
    left = Run.load(run.path).manifest
    assert (left["name"], left["tags"], left["comment"]) == (None, [], said["comment"])


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"name": "x" * 121}, "name has 121 characters; shorten it to 120"),
        ({"comment": "x" * 2001}, "comment has 2,001 characters"),
        ({"comment": "a\x1b[31m"}, "comment has a control character"),
        ({"tags": ["a\nb"]}, "tag has a control character"),
        ({"tags": ["a, b"]}, "tag 'a, b' has a comma"),
        ({"tags": "paper"}, "expected a list of strings"),
        ({"tags": [str(i) for i in range(21)]}, "has 21 tags; give at most 20"),
    ],
)
def test_what_cannot_stand_in_a_list_is_refused(run, said, message):
    before = Run.load(run.path).manifest
    with pytest.raises(SettingError, match=message):
        emap.annotate_run(run.path, **said)
    assert Run.load(run.path).manifest == before


def test_the_same_work_keeps_what_was_said_of_it_and_takes_further_tags(tmp_path):
    work = {"model": Staged(), "dataset": make_examples(), "out": tmp_path / "run", "keep": "sums"}
    emap.compute(**work, tags=["paper"])
    emap.annotate_run(tmp_path / "run", name="late fusion", comment="of May")
    manifest = emap.compute(**work, tags=["v2", "paper"]).manifest
    assert (manifest["tags"], manifest["name"]) == (["paper", "v2"], "late fusion")
    assert manifest["comment"] == "of May"


def test_an_archived_run_is_whole_and_can_be_listed_again(run):
    emap.archive_run(run.path)
    (info,) = list_runs(run.path.parent)
    assert info.is_archived and check_run(run.path) == []
    emap.archive_run(run.path, archived=False)
    assert not list_runs(run.path.parent)[0].is_archived


def test_a_run_that_is_being_computed_is_not_deleted(tmp_path):
    run = emap.compute(Staged(), make_examples(), out=tmp_path / "run", keep="sums")
    with RunFolder(run.path).lock(), pytest.raises(RunError, match="cancel it first"):
        emap.delete_run(run.path)
    assert Run.load(run.path).table().shape


def test_a_deleted_run_is_gone(run):
    emap.delete_run(run.path)
    assert not run.path.exists()
    with pytest.raises(RunError, match="there is no run"):
        emap.delete_run(run.path)
