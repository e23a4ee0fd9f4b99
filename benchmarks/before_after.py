"""What takes how long in an earlier version and in this one, measured side by side.

``python -m benchmarks before_after`` prints all rows but those of the tests, which take minutes:
``python -m benchmarks suites`` prints these. ``python -m benchmarks.before_after ROW ...`` prints
any of them, and ``--rounds 1`` measures each once.

While this runs, the earlier version is checked out in a temporary folder. Both use the same
libraries, and take turns.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.rows import ROWS, SUITES, Row
from benchmarks.tables import markdown
from benchmarks.timed.finished_runs import KEPT

BEFORE = "e354b4a"
"""The earlier version."""
ROOT = Path(__file__).parents[1]
NOTE = (
    f"Version {BEFORE} and this one, measured in turns, the best of several rounds. The command of "
    "a row measures it alone, in a checkout of either version. Seconds (s) are by the clock, with "
    "all cores: what a person waits for. Processor seconds are those of one thread. The floor is a "
    "bare loop that scores the same pairs."
)


def before_after() -> str:
    """Measure both versions, without their tests."""
    return compare("Before and after", ROWS)


def suites() -> str:
    """Time the tests of both versions."""
    return compare("Tests before and after", SUITES)


def compare(title: str, rows: Sequence[Row], most_rounds: int | None = None) -> str:
    """Measure rows in both versions and return their table."""
    with tempfile.TemporaryDirectory() as folder, _checked_out(Path(folder) / "before") as before:
        found: list[tuple[object, ...]] = []
        for command in dict.fromkeys(row.command for row in rows):
            of_command = [row for row in rows if row.command == command]
            best = _best(of_command[0], before, Path(folder), most_rounds)
            for row in of_command:
                found.append(cells(row, *(values[row.value] for values in best)))
                print(found[-1], flush=True)
    columns = (
        *("row", "what", "command", "unit", "before", "after", "after ÷ before"),
        *("goal", "goal met"),
    )
    return markdown(title, NOTE, columns, found)


def cells(row: Row, before: float, after: float) -> tuple[object, ...]:
    """Return the cells of a row."""
    return (
        *(row.name, row.what, f"`{row.command}`", row.unit, before, after, after / before),
        *(row.goal, "yes" if after <= row.goal else "no"),
    )


def values_of(printed: str) -> dict[str, float]:
    """Return the values that a command prints, one ``value: number`` a line."""
    lines = (line.rpartition(": ") for line in printed.splitlines())
    return {name: float(number) for name, separator, number in lines if separator}


def _best(
    row: Row, before: Path, folder: Path, most_rounds: int | None
) -> tuple[dict[str, float], dict[str, float]]:
    """Run the command of a row in turns; return the smallest of each value, before and after."""
    found: tuple[list[Mapping[str, float]], ...] = ([], [])
    rounds = [min(one, most_rounds or one) for one in (row.rounds_before, row.rounds)]
    for number in range(max(rounds)):
        for place, checkout in enumerate((before, ROOT)):
            if number < rounds[place]:
                runs = folder / f"runs-{place}"
                found[place].append(_measured(row.command, checkout, runs))
    first, second = (
        {name: min(values[name] for values in of_one) for name in of_one[0]} for of_one in found
    )
    return first, second


def _measured(command: str, checkout: Path, runs: Path) -> dict[str, float]:
    """Run a command in a checkout and return the values that it prints."""
    words = [sys.executable if word == "python" else word for word in shlex.split(command)]
    environment = os.environ | {"PYTHONPATH": str(checkout), KEPT: str(runs)}
    # Images of containers often set it; without it, Python compiles a module once, not each time.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    printed = subprocess.run(
        ["/usr/bin/env", *words],
        cwd=checkout,
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    return values_of(printed)


@contextmanager
def _checked_out(folder: Path) -> Iterator[Path]:
    """Check the earlier version out, with the scripts of this one."""
    git = shutil.which("git") or "git"
    subprocess.run(
        [git, "worktree", "add", "--quiet", "--detach", folder, BEFORE], cwd=ROOT, check=True
    )
    ours, theirs = Path(__file__).parent, folder / "benchmarks"
    shutil.copytree(ours / "timed", theirs / "timed")
    shutil.copy(ours / "models.py", theirs / "models.py")
    try:
        yield folder
    finally:
        subprocess.run([git, "worktree", "remove", "--force", folder], cwd=ROOT, check=True)


def main() -> None:
    """Print the rows that are asked for."""
    parser = argparse.ArgumentParser(description="Measure some rows before and after.")
    every = {row.name: row for row in (*ROWS, *SUITES)}
    parser.add_argument(
        "rows", nargs="+", choices=list(every), metavar="ROW", help=", ".join(every)
    )
    parser.add_argument("--rounds", type=int, help="measure each row this often at most")
    given = parser.parse_args()
    print(compare("Before and after", [every[name] for name in given.rows], given.rounds))


if __name__ == "__main__":
    main()
