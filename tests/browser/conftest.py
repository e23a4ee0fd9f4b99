"""The app on a port of its own, and a browser that opens it."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
import served
from browsing import new_page

HOUSE = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def chromium():
    """Return the path of a Chromium that Playwright can drive."""
    pytest.importorskip("playwright", reason="the package playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((found for found in map(shutil.which, names) if found), None)
    if path is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    return path


@pytest.fixture(scope="module")
def serve_app(tmp_path_factory, chromium, warm_popen):
    """Return a context that serves the app and gives its URL and its folder of runs."""

    @contextmanager
    def serve(*options, **settings):
        folder = tmp_path_factory.mktemp("served")
        environment = {
            **os.environ,
            "EMAP_RUNS": str(folder / "runs"),
            "OMP_NUM_THREADS": "1",
            **settings,
        }
        options = ("--server.fileWatcherType=none", *options)
        log = folder / "log"
        with served.serve_app(log, environment, *options, popen=warm_popen) as port:
            yield f"http://127.0.0.1:{port}", folder / "runs"

    return serve


@pytest.fixture(scope="module")
def app_url(serve_app):
    """Serve the app with an empty folder of runs of its own."""
    # What a visitor types may name modules, also such that lie beside the tests.
    with serve_app(EMAP_ALLOW_CODE="1", PYTHONPATH=str(HOUSE / "tests")) as url_and_runs:
        yield url_and_runs


@pytest.fixture(scope="package")
def browser(chromium):
    """Return a browser that all tests of this folder open their pages in."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def browser_page(browser):
    """A fresh page of a visitor of its own."""
    with new_page(browser) as page:
        yield page
