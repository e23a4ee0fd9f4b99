"""Make the README's screenshots: compute the demo, serve the app, walk through its pages.

    python assets/screenshots.py               the pictures of README and gallery
    python assets/screenshots.py --all FOLDER  every page, light and dark, wide and narrow

Needs Debian's package ``chromium`` and the package ``playwright``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

HOUSE = Path(__file__).parents[1]
sys.path.insert(0, str(HOUSE))

from pages import page_names  # noqa: E402 — found once the folder above is on the path

README = ("overview", "contributions", "examples", "modes", "compare", "measures")
TOPS = ("compare",)
"""Of these the first screen tells the story."""
MODELS = ("demo:additive", "demo:cross-attention", "demo:concat")
WIDTHS = (1280, 820)


def main() -> None:
    """Make the screenshots that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="every page, theme and width")
    parser.add_argument("--runs", type=Path, help="a folder of runs to show instead of the demo's")
    parser.add_argument("--pages", nargs="*", default=page_names(), help="with --all, only these")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        runs = arguments.runs or Path(temporary) / "runs"
        if arguments.runs is None:
            compute(runs)
        with serve(runs) as url, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            if arguments.all is None:
                for page in README:
                    path = HOUSE / f"assets/screenshots/{page}.png"
                    take(browser, f"{url}/{page}", path, whole=page not in TOPS)
                return
            for page in arguments.pages:
                for theme in ("light", "dark"):
                    for width in WIDTHS:
                        path = arguments.all / f"{page}-{theme}-{width}.png"
                        address = url if page == "start" else f"{url}/{page}"
                        take(browser, address, path, theme, width)


def compute(runs: Path) -> None:
    """Compute the demo's runs, intervals included."""
    environment = {**os.environ, "EMAP_RUNS": str(runs)}
    for model in MODELS:
        command = [sys.executable, "-m", "emap_core", "run", "--model", model]
        subprocess.run(  # noqa: S603 — our own command line
            [*command, "--data", "demo:easy-vqa"], env=environment, check=True, cwd=HOUSE
        )


@contextmanager
def serve(runs: Path) -> Iterator[str]:
    """Serve the app on a free port of this computer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}"]
    server = subprocess.Popen(  # noqa: S603 — our own command line
        [*command, "--server.headless=true", "--server.fileWatcherType=none"],
        cwd=HOUSE,
        env={**os.environ, "EMAP_RUNS": str(runs.resolve())},
        stdout=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        while server.poll() is None:
            try:
                urllib.request.urlopen(f"{url}/_stcore/health", timeout=5).close()  # noqa: S310
                break
            except OSError:
                time.sleep(0.2)
        yield url
    finally:
        server.terminate()
        server.wait()


def take(
    browser: Browser,
    url: str,
    path: Path,
    theme: str = "light",
    width: int = 1280,
    whole: bool = True,
) -> None:
    """Save one page as it looks when it has come to rest: its first screen, or the whole of it."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if theme == "dark" else "light",
    )
    page = context.new_page()
    page.goto(url)
    page.locator("h1").first.wait_for(timeout=180_000)
    rest(page)
    if whole:
        height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
        page.set_viewport_size({"width": width, "height": min(max(height, 900), 4000)})
        rest(page)
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path)
    context.close()
    print(path)


def rest(page: Page) -> None:
    """Wait until nothing runs and nothing moves."""
    page.wait_for_timeout(1000)
    page.wait_for_function(
        "!document.querySelector('[data-testid=stStatusWidget], [data-testid=stSkeleton]')",
        timeout=180_000,
    )
    page.wait_for_timeout(1500)


if __name__ == "__main__":
    main()
