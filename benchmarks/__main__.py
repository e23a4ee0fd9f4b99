"""Print every table and write them to benchmarks/README.md.

``python -m benchmarks`` runs them all and writes them. ``python -m benchmarks NAME ...`` prints
some of them; with ``--write`` it also replaces these in the README and leaves the others alone.
People can add remarks to the README: lines that begin with > stay below their heading. A table that
cannot be measured here, because a library is missing, keeps its figures, and the machine and day
above all tables stay; the program says so, and exits with 1 if the table was asked for by name.

Each ratio is compared with the one in the README, which another machine may have measured. If a
ratio is more than a quarter larger, the program says so, and exits with 1.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.attack import attack
from benchmarks.attribution import attribution, deletion, passes
from benchmarks.before_after import before_after, suites
from benchmarks.decoder_flops import decoder
from benchmarks.engine import TABLES as ENGINE
from benchmarks.ray_overhead import ray_overhead
from benchmarks.reruns import reruns
from benchmarks.soak import soak
from benchmarks.tables import NotMeasuredError, machine

TABLES = (
    before_after,
    suites,
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
"""How much larger than the stored one a ratio may be: timings vary on the same machine."""


def main(given: Sequence[str] | None = None) -> int:
    """Run some tables or all; return 1 if a ratio has grown or a named table is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure.")
    by_name = {table.__name__: table for table in TABLES}
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(by_name))
    parser.add_argument("--write", action="store_true", help="write these tables to the README")
    arguments = parser.parse_args(given)
    for name in arguments.names:
        if name not in by_name:
            parser.error(f"{name!r} is not a table; choose from {', '.join(by_name)}")
    stored = README.read_text()
    found: list[str] = []
    chosen = arguments.names or list(by_name)
    for name in chosen:
        try:
            found.append(by_name[name]())
        except NotMeasuredError as reason:
            print(f"{name} was not measured: {reason}", file=sys.stderr)
            continue
        print(found[-1], flush=True)
    slower = regressions(stored, "\n".join(found))
    for one in slower:
        print(f"slower than in {README.name}: {one}", file=sys.stderr)
    lacking = len(found) < len(chosen)
    if not arguments.names:
        # The heading names the machine and the day of all tables.
        README.write_text(replaced(stored, found if lacking else [heading(), *found]))
    elif arguments.write:
        README.write_text(replaced(stored, found))
    return int(bool(slower) or (lacking and bool(arguments.names)))


def replaced(stored: str, found: Sequence[str]) -> str:
    """Return a README with some tables replaced; new ones follow those before them in `found`."""
    sections = [one.rstrip("\n") for one in re.split(r"^(?=## )", stored, flags=re.MULTILINE)]
    kept = remarks(stored)
    place = len(sections)
    for table in found:
        title = table.partition("\n")[0]
        section = f"{table}\n{kept.get(title, '')}".rstrip("\n")
        titles = [one.partition("\n")[0] for one in sections]
        if title in titles:
            place = titles.index(title)
            sections[place] = section
        else:
            sections.insert(place, section)
        place += 1
    return "\n\n".join(sections) + "\n"


def regressions(stored: str, measured: str) -> list[str]:
    """Return in words which ratios of one text's tables are much larger in the other's.

    Ratios stand in columns that are called so, or that have a ÷ in their name. Smaller is better. A
    row is found again by its heading and first cell.
    """
    before = ratios(stored)
    return [
        f"{' · '.join(where)}: {ratio:g}, was {before[where]:g}"
        for where, ratio in ratios(measured).items()
        if where in before and ratio > MOST_GROWTH * before[where]
    ]


def ratios(text: str) -> dict[tuple[str, ...], float]:
    """Return the ratios in all tables of a text, by heading, first cell of the row, and column.

    If rows of one table have the same first cell, all but the first are numbered.
    """
    found: dict[tuple[str, ...], float] = {}
    title, columns, seen = "", [], Counter[str]()
    for line in text.splitlines():
        if line.startswith("#"):
            title, columns, seen = line.lstrip("# "), [], Counter()
        elif line.startswith("| ") and not line.startswith("| ---"):
            row = [cell.strip() for cell in line.strip()[1:-1].split("|")]
            if not columns:
                columns = row
                continue
            seen[row[0]] += 1
            name = row[0] if seen[row[0]] == 1 else f"{row[0]} ({seen[row[0]]})"
            for column, cell in zip(columns, row, strict=True):
                if column == "ratio" or "÷" in column:
                    found[title, name, column] = float(cell)
    return found


def heading() -> str:
    """Return what stands above the tables."""
    names = ", ".join(f"`{table.__name__}`" for table in TABLES)
    return (
        "# Benchmarks\n\n`make benchmark` prints these tables and writes them here; `python -m "
        f"benchmarks NAME` prints one ({names}). Each ratio compares times that were measured side "
        "by side. If one has grown by more than a quarter, the command says so and exits with 1. "
        "How often intervals hold the truth is in [coverage.md](coverage.md), and for three sides "
        "in [three_sides_coverage.md](three_sides_coverage.md). The sampled method is in "
        "[sampled.md](sampled.md), and what was found with damaged files in "
        f"[fuzzing.md](fuzzing.md).\n\nMeasured on {machine()}.\n"
    )


def remarks(readme: str) -> dict[str, str]:
    """Return the lines that a person wrote below each heading: those that begin with >."""
    found: dict[str, str] = {}
    title, before = "", ""
    for line in readme.splitlines():
        if line.startswith("#"):
            title = line
        elif line.startswith(">"):
            # Paragraphs stay apart.
            apart = "\n" if title in found and not before.startswith(">") else ""
            found[title] = f"{found.get(title, '')}{apart}{line}\n"
        before = line
    return found


if __name__ == "__main__":
    sys.exit(main())
