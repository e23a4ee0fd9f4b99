"""A browser that opens a page of a server that has just been started."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

# The server as the tests start it.
sys.path.insert(0, "tests")
from served import serve_app

PATIENCE = 120_000
"""Milliseconds after which whatever is waited for will not come."""


@contextmanager
def cold_server(page_name: str = "") -> Iterator[tuple[Any, float]]:
    """Yield an open page and the time when its server started; there are no runs yet."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        log, environment = Path(folder) / "log", os.environ | {"EMAP_RUNS": folder}
        began = time.perf_counter()
        with serve_app(log, environment) as port, sync_playwright() as playwright:
            path = shutil.which("chromium") or shutil.which("google-chrome")
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{port}/{page_name}")
            yield page, began
            browser.close()


def buttons(page: Any) -> Any:
    """Return the buttons of a page, without those of navigation and menu."""
    return page.get_by_test_id("stMain").get_by_role("button")
