"""The folders that `benchmarks.attack` tries, on what the pages read of each."""

import shutil

import pytest
import streamlit as st

from benchmarks.attack import flipped_bits, folders, harm_to_pages, manifests
from emap_core.errors import RunError
from emap_core.runs import Run, list_runs

CASES = [*manifests(), *folders()]
ON_PAGES = ("n_classes = 1000000000", "thumbnails of numbers", "grid.zarr/zarr.json cut")


@pytest.fixture(scope="module")
def good(finished_run, tmp_path_factory):
    path = tmp_path_factory.mktemp("attacked") / "good"
    shutil.copytree(finished_run.path, path)
    run = Run.load(path)
    run.table()
    run.intervals()
    assert run.grid is not None
    return path


@pytest.fixture
def bad(good):
    copy = good.parent / "bad"
    shutil.copytree(good, copy)
    yield copy
    shutil.rmtree(copy)


def test_there_are_as_many_as_were_promised():
    assert len([*manifests()]) >= 53 and len([*folders()]) >= 43


@pytest.mark.slow
@pytest.mark.parametrize(("name", "damage"), CASES, ids=[name for name, _ in CASES])
def test_a_damaged_folder_is_told_in_a_line_and_leaves_the_other_run(name, damage, good, bad):
    damage(bad)
    assert {info.id: info.status for info in list_runs(good.parent)}["good"] == "finished"
    try:
        run = Run.load(bad)
        run.verify()
        run.examples()
        run.thumbnail(0)
        if run.grid is not None:
            run.class_grid(0)
        assert run.has_intervals in (True, False)
    except RunError as error:
        assert "\n" not in str(error) and len(str(error)) < 500


@pytest.mark.slow
@pytest.mark.parametrize("name", ON_PAGES)
def test_pages_of_other_runs_are_as_they_were(name, good, bad, monkeypatch):
    monkeypatch.setenv("EMAP_RUNS", str(good.parent))
    st.cache_resource.clear()
    dict(CASES)[name](bad)
    assert harm_to_pages("bad") == ([], [])


@pytest.mark.slow
def test_every_bit_that_is_flipped_in_what_is_computed_later_is_found(good):
    assert flipped_bits(good) == (28, 28)
