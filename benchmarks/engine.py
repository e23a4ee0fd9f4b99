"""Time and memory of the engine, compared with the loops that a user would write."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

import emap_core as emap
from benchmarks.models import ByPairs, MlpHead, TwoTower, distinct_examples
from benchmarks.tables import markdown
from benchmarks.timed.floor import MODELS, engine_seconds, measure
from emap_core.decomposition import sum_tile
from emap_core.engine.problem import Problem

BATCH = 32
REPEATS = 4


def published_projection(grid: np.ndarray) -> np.ndarray:
    """Return the projection as published code computes it: nested dictionaries of vectors.

    Written from its description: stack all N² vectors for the mean, transpose the dictionary,
    and for each example add the means of its row and its column and take the mean away.
    """
    n = len(grid)
    by_text = {i: {j: grid[i, j] for j in range(n)} for i in range(n)}
    by_image: dict[int, dict[int, np.ndarray]] = {}
    for i, row in by_text.items():
        for j, vector in row.items():
            by_image.setdefault(j, {})[i] = vector
    mean = np.mean(np.vstack([v for row in by_text.values() for v in row.values()]), axis=0)
    return np.vstack(
        [
            np.mean(np.vstack(list(by_text[i].values())), axis=0)
            + np.mean(np.vstack(list(by_image[i].values())), axis=0)
            - mean
            for i in range(n)
        ]
    )


def seconds(function: Callable[[], Any], repeats: int = 1) -> float:
    """Return the shortest of some timings."""
    best = float("inf")
    for _ in range(repeats):
        began = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - began)
    return best


def loop_seconds(model: Any, data: Any, n_pairs: int) -> float:
    """Time the user's loop on `n_pairs` pairs: encoders and head on every one."""
    n = len(data)
    pairs = [(k // n, (k * 7) % n) for k in range(n_pairs)]
    images = [data.images[i] for i in range(n)]

    def loop() -> None:
        with torch.inference_mode():
            for start in range(0, n_pairs, BATCH):
                part = pairs[start : start + BATCH]
                model([data.texts[i] for i, _ in part], [images[j] for _, j in part]).numpy()

    return seconds(loop, 2)


def compute_seconds(model: Any, data: Any, **settings: Any) -> float:
    """Time the whole engine, from objects to a finished run folder."""
    with tempfile.TemporaryDirectory() as folder:
        return seconds(lambda: emap.compute(model, data, out=Path(folder) / "run", **settings))


def end_to_end() -> str:
    """Time the engine against the user's loop and the published algorithm."""
    rows = []
    concat = emap.load_model("demo:concat")

    def concat_pairs(texts: list[str], images: list[Any]) -> torch.Tensor:
        return concat.score(concat.encode_texts(texts), concat.encode_images(images))

    for n in (250, 500, 1000):
        data = distinct_examples(n, 3)
        vqa = emap.load_dataset("demo:easy-vqa", limit=n)
        for name, model, pairs, examples, n_classes in (
            ("two-tower transformer", TwoTower(), TwoTower(), data, 3),
            ("demo:concat", concat, concat_pairs, vqa, 13),
        ):
            measured = 2048
            loop = loop_seconds(pairs, examples, measured) * n * n / measured
            grid = np.random.default_rng(0).normal(size=(n, n, n_classes)).astype(np.float32)
            loop += seconds(lambda grid=grid: published_projection(grid))
            ours = compute_seconds(model, examples)
            rows.append((name, n, loop, ours, f"{loop / ours:.0f} ×"))
    return markdown(
        "End to end",
        f"The loop runs encoders and head on all N × N pairs, {BATCH} at a time, then the "
        "published nested-dictionary algorithm; it is measured on 2,048 pairs and extrapolated. "
        "The engine's time is from objects in memory to a finished run folder.",
        ("model", "N", "loop, s", "engine, s", "faster"),
        rows,
    )


def reduction() -> str:
    """Time the reduction of a grid that is already there."""
    rows = []
    for n in (500, 1000, 2000):
        grid = np.random.default_rng(0).normal(size=(n, n, 3)).astype(np.float32)
        share = np.full(n, 1 / n)
        published = seconds(lambda grid=grid: published_projection(grid))
        ours = seconds(lambda grid=grid, share=share: sum_tile(grid, share, share), 5)
        floor = seconds(lambda grid=grid: grid.sum(dtype=np.float64), 5)
        rows.append((n, published, ours, floor, f"{published / ours:.0f} ×", ours / floor))
    return markdown(
        "The reduction alone",
        "All sums, means and variances of an N × N grid of 3 classes, in memory as float32, "
        "against the published algorithm and against one `grid.sum()` in float64.",
        ("N", "published, s", "ours, s", "grid.sum(), s", "faster", "ours ÷ grid.sum()"),
        rows,
    )


def floor() -> str:
    """Time the engine against a bare loop of the same score calls."""
    rows = []
    for timed in MODELS.values():
        n_pairs, ours, (bare, summed) = measure(timed, False, True)
        rows.append((timed.name, n_pairs, ours, bare, ours / bare, summed, ours / summed))
        print(rows[-1], flush=True)
    return markdown(
        "Engine over floor",
        "The engine's time from the last encoded chunk to the finished run (of all of `compute` "
        "where the row says so), and that of a bare loop that scores the same pairs with "
        "`score` or `score_grid`, in batches of the engine's size and of three others, of which "
        "the fastest counts; the best of three each. The first pairs, which the engine scores to "
        "measure its speed, count as its time. The second loop also computes the sums of each tile "
        "that a projection needs, in float64. It does nothing else: it checks no outputs, keeps no "
        "answers and writes no file.",
        (
            "model",
            "pairs",
            "engine, s",
            "bare loop, s",
            "engine ÷ floor",
            "with sums, s",
            "engine ÷ with sums",
        ),
        rows,
    )


def plain() -> str:
    """Time runs with and without the sums that other papers' measures need."""
    rows = []
    for name, model, n in (
        ("two-tower head, score", ByPairs(TwoTower(n_classes=10)), 2000),
        ("two-tower head, score_grid", TwoTower(n_classes=10), 2000),
        ("MLP head of .8 MFLOP", MlpHead(), 500),
        ("demo:self-attention", emap.load_model("demo:self-attention"), 0),
    ):
        data = distinct_examples(n, 10) if n else emap.load_dataset("demo:easy-vqa", limit=1500)
        best = [float("inf"), float("inf")]
        for _ in range(REPEATS):
            for place, without in enumerate((False, True)):
                with patch.object(Problem, "recombine", None) if without else nullcontext():
                    best[place] = min(best[place], engine_seconds(model, data, True)[0])
        rows.append((name, *best, best[0] / best[1]))
        print(rows[-1], flush=True)
    return markdown(
        "A plain run and its further sums",
        'All of `compute` with `keep="sums"`, with the answers over all recombinations and '
        "without them. Other papers' measures are computed from these answers. They are all "
        f"that a plain run sums beyond the projection. Measured in turns, the best of {REPEATS} "
        "each.",
        ("model", "with, s", "without, s", "with ÷ without"),
        rows,
    )


def memory() -> str:
    """Measure peak memory and time as N doubles, each N in a process of its own."""
    rows = []
    for n in (1000, 2000, 4000, 8000, 16000):
        printed = subprocess.run(
            [sys.executable, "-c", _MEMORY, str(n)], check=True, capture_output=True, text=True
        ).stdout
        rows.append((n, n * n, *json.loads(printed)))
    return markdown(
        "Memory and time as N doubles",
        '`keep="sums"`, 10 classes, a bilinear head; all texts and images differ. Memory is the '
        "peak of the process beyond what it held before the first tile.",
        ("N", "pairs", "seconds", "MB beyond model and encodings"),
        rows,
    )


_MEMORY = """
import json, resource, sys, tempfile, time
from pathlib import Path
import emap_core as emap
from benchmarks.models import BilinearGrid, distinct_examples

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

before = {}
def listen(event):
    if event["event"] in ("planned", "encoding"):
        before["bytes"] = resident()
data = distinct_examples(int(sys.argv[1]), 10)
began = time.perf_counter()
with tempfile.TemporaryDirectory() as folder:
    emap.compute(BilinearGrid(), data, out=Path(folder) / "run", keep="sums", listener=listen)
took = time.perf_counter() - began
# Of this program alone; what getrusage gives begins with the peak of whoever started it.
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
peak = int(status["VmHWM"].split()[0]) * 1024
print(json.dumps([took, max(peak - before["bytes"], 0) / 1e6]))
"""


def easy_vqa() -> str:
    """Time the whole easy-VQA test set, from process start to sums written."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "emap_core", "run", "--model", "demo:concat"]
        command += ["--data", "demo:easy-vqa", "--out", f"{folder}/run", "--progress", "none"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        began = time.perf_counter()
        while not Path(folder, "run", "sums.npz").exists():
            if process.poll() is not None:
                raise RuntimeError("the run ended without sums")
            time.sleep(0.01)
        ours = time.perf_counter() - began
        process.wait()
        whole = time.perf_counter() - began
    concat = emap.load_model("demo:concat")
    data = emap.load_dataset("demo:easy-vqa")
    n = len(data)

    def pairs(texts: list[str], images: list[Any]) -> torch.Tensor:
        return concat.score(concat.encode_texts(texts), concat.encode_images(images))

    measured = 8192
    sample = emap.load_dataset("demo:easy-vqa", limit=500)
    loop = loop_seconds(pairs, sample, measured) * n * n / measured
    row = (f"{n:,}", "107 × 1,000", ours, whole, loop / 3600, f"{loop / ours:,.0f} ×")
    return markdown(
        "The whole easy-VQA test set, exact, demo:concat",
        "From the start of the process until the sums are written, and until the table with "
        f"intervals is printed. The time of all {n:,}² pairs is extrapolated from 8,192 of them, "
        "without a projection.",
        ("examples", "pairs", "to sums, s", "to intervals, s", "all pairs, h", "faster"),
        [row],
    )


def kills() -> str:
    """Kill a run ten times at random moments and compare it with one left alone."""
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:

        def start(out: str) -> subprocess.Popen[bytes]:
            command = [sys.executable, "-m", "emap_core", "run", "--model"]
            command += ["benchmarks.counted:model", "--data", "benchmarks.counted:data"]
            command += ["--out", f"{folder}/{out}", "--batch-size", "400", "--progress", "none"]
            return subprocess.Popen(
                command,
                stdout=subprocess.DEVNULL,
                env=os.environ | {"COUNTS": f"{folder}/{out}.txt"},
            )

        for kill in range(10):
            process = start("killed")
            while len(list(Path(folder).glob("killed/tiles/*.npz"))) < 10 * kill + 1:
                time.sleep(0.005)
            time.sleep(chance.random() * 0.1)
            process.send_signal(signal.SIGKILL)
            process.wait()
        for out in ("killed", "alone"):
            start(out).wait()
        killed, alone = (emap.Run.load(Path(folder, out)) for out in ("killed", "alone"))
        same = killed.decomposition.equals(alone.decomposition)
        counts = {}
        for out in ("killed", "alone"):
            lines = [line.split() for line in Path(folder, f"{out}.txt").read_text().splitlines()]
            for what in ("text", "image", "pair"):
                counts[out, what] = sum(int(n) for name, n in lines if name == what)
    rows = [
        (
            f"{what}s",
            counts["killed", what],
            counts["alone", what],
            counts["killed", what] / counts["alone", what],
        )
        for what in ("text", "image", "pair")
    ]
    return markdown(
        "Killed ten times",
        "How many texts and images a run encodes and how many pairs it scores if SIGKILL ends "
        "it at ten random moments, and if it is left alone, with the same plan. Same bits in "
        f"every array: {'yes' if same else 'NO'}.",
        ("what", "killed", "left alone", "ratio"),
        rows,
    )


TABLES = (end_to_end, reduction, floor, plain, memory, easy_vqa, kills)
