"""Time ``show`` of a finished run, from the start of the process to its end."""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.timed.finished_runs import finished_runs


def main() -> None:
    """Print the seconds."""
    with finished_runs(1) as folder:
        command = [sys.executable, "-m", "emap_core", "show", str(folder / "run-000")]
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        print(f"seconds: {time.perf_counter() - began}")


if __name__ == "__main__":
    main()
