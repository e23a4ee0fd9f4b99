from __future__ import annotations

import shutil

import numpy as np
import pytest
from samples import Staged, make_examples

import emap_core as emap
from emap_core.errors import RunError
from emap_core.runs import selections
from emap_core.runs.checksums import check_run
from emap_core.runs.selections import keep_selection, kept_selection


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "it"
    return emap.compute(Staged(), make_examples(), out=path, n_resamples=100)


@pytest.fixture
def run(original, tmp_path):
    shutil.copytree(original.path, tmp_path / "it")
    return emap.Run.load(tmp_path / "it")


def test_a_selection_is_found_again_by_whoever_opens_the_run_and_is_no_damage(run):
    positions = np.array([3, 8, 21, 59])
    key = keep_selection(run, positions)
    again = emap.Run.load(run.path)
    assert kept_selection(again, key).tolist() == [3, 8, 21, 59]
    assert keep_selection(again, positions[::-1]) == key
    assert keep_selection(again, positions[:3]) != key
    assert check_run(run.path) == []


@pytest.mark.parametrize("key", ["", "0" * 16, "../../run", "x" * 16, "0" * 17, "\x00" * 16])
def test_a_key_that_names_nothing_finds_nothing(run, key):
    assert kept_selection(run, key) is None


def test_a_selection_that_was_changed_is_found_out_and_not_believed(run):
    key = keep_selection(run, np.arange(30))
    path = run.path / "selections" / f"{key}.json"
    path.write_text(path.read_text().replace("/", "A", 1))
    assert kept_selection(run, key) is None
    assert check_run(run.path) == [f"selections/{key}.json has changed"]
    (run.path / "selections" / "more.txt").touch()
    assert "selections/more.txt does not belong there" in check_run(run.path)


def test_a_run_keeps_the_newest_selections_alone(run, monkeypatch):
    monkeypatch.setattr(selections, "MOST_KEPT", 3)
    keys = [keep_selection(run, np.array([i])) for i in range(5)]
    found = [kept_selection(run, key) for key in keys]
    assert sum(one is not None for one in found) == 3
    assert found[-1].tolist() == [4]


def test_a_run_that_cannot_be_written_says_so(run):
    (run.path / "selections").touch()
    with pytest.raises(RunError, match="'it' cannot be written"):
        keep_selection(run, np.array([1]))
