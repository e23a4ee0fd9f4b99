"""Time the demo in a terminal, from the start of the process to the verdict with intervals."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

from benchmarks.timed.finished_runs import DEMO


def main() -> None:
    """Print the seconds."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "emap_core", *DEMO]
        environment = os.environ | {"EMAP_RUNS": folder}
        began = time.perf_counter()
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        print(f"seconds: {time.perf_counter() - began}")


if __name__ == "__main__":
    main()
