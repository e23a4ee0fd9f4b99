"""A small installation, without torch, opens finished runs and says what else needs."""

import subprocess
import sys
from pathlib import Path

import pytest
from samples import Staged, make_examples

import emap_core as emap

HOUSE = Path(__file__).parents[1]

pytestmark = [pytest.mark.process, pytest.mark.slow]

WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

sys.meta_path.insert(0, Missing())
"""
AT_HAND = """
import emap_core as emap
from emap_core.cli import main

run = emap.load_run("run")
assert run.verdict().sentence in run._repr_html_() and len(run.examples()) == 60
assert main(["show", "run"]) == 0
assert main(["report", "run", "--out", "report.html"]) == 0
assert main(["compare", "run", "run", "--latex"]) == 0
assert "torch" not in sys.modules
"""
ON_PAGES = """
from streamlit.testing.v1 import AppTest
for page in ("start", "overview", "examples", "contributions", "modes", "compare", "report"):
    app = AppTest.from_file(HOUSE + "/app.py", default_timeout=60)
    app.query_params["run"] = "run"
    app.switch_page(HOUSE + f"/pages/{page}.py").run()
    assert not app.exception, (page, app.exception)
assert "torch" not in sys.modules
"""
COMPUTE = """
import emap_core as emap
from emap_core.cli import main

told = "computing needs torch, which is not installed: pip install '.[compute]'"
for asks in (
    lambda: emap.compute("demo:concat", "demo:easy-vqa"),
    lambda: emap.load_run("run").probe("two-towers"),
):
    try:
        asks()
    except emap.EmapError as error:
        assert str(error) == told, error
    else:
        raise AssertionError("it computed")
sys.exit(main(["run", "--model", "demo:concat", "--data", "demo:easy-vqa"]))
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    emap.compute(Staged(), make_examples(), out=folder / "run", n_resamples=100)
    return folder


def without_torch(code, folder, monkeypatch):
    monkeypatch.setenv("EMAP_RUNS", str(folder))
    house = str(HOUSE)
    monkeypatch.setenv("PYTHONPATH", house)
    return subprocess.run(
        [sys.executable, "-c", f"{WITHOUT}HOUSE = {house!r}\n{code}"],
        cwd=folder,
        capture_output=True,
        text=True,
    )


def test_finished_runs_are_read_without_torch(runs, monkeypatch):
    done = without_torch(AT_HAND, runs, monkeypatch)
    assert done.returncode == 0, done.stderr[-3000:]
    assert r"\begin{table}" in done.stdout


def test_pages_show_finished_runs_without_torch(runs, monkeypatch):
    done = without_torch(ON_PAGES, runs, monkeypatch)
    assert done.returncode == 0, done.stderr[-3000:]


def test_whatever_computes_says_what_to_install(runs, monkeypatch):
    done = without_torch(COMPUTE, runs, monkeypatch)
    assert done.returncode == 2, done.stderr[-3000:]
    assert done.stderr.strip() == (
        "error: computing needs torch, which is not installed: pip install '.[compute]'"
    )
