"""Time the demo button, from the click to scores and verdict, on a server that has just started.

Scores come first, and their intervals follow; the earlier version shows both together.
"""

from __future__ import annotations

import re
import time

from benchmarks.timed.browser import PATIENCE, buttons, cold_server

NUMBER = re.compile(r"\d\.\d")


def main() -> None:
    """Print the seconds to either, and from the start of the server to the verdict."""
    with cold_server() as (page, started):
        button = buttons(page).filter(has_text="Run the demo")
        button.wait_for(timeout=PATIENCE)
        began = time.perf_counter()
        button.click()
        verdict = page.get_by_text(re.compile(r"points \[")).first
        score = page.get_by_test_id("stTable").get_by_role("cell").filter(has_text=NUMBER).first
        score.or_(verdict).first.wait_for(timeout=PATIENCE)
        print(f"first score: {time.perf_counter() - began}")
        verdict.wait_for(timeout=PATIENCE)
        print(f"verdict: {time.perf_counter() - began}")
        print(f"from the start: {time.perf_counter() - started}")


if __name__ == "__main__":
    main()
