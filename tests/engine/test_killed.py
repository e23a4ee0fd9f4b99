"""A process that is killed outright loses at most the tile it was computing."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from emap_core.engine.noise import FEW
from emap_core.runs import Run, describe_run

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("warm_processes")]

MODULE = """
import os, time
from samples import Staged, make_examples

class Slow(Staged):
    fingerprint = "slow"

    def _count(self, what, n):
        with open(os.environ["COUNTS"], "a") as file:
            file.write(f"{what} {n}\\n")

    def encode_texts(self, texts):
        self._count("text", len(texts))
        return super().encode_texts(texts)

    def encode_images(self, images):
        self._count("image", len(images))
        return super().encode_images(images)

    def score(self, text_encodings, image_encodings):
        time.sleep(0.02)
        self._count("pair", len(text_encodings["t"]))
        return super().score(text_encodings, image_encodings)

def model():
    return Slow()

def data():
    return make_examples(n=200, n_texts=30, n_images=40)
"""

N_TILES = 60


def start(folder: Path, out: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "emap_core", "run", "--model", "slow_model:model"]
    command += ["--data", "slow_model:data", "--out", out, "--batch-size", "20"]
    tests = Path(__file__).parents[1]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join(map(str, (tests, tests.parent))),
            "COUNTS": str(folder / f"{out}.counts"),
        },
        stdout=subprocess.DEVNULL,
    )


def wait_for_tiles(folder: Path, process: subprocess.Popen, n: int) -> None:
    while len(list(folder.glob("tiles/*.npz"))) < n and process.poll() is None:
        time.sleep(0.005)


def counts(folder: Path, out: str) -> dict[str, int]:
    total = {"text": 0, "image": 0, "pair": 0}
    for line in (folder / f"{out}.counts").read_text().splitlines():
        what, n = line.split()
        total[what] += int(n)
    return total


def test_killed_twice_ends_with_the_same_bits(tmp_path):
    (tmp_path / "slow_model.py").write_text(MODULE)
    chance = random.Random(0)  # noqa: S311 - nothing secret
    alone = start(tmp_path, "whole")
    for part in (1, 2):
        process = start(tmp_path, "run")
        wait_for_tiles(tmp_path / "run", process, part * N_TILES // 3)
        time.sleep(chance.random() * 0.05)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert describe_run(tmp_path / "run").status == "interrupted"
    assert start(tmp_path, "run").wait() == 0
    assert alone.wait() == 0

    killed, whole = counts(tmp_path, "run"), counts(tmp_path, "whole")
    # A few pairs are encoded again to see whether it is the same model: when a run begins, both
    # times that it is resumed, and at its end.
    assert (killed["text"], killed["image"]) == (30 + 4 * FEW, 40 + 4 * FEW)
    assert (whole["text"], whole["image"]) == (30 + 2 * FEW, 40 + 2 * FEW)
    # A kill costs the tile that was being computed, and its last one if the count came first.
    assert killed["pair"] <= whole["pair"] + 2 * 2 * 20
    a, b = Run.load(tmp_path / "run"), Run.load(tmp_path / "whole")
    assert a.decomposition.equals(b.decomposition)
    np.testing.assert_array_equal(a.grid.load(), b.grid.load())


def test_sigterm_stops_cleanly_and_the_run_goes_on(tmp_path):
    (tmp_path / "slow_model.py").write_text(MODULE)
    process = start(tmp_path, "run")
    wait_for_tiles(tmp_path / "run", process, 5)
    process.terminate()
    assert process.wait() == 128 + signal.SIGTERM
    assert describe_run(tmp_path / "run").status == "cancelled"
    assert start(tmp_path, "run").wait() == 0
    assert Run.load(tmp_path / "run").manifest["n_pairs_evaluated"] == 1200
