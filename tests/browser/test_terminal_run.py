"""The page follows a run that another process computes in the same folder of runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]
WAIT = 60_000
WORK = ("--model", "demo:self-attention", "--data", "demo:easy-vqa", "--limit", "1500")

pytestmark = pytest.mark.browser


def test_the_page_follows_a_run_started_from_the_terminal(app_url, browser_page):
    from playwright.sync_api import expect

    url, runs = app_url
    page = browser_page
    page.goto(url)
    expect(page.get_by_role("button", name="Run the demo")).to_be_visible(timeout=WAIT)
    environment = {**os.environ, "EMAP_RUNS": str(runs), "OMP_NUM_THREADS": "1"}
    terminal = subprocess.Popen(
        [sys.executable, "-m", "emap_core", "run", *WORK, "--progress", "json"],
        cwd=HOUSE,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        for line in terminal.stdout:
            if line.startswith("{") and json.loads(line).get("pairs_done"):
                break
        (folder,) = (path.parent for path in runs.glob("*/run.json"))
        page.goto(f"{url}/run?run={folder.name}")
        # Seen on the way, while the other process still computes.
        expect(page.get_by_text("of", exact=False).get_by_text("pairs a second")).to_be_visible(
            timeout=WAIT
        )
        assert terminal.poll() is None
        rest = terminal.stdout.read()
        assert terminal.wait(60) == 0, rest
        expect(page.get_by_role("progressbar")).to_have_count(0, timeout=WAIT)
        expect(page.get_by_text("finished").first).to_be_visible(timeout=WAIT)
    finally:
        terminal.kill()
        terminal.wait()
