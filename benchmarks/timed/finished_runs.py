"""A folder of finished runs, all copies of one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DEMO = ("run", "--model", "demo:concat", "--data", "demo:easy-vqa", "--progress", "none")
"""Arguments of the run: the demo that the page Start offers."""
KEPT = "TIMED_RUNS"
"""Variable with a folder in which the runs are kept for the next script."""


@contextmanager
def finished_runs(n: int) -> Iterator[Path]:
    """Yield a folder with `n` runs, named run-000 and so on; each has settings of its own."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(os.environ.get(KEPT, temporary)) / str(n)
        if not folder.exists():
            _copy(_one_run(folder.with_name("one")), folder, n)
        yield folder


def _one_run(folder: Path) -> Path:
    if not folder.exists():
        command = [sys.executable, "-m", "emap_core", *DEMO, "--out", str(folder)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


def _copy(run: Path, folder: Path, n: int) -> None:
    manifest = json.loads((run / "run.json").read_text())
    for number in range(n):
        copy = folder / f"run-{number:03d}"
        shutil.copytree(run, copy, copy_function=os.link)
        manifest["settings"]["seed"] = number
        (copy / "run.json").unlink()
        (copy / "run.json").write_text(json.dumps(manifest))
