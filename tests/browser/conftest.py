"""The app on a port of its own, and a browser that opens it."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
import served
from browsing import new_tab, new_visitor

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


@pytest.fixture(scope="package")
def browser(chromium):
    """Return a browser that all tests of this folder open their pages in."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Each new process of a page would compile the app's scripts anew.
        options = ["--no-sandbox", "--process-per-site"]
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def visitor(browser):
    """Return the visitor whose tabs the tests open, who has the app's files at hand."""
    with new_visitor(browser) as visitor:
        yield visitor


@pytest.fixture(scope="package")
def serve_app(tmp_path_factory, visitor, warm_popen):
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
            url = f"http://127.0.0.1:{port}"
            # A tab that stays there keeps the process of its pages, and what that has compiled.
            with new_tab(visitor) as resting:
                resting.goto(f"{url}/_stcore/health")
                yield url, folder / "runs"

    return serve


@pytest.fixture(scope="package")
def app_url(serve_app):
    """Serve the app to all tests of this folder; return its URL and its folder of runs."""
    # What a visitor types may name modules, also such that lie beside the tests.
    with serve_app(EMAP_ALLOW_CODE="1", PYTHONPATH=str(HOUSE / "tests")) as url_and_runs:
        yield url_and_runs


@pytest.fixture
def new_app(serve_app):
    """Serve the app to one test that is its first visitor, without any run; return the same."""
    with serve_app() as url_and_runs:
        yield url_and_runs


@pytest.fixture
def browser_page(visitor):
    """A fresh tab of a visitor whom no server knows."""
    with new_tab(visitor) as page:
        yield page
    visitor.clear_cookies()
    visitor.clear_permissions()
