"""Print every table and write them to benchmarks/README.md.

``python -m benchmarks`` runs the engine's tables; names as arguments choose single ones.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.attack import attack
from benchmarks.decoder_flops import decoder
from benchmarks.engine import TABLES as ENGINE
from benchmarks.ray_overhead import ray_overhead
from benchmarks.reruns import reruns
from benchmarks.soak import soak
from benchmarks.tables import machine

TABLES = (*ENGINE, ray_overhead, reruns, decoder, soak, attack)


def main(names: list[str]) -> None:
    """Run the tables in `names`, all of them without any; only a full run is written down."""
    chosen = [table for table in TABLES if not names or table.__name__ in names]
    found = []
    for table in chosen:
        found.append(table())
        print(found[-1], flush=True)
    if not names:
        heading = (
            "# Benchmarks\n\n`make benchmark` prints these tables and writes them here; `python -m "
            f"benchmarks NAME` prints one ({', '.join(f'`{t.__name__}`' for t in TABLES)}). Ratios "
            "are of times measured side by side. How often intervals hold the truth is in "
            "[coverage.md](coverage.md), the sampled method in [sampled.md](sampled.md), what was "
            f"found with damaged files in [fuzzing.md](fuzzing.md).\n\nMeasured on {machine()}.\n\n"
        )
        Path(__file__).with_name("README.md").write_text(heading + "\n".join(found))


if __name__ == "__main__":
    main(sys.argv[1:])
