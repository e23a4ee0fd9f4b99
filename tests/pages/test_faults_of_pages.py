import ast
import gc
import html
import json
import shutil
import weakref
from pathlib import Path

import pytest
import streamlit as st

from emap_core.runs import Run
from pages.shared import run_and_example as pages_runs

PAGES = Path(__file__).parents[2] / "pages"


@pytest.fixture
def second_run(runs_with_one):
    """A copy of the run that a test may damage, beside the good one."""
    copy = runs_with_one.path.parent / "damaged"
    shutil.copytree(runs_with_one.path, copy)
    yield copy
    shutil.rmtree(copy, ignore_errors=True)


def test_a_torn_array_is_told_in_place_and_the_other_run_still_opens(second_run, open_page, words):
    torn = (second_run / "sums.npz").read_bytes()
    (second_run / "sums.npz").write_bytes(torn[: len(torn) // 2])
    for page in ("overview", "contributions"):
        app = open_page(page, run="damaged")
        assert "sums.npz of run 'damaged' cannot be read" in words(app)
    assert "cannot be read" not in words(open_page("overview", run="small-demo"))


def test_a_run_that_is_deleted_while_it_is_open_is_told(second_run, open_page, words):
    app = open_page("examples", run="damaged")
    assert "60 examples" in words(app)
    shutil.rmtree(second_run)
    assert "there is no run 'damaged' here" in words(app.run())


def test_a_run_of_a_newer_version_is_told_and_left_alone(second_run, open_page, words):
    manifest = json.loads((second_run / "run.json").read_text())
    (second_run / "run.json").write_text(json.dumps(manifest | {"format": 99}))
    before = (second_run / "run.json").read_bytes()
    app = open_page("overview", run="damaged")
    assert "has format 99, but this version reads up to 1; update EMAP Lens" in words(app)
    assert "small-demo" not in words(app)
    assert "60 examples" in words(open_page("start"))
    assert (second_run / "run.json").read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"n_classes": 1_000_000_000}, "n_classes is 1000000000; expected 13"),
        ({"created": 3}, "created is 3; expected a date and time"),
        ({"fingerprints": []}, "fingerprints is []; expected an object"),
    ],
)
def test_a_damaged_run_is_listed_with_why_and_harms_no_other(
    changes, why, second_run, open_page, words
):
    manifest = json.loads((second_run / "run.json").read_text())
    (second_run / "run.json").write_text(json.dumps(manifest | changes))
    st.cache_resource.clear()
    app = open_page("start")
    assert "60 examples" in words(app)
    said = html.unescape(words(app))
    assert f"damaged: run 'damaged' is damaged: in run.json {why}" in said
    assert [box.label for box in app.expander] == ["1 damaged run", "New here? Try a demo"]
    for page in ("overview", "compare"):
        app = open_page(page, run="small-demo")
        assert "is damaged" not in words(app)
        assert app.selectbox(key="run-choice").options[-1] == "damaged, damaged"
    assert why in words(open_page("overview", run="damaged"))


@pytest.mark.parametrize("name", ["sums.npz", "labels.npy", "texts.parquet", "examples.parquet"])
def test_a_file_that_is_gone_bad_leaves_the_other_runs_of_the_same_data(
    name, second_run, open_page, words
):
    content = (second_run / name).read_bytes()
    (second_run / name).write_bytes(content[:100])
    st.cache_resource.clear()
    app = open_page("compare", run="small-demo")
    assert f"{name} of run 'damaged' cannot be read" in app.warning[0].value.replace("\\", "")
    assert "Select at least one more run" in words(app)
    app = open_page("overview")
    assert "run=small-demo" in "".join(one.proto.body for one in app.sidebar.get("html"))
    assert "cannot be read" not in words(app)


def test_intervals_that_no_disk_keeps_are_computed_once_and_the_page_comes_to_rest(
    second_run, open_page, words, monkeypatch
):
    computed = []
    new = Run._new_intervals

    def counted(run):
        computed.append(run.id)
        return new(run)

    def no_disk(*given):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Run, "_new_intervals", counted)
    monkeypatch.setattr("emap_core.runs.cached_inference.write_sealed", no_disk)
    shutil.rmtree(second_run / "inference")
    st.cache_resource.clear()
    app = open_page("overview", run="damaged")
    assert "95% intervals in brackets" in words(app)
    # Other runs are looked at meanwhile, as many as are kept in memory, and it is forgotten.
    pages_runs._load.clear()
    assert "95% intervals in brackets" in words(app.run())
    assert computed == ["damaged", "damaged"]


@pytest.fixture
def opened(monkeypatch):
    """Return the runs that were read from their folders, as long as somebody keeps them."""
    load, found = Run.load.__func__, []  # type: ignore[attr-defined]

    def noted(kind, path):
        run = load(kind, path)
        found.append((run.id, weakref.ref(run)))
        return run

    st.cache_resource.clear()
    monkeypatch.setattr(Run, "load", classmethod(noted))
    yield found
    st.cache_resource.clear()


def test_two_visitors_and_all_pages_share_one_reading_of_a_run(opened, runs_with_one, open_page):
    for page in ("overview", "contributions", "examples"):
        for _ in range(2):
            assert not open_page(page, run="small-demo").exception
    assert [name for name, _ in opened] == ["small-demo"]


def test_of_many_runs_a_few_are_kept_in_memory(opened, runs_with_one, tmp_path, monkeypatch):
    from pages import shared

    monkeypatch.setenv("EMAP_RUNS", str(tmp_path))
    for number in range(12):
        shutil.copytree(runs_with_one.path, tmp_path / f"run-{number}")
        assert shared.open_run(f"run-{number}").ids
    gc.unfreeze()
    gc.collect()
    assert len(opened) == 12
    assert [name for name, run in opened if run() is not None] == [
        f"run-{number}" for number in range(4, 12)
    ]


def test_no_cache_of_the_pages_grows_without_end():
    found = {}
    for path in PAGES.rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text())):
            for one in getattr(function, "decorator_list", []):
                if "cache_" in ast.unparse(one):
                    found[function.name] = ast.unparse(one)  # type: ignore[attr-defined]
    unbounded = {name for name, one in found.items() if "max_entries=" not in one}
    assert len(found) > 15
    # One entry for each page, and one for each folder of runs.
    assert unbounded == {"settle", "_listed"}
