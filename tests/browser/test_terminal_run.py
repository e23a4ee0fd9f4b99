"""The page follows a run that another process computes in the same folder of runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
WAIT = 60_000
WORK = ("--model", "slow_model:model", "--data", "slow_model:data", "--batch-size", "2")
MODULE = """
import os, time
from pathlib import Path
from samples import Staged, make_examples

class Slow(Staged):
    fingerprint = "slow"

    def score(self, text_encodings, image_encodings):
        # Two thirds of a minute, unless it is told to hurry.
        time.sleep(0.3 if Path(os.environ["SLOW"]).exists() else 0)
        return super().score(text_encodings, image_encodings)

def model():
    return Slow()

def data():
    return make_examples()
"""

pytestmark = pytest.mark.browser


def test_the_page_follows_a_run_started_from_the_terminal(
    app_url, browser_page, warm_popen, tmp_path
):
    from playwright.sync_api import expect

    url, runs = app_url
    page = browser_page
    page.goto(url)
    expect(page.get_by_role("link", name="Run a model on your data")).to_be_visible(timeout=WAIT)
    (tmp_path / "slow_model.py").write_text(MODULE)
    (slow := tmp_path / "slow").touch()
    folder = runs / "from-the-terminal"
    paths = os.pathsep.join(map(str, (TESTS, TESTS.parent)))
    environment = {**os.environ, "EMAP_RUNS": str(runs), "PYTHONPATH": paths, "SLOW": str(slow)}
    told = ("--out", str(folder), "--name", "the slow one", "--progress", "json")
    terminal = warm_popen(
        [sys.executable, "-m", "emap_core", "run", *WORK, *told],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        for line in terminal.stdout:
            if line.startswith("{") and json.loads(line).get("pairs_done"):
                break
        page.goto(f"{url}/run?run={folder.name}")
        # Seen on the way, while the other process still computes.
        expect(page.get_by_text("of", exact=False).get_by_text("pairs a second")).to_be_visible(
            timeout=WAIT
        )
        page.get_by_test_id("stSidebar").get_by_role("link", name="Overview", exact=True).click()
        expect(page.get_by_text("A run is still running: the slow one")).to_be_visible(timeout=WAIT)
        page.go_back()
        assert terminal.poll() is None
        slow.unlink()
        rest = terminal.stdout.read()
        assert terminal.wait(60) == 0, rest
        expect(page.get_by_role("progressbar")).to_have_count(0, timeout=WAIT)
        expect(page.get_by_text("finished").first).to_be_visible(timeout=WAIT)
    finally:
        terminal.kill()
        terminal.wait()
