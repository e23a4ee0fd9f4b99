import json
import shutil

import pytest


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
    assert "has format 99; this version reads up to 1: update EMAP Lens" in words(app)
    assert "small-demo" not in words(app)
    assert "60 examples" in words(open_page("start"))
    assert (second_run / "run.json").read_bytes() == before
