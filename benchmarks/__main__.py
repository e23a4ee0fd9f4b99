"""Print every table and write them to benchmarks/README.md.

``python -m benchmarks`` runs them all; names as arguments choose single ones. Remarks that a
person adds to the README begin with > and stay below their heading when it is written anew.

Ratios are held against those that the README had, which another machine may have measured. Each
that has grown by a quarter is told, and the exit code is then 1.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.attack import attack
from benchmarks.attribution import attribution, deletion, passes
from benchmarks.before_after import before_after
from benchmarks.decoder_flops import decoder
from benchmarks.engine import TABLES as ENGINE
from benchmarks.ray_overhead import ray_overhead
from benchmarks.reruns import reruns
from benchmarks.soak import soak
from benchmarks.tables import machine

TABLES = (
    before_after,
    *ENGINE,
    ray_overhead,
    reruns,
    decoder,
    soak,
    attack,
    attribution,
    deletion,
    passes,
)


README = Path(__file__).with_name("README.md")
MOST_GROWTH = 1.25
"""How much larger a ratio may be than the stored one, by the unrest of a machine alone."""


def main(names: list[str]) -> int:
    """Run the tables in `names`, all of them without any; only a full run is written down."""
    chosen = [table for table in TABLES if not names or table.__name__ in names]
    stored, found = README.read_text(), []
    for table in chosen:
        found.append(table())
        print(found[-1], flush=True)
    slower = regressions(stored, "\n".join(found))
    for one in slower:
        print(f"slower than in {README.name}: {one}", file=sys.stderr)
    if not names:
        README.write_text(page(found, remarks(stored)))
    return int(bool(slower))


def regressions(stored: str, measured: str) -> list[str]:
    """Return in words which ratios of one text's tables are much larger in the other's.

    Ratios stand in columns that are called so, or that have a ÷ in their name: the smaller, the
    better. Rows go by heading, place and first cell.
    """
    before = ratios(stored)
    return [
        f"{' · '.join(where)}: {ratio:g}, was {before[where]:g}"
        for where, ratio in ratios(measured).items()
        if where in before and ratio > MOST_GROWTH * before[where]
    ]


def ratios(text: str) -> dict[tuple[str, ...], float]:
    """Return the ratios in all tables of a text, by heading, place and name of row, and column."""
    found: dict[tuple[str, ...], float] = {}
    title, rows = "", []
    for line in text.splitlines():
        if line.startswith("#"):
            title, rows = line.lstrip("# "), []
        elif line.startswith("| ") and not line.startswith("| ---"):
            rows.append([cell.strip() for cell in line.strip()[1:-1].split("|")])
            for column, cell in zip(rows[0], rows[-1], strict=True):
                if len(rows) > 1 and (column == "ratio" or "÷" in column):
                    found[title, f"row {len(rows) - 1}", rows[-1][0], column] = float(cell)
    return found


def page(tables: Sequence[str], kept: Mapping[str, str]) -> str:
    """Return the README: heading, tables, and below each heading the remarks that are kept."""
    names = ", ".join(f"`{table.__name__}`" for table in TABLES)
    heading = (
        "# Benchmarks\n\n`make benchmark` prints these tables and writes them here; `python -m "
        f"benchmarks NAME` prints one ({names}). Ratios are of times measured side by side; "
        "those that have grown by a quarter since are told. How often "
        "intervals hold the truth is in [coverage.md](coverage.md), the sampled method in "
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
    sys.exit(main(sys.argv[1:]))
