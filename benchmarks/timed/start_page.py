"""Time the page Start in a process that has not drawn a page yet, in processor seconds.

``python -m benchmarks.timed.start_page N`` takes N finished runs. Imports count.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from benchmarks.timed.finished_runs import finished_runs


def main(n_runs: int) -> None:
    """Print the seconds."""
    with finished_runs(n_runs) as folder:
        os.environ["EMAP_RUNS"] = str(folder)
        began = time.process_time()
        from streamlit.testing.v1 import AppTest

        app = AppTest.from_file(Path("app.py").resolve(), default_timeout=300).run()
        if app.exception:
            raise RuntimeError(app.exception)
        print(f"seconds: {time.process_time() - began}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
