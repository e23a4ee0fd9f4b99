"""Time a visit to the page Run in a browser, up to its first button.

Cold is the first visit, from the start of the server; warm is a later one, from the page Start.
"""

from __future__ import annotations

import re
import statistics
import time
from typing import Any

from benchmarks.timed.browser import PATIENCE, buttons, cold_server

ON_START = re.compile("Run the demo|Try three sides")
"""The buttons of the page Start, which stay in sight until the next page is drawn."""


def main() -> None:
    """Print the seconds of either."""
    with cold_server("run") as (page, began):
        buttons(page).first.wait_for(timeout=PATIENCE)
        print(f"cold: {time.perf_counter() - began}")
        print(f"warm: {statistics.median(_again(page) for _ in range(5))}")


def _again(page: Any) -> float:
    """Leave the page and come back; return how long the way back takes."""
    page.get_by_role("link", name="Start").first.click()
    buttons(page).filter(has_text="Run the demo").wait_for(timeout=PATIENCE)
    began = time.perf_counter()
    page.get_by_role("link", name="Run").first.click()
    buttons(page).filter(has_not_text=ON_START).first.wait_for(timeout=PATIENCE)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
