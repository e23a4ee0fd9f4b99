"""Time the tests by the clock: all of them, the quick ones, and the slowest single one.

``python -m benchmarks.timed.suite``; paths that follow choose tests. A version without quick tests
has its whole suite in their place.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

SLOWEST = re.compile(r"^([\d.]+)s (?:call|setup|teardown) +(.*)$", re.MULTILINE)


def main(*paths: str) -> None:
    """Print the seconds of each."""
    whole, printed = _seconds("--durations=1", "--durations-min=0", *paths)
    slowest = SLOWEST.search(printed)
    if slowest is None:
        raise RuntimeError(f"pytest named no slowest test: {printed}")
    print(f"whole: {whole}", f"slowest: {slowest[1]}", sep="\n", flush=True)
    print(f"The slowest test is {slowest[2]}.", file=sys.stderr)
    has_quick_tests = "--quick" in Path("tests/conftest.py").read_text()
    # As `make quick` does.
    quick = _seconds("--quick", "-n", "2", *paths)[0] if has_quick_tests else whole
    print(f"quick: {quick}")


def _seconds(*options: str) -> tuple[float, str]:
    """Return how long pytest took and what it printed; failures are told, and count as they are."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        check=False,
        stdout=subprocess.PIPE,
        text=True,
    )
    taken = time.perf_counter() - began
    if done.returncode:
        print(f"pytest {' '.join(options)} failed:\n{done.stdout[-2000:]}", file=sys.stderr)
    return taken, done.stdout


if __name__ == "__main__":
    main(*sys.argv[1:])
