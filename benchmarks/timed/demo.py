"""Time the demo button, from the start of the server to scores and verdict in a browser.

Scores come first, and their intervals follow; the earlier version shows both together.
"""

from __future__ import annotations

import re
import time

from benchmarks.timed.browser import PATIENCE, buttons, cold_server

NUMBER = re.compile(r"\d\.\d")


def main() -> None:
    """Print the seconds to either."""
    with cold_server() as (page, began):
        buttons(page).filter(has_text="Run the demo").click()
        verdict = page.get_by_text(re.compile(r"points \[")).first
        score = page.get_by_test_id("stTable").get_by_role("cell").filter(has_text=NUMBER).first
        score.or_(verdict).first.wait_for(timeout=PATIENCE)
        print(f"first score: {time.perf_counter() - began}")
        verdict.wait_for(timeout=PATIENCE)
        print(f"verdict: {time.perf_counter() - began}")


if __name__ == "__main__":
    main()
