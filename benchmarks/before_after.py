"""What an earlier version took and what this one takes, side by side on this machine.

``python -m benchmarks before_after``; the earlier version is checked out beside this one for as
long as it takes, so that both run with the same libraries, in turns.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.tables import markdown

BEFORE = "e354b4a"
"""The earlier version."""
REPEATS = 3
ROOT = Path(__file__).parents[1]
N_RUNS = 300

NEW_RUN = "a run of a new name"
DEMO = (
    *("-m", "emap_core", "run", "--model", "demo:concat", "--data", "demo:easy-vqa"),
    *("--progress", "none", "--out"),
)
# What a visitor waits for: a new server, an empty folder of runs, a browser.
VISIT = """
import os, pathlib, re, shutil, sys, tempfile, time
sys.path.insert(0, "tests")
from playwright.sync_api import sync_playwright
from served import serve_app
folder = pathlib.Path(tempfile.mkdtemp())
began = time.perf_counter()
with serve_app(folder / "log", os.environ | {"EMAP_RUNS": str(folder)}) as port:
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}/" + sys.argv[1].removeprefix("start"))
        button = page.get_by_test_id("stMain").get_by_role("button")
        if sys.argv[1] == "start":
            button.filter(has_text="Run the demo").click()
            interval = page.get_by_text(re.compile("points \\\\["))
            interval.first.wait_for(timeout=120_000)
        else:
            button.first.wait_for(timeout=120_000)
        seconds = time.perf_counter() - began
        browser.close()
shutil.rmtree(folder, ignore_errors=True)
print(seconds)
"""
PAGE = """
import os, sys
from streamlit.testing.v1 import AppTest
app = AppTest.from_file(os.path.abspath("app.py"), default_timeout=300)
if sys.argv[1] != "start":
    app.switch_page(f"pages/{sys.argv[1]}.py")
assert not app.run().exception
"""
RESAMPLES = """
import time
import numpy as np
from emap_core.decomposition import decompose
from emap_core.inference import default_metrics, intervals
rng = np.random.default_rng(0)
grid = rng.normal(size=(1000, 1000, 10)).astype(np.float32)
d = decompose(grid)
labels = (d.logits + rng.gumbel(size=d.logits.shape)).argmax(axis=1)
metrics = default_metrics("multiclass")
intervals(d, labels, "multiclass", metrics, grid=grid, n_resamples=100)
began = time.process_time()
intervals(d, labels, "multiclass", metrics, grid=grid, n_resamples=1000)
print(time.process_time() - began)
"""
SAMPLED = """
import time
import numpy as np
from emap_core.decomposition.design import design
try:
    from emap_core.decomposition.incomplete import fit
except ImportError:
    from emap_core.decomposition.sampled import fit
rng, n, width = np.random.default_rng(3), 20_000, 16
texts, images = rng.normal(size=(2, n, width))
chosen = design(n, n, np.arange(n), np.arange(n), 32)
heads = rng.normal(size=(5, 3, width)) / width
# The earlier version calls them texts and images.
rows, columns = (
    (chosen.rows, chosen.columns) if hasattr(chosen, "rows") else (chosen.texts, chosen.images)
)
products = [(texts[:, :3] @ head)[rows] * images[columns] for head in heads]
values = np.stack([product.sum(axis=1) for product in products], axis=1)
began = time.process_time()
fit(chosen, values)
print(time.process_time() - began)
"""


def before_after() -> str:
    """Measure both versions, each repeat one after the other."""
    with tempfile.TemporaryDirectory() as folder, _checked_out(Path(folder) / "before") as before:
        checkouts = {"before": before, "after": ROOT}
        for name, checkout in checkouts.items():
            _runs_of(checkout, Path(folder) / f"{name}-runs")
        rows = []
        for what, (unit, command) in _rows().items():
            best = dict.fromkeys(checkouts, float("inf"))
            for number in range(REPEATS):
                for name, checkout in checkouts.items():
                    runs = Path(folder) / f"{name}-runs"
                    words = [
                        str(runs / f"new-{number}") if word == NEW_RUN else word for word in command
                    ]
                    best[name] = min(best[name], _seconds(unit, checkout, runs, words))
            rows.append((what, unit, best["before"], best["after"], best["after"] / best["before"]))
            print(rows[-1], flush=True)
    return markdown(
        "Before and after",
        f"The version {BEFORE} and this one, the best of {REPEATS} each, in turns. Seconds by the "
        "clock are those that a person waits, with all cores; processor seconds are of one thread. "
        "They count from the start of a process to its end, but for what is called alone. A visit "
        "counts from the start of the server.",
        ("what", "seconds", "before", "after", "after ÷ before"),
        rows,
    )


def _rows() -> dict[str, tuple[str, tuple[str, ...]]]:
    return {
        "easy-VQA, `run` to the table with intervals": ("clock", (*DEMO, NEW_RUN)),
        "easy-VQA, from `streamlit run app.py` by the demo button to the interval in a browser": (
            "clock",
            ("-c", VISIT, "start"),
        ),
        "from `streamlit run app.py` to the first button of the page Run in a browser": (
            "clock",
            ("-c", VISIT, "run"),
        ),
        "`import emap_core`": ("clock", ("-c", "import emap_core")),
        "`show` of a finished run": ("clock", ("-m", "emap_core", "show", "run-000")),
        "the page Run, in a process that has drawn none": ("processor", ("-c", PAGE, "run")),
        f"the page Start with {N_RUNS} runs, likewise": ("processor", ("-c", PAGE, "start")),
        "1,000 resamples with their own projection, N = 1,000, C = 10, 3 metrics, alone": (
            "processor",
            ("-c", RESAMPLES),
        ),
        "fit to 20,000 examples, sampled, K = 32, 5 classes, alone": (
            "processor",
            ("-c", SAMPLED),
        ),
    }


@contextmanager
def _checked_out(folder: Path) -> Iterator[Path]:
    git = shutil.which("git") or "git"
    subprocess.run(
        [git, "worktree", "add", "--quiet", "--detach", folder, BEFORE], cwd=ROOT, check=True
    )
    try:
        yield folder
    finally:
        subprocess.run([git, "worktree", "remove", "--force", folder], cwd=ROOT, check=True)


def _runs_of(checkout: Path, root: Path) -> None:
    """Compute a run with a version and copy it, so that each copy can be told from the others."""
    first = root / "run-000"
    _seconds("clock", checkout, root, (*DEMO, str(first)))
    manifest = json.loads((first / "run.json").read_text())
    for number in range(1, N_RUNS):
        copy = root / f"run-{number:03d}"
        shutil.copytree(first, copy, copy_function=os.link)
        manifest["settings"]["seed"] = number
        (copy / "run.json").unlink()
        (copy / "run.json").write_text(json.dumps(manifest))


def _seconds(unit: str, checkout: Path, runs: Path, command: Sequence[str]) -> float:
    """Return what a command took, or what it says that its part of interest took."""
    runs.mkdir(parents=True, exist_ok=True)
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"} if unit == "processor" else {}
    environment = os.environ | threads | {"EMAP_RUNS": str(runs), "PYTHONPATH": str(checkout)}
    before = os.times()
    printed = subprocess.run(
        [sys.executable, *command],
        cwd=checkout,
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ).stdout
    after = os.times()
    if command[0] == "-c" and printed.strip():
        return float(printed.split()[-1])
    return after.elapsed - before.elapsed if unit == "clock" else sum(after[2:4]) - sum(before[2:4])
