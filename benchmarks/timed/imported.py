"""Time a process that does nothing but ``import emap_core``; the best of ten."""

from __future__ import annotations

import subprocess
import sys
import time


def main() -> None:
    """Print the seconds."""
    taken = []
    for _ in range(10):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import emap_core"], check=True)
        taken.append(time.perf_counter() - began)
    print(f"seconds: {min(taken)}")


if __name__ == "__main__":
    main()
