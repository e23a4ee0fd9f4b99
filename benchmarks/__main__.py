"""Print every table and write them to benchmarks/README.md.

``python -m benchmarks`` runs them all; names as arguments choose single ones. Remarks that a
person adds to the README begin with > and stay below their heading when it is written anew.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.attack import attack
from benchmarks.attribution import attribution, deletion, passes
from benchmarks.decoder_flops import decoder
from benchmarks.engine import TABLES as ENGINE
from benchmarks.ray_overhead import ray_overhead
from benchmarks.reruns import reruns
from benchmarks.soak import soak
from benchmarks.tables import machine

TABLES = (*ENGINE, ray_overhead, reruns, decoder, soak, attack, attribution, deletion, passes)


README = Path(__file__).with_name("README.md")


def main(names: list[str]) -> None:
    """Run the tables in `names`, all of them without any; only a full run is written down."""
    chosen = [table for table in TABLES if not names or table.__name__ in names]
    found = []
    for table in chosen:
        found.append(table())
        print(found[-1], flush=True)
    if not names:
        README.write_text(page(found, remarks(README.read_text())))


def page(tables: Sequence[str], kept: Mapping[str, str]) -> str:
    """Return the README: heading, tables, and below each heading the remarks that are kept."""
    names = ", ".join(f"`{table.__name__}`" for table in TABLES)
    heading = (
        "# Benchmarks\n\n`make benchmark` prints these tables and writes them here; `python -m "
        f"benchmarks NAME` prints one ({names}). Ratios are of times measured side by side. How "
        "often intervals hold the truth is in [coverage.md](coverage.md), the sampled method in "
        "[sampled.md](sampled.md), what was found with damaged files in "
        f"[fuzzing.md](fuzzing.md).\n\nMeasured on {machine()}.\n"
    )
    return "\n".join(
        section + (f"\n{kept[title]}" if (title := section.partition("\n")[0]) in kept else "")
        for section in (heading, *tables)
    )


def remarks(readme: str) -> dict[str, str]:
    """Return the lines that a person wrote below each heading: those that begin with >."""
    found: dict[str, str] = {}
    title = ""
    for line in readme.splitlines():
        if line.startswith("#"):
            title = line
        elif line.startswith(">"):
            found[title] = f"{found.get(title, '')}{line}\n"
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
