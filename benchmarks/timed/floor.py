"""Time the engine against the same pairs through the model's scoring in a bare loop.

The loop tries several batch sizes, and the fastest counts. Against a loop with the engine's own
size, an engine that chooses a slow one would look good.

``python -m benchmarks.timed.floor MODEL``, one of those below.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import emap_core as emap
from benchmarks.models import ByPairs, MlpHead, TwoTower, distinct_examples
from benchmarks.timed.versions import first_module
from emap_core.decomposition import sum_tile

_encodings = first_module("emap_core.models.encodings", "emap_core.models.states")
count, take = _encodings.count, _encodings.take
REPEATS = 3
BATCH_SIZES = (2048, 8192, 32768)
"""Tried by the loop, beside the engine's own."""


@dataclass(frozen=True)
class Timed:
    """A model whose engine is timed.

    Attributes
    ----------
    name : str
        In the table.
    model : function
    n : int
        Texts, and images; 0 for 1,500 examples of easy-VQA.
    whole : bool
        Whether all of `compute` counts; else the time from the last encoded chunk on.
    """

    name: str
    model: Callable[[], Any]
    n: int
    whole: bool = False


MODELS = {
    "self-attention": Timed(
        "demo:self-attention, score_grid", lambda: emap.load_model("demo:self-attention"), 0
    ),
    "pairs": Timed("two-tower head, score", lambda: ByPairs(TwoTower(n_classes=10)), 3000),
    "grid": Timed("two-tower head, score_grid", lambda: TwoTower(n_classes=10), 4000),
    "mlp": Timed("MLP head of .8 MFLOP, `compute` whole", MlpHead, 700, whole=True),
}


def measure(timed: Timed, *loops: bool) -> tuple[int, float, list[float]]:
    """Time the engine and some bare loops in turns, each the best of three.

    Returns
    -------
    n_pairs : int
        Pairs that each of them scores.
    engine : float
        Seconds of the engine.
    bare : list of float
        Seconds of a loop for each of `loops`, with sums or without.
    """
    model = timed.model()
    data = (
        distinct_examples(timed.n, 10)
        if timed.n
        else emap.load_dataset("demo:easy-vqa", limit=1500)
    )
    best = [float("inf")] * (1 + len(loops))
    encoded: tuple[Any, Any] | None = None
    for _ in range(REPEATS):
        seconds, run, plan = engine_seconds(model, data, timed.whole)
        with torch.inference_mode():
            if encoded is None:
                images = [data.images[i] for i in _first(run)]
                encoded = model.encode_texts(run.texts), model.encode_images(images)
            taken = [seconds]
            for sums in loops:
                of_sizes = []
                for at_once in {plan["batch_size"], *BATCH_SIZES}:
                    began = time.perf_counter()
                    bare_loop(model, *encoded, plan | {"batch_size": at_once}, sums)
                    of_sizes.append(time.perf_counter() - began)
                taken.append(min(of_sizes))
        best = list(map(min, best, taken))
    return plan["n_texts"] * plan["n_images"], best[0], best[1:]


def engine_seconds(model: Any, data: Any, whole: bool) -> tuple[float, Any, dict[str, Any]]:
    """Return how long a run took, the run, and its plan."""
    events: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        run = emap.compute(
            model,
            data,
            out=Path(folder) / "run",
            keep="sums",
            listener=lambda e: events.append(e | {"at": time.perf_counter()}),
        )
        plan = json.loads((run.path / "plan.json").read_text())
        # Read these while the folder is there: a run reads its files when they are asked for.
        run.texts, _first(run)
    if not whole:
        began = max(e["at"] for e in events if e["event"] in ("planned", "encoding"))
    return events[-1]["at"] - began, run, plan


def bare_loop(model: Any, texts: Any, images: Any, plan: dict[str, Any], sums: bool) -> None:
    """Score all pairs of a plan, as many at a time; with `sums`, add up the cells of each tile."""
    n_texts, n_images, at_once = plan["n_texts"], plan["n_images"], plan["batch_size"]
    for top in range(0, n_texts, plan["tile_texts"]):
        for left in range(0, n_images, plan["tile_images"]):
            t = take(texts, slice(top, top + plan["tile_texts"]))
            v = take(images, slice(left, left + plan["tile_images"]))
            shape = count(t), count(v)
            columns = min(shape[1], at_once)
            rows = max(1, at_once // columns)
            cells = np.empty((*shape, plan["n_classes"]), np.float32)
            for b in range(0, shape[1], columns):
                for a in range(0, shape[0], rows):
                    some, others = take(t, slice(a, a + rows)), take(v, slice(b, b + columns))
                    if hasattr(model, "score_grid"):
                        scores = model.score_grid(some, others)
                    else:
                        places = np.indices((count(some), count(others))).reshape(2, -1)
                        scores = model.score(take(some, places[0]), take(others, places[1]))
                    found = scores.numpy().reshape(count(some), count(others), -1)
                    if sums:
                        cells[a : a + rows, b : b + columns] = found
            if sums:
                sum_tile(cells, np.full(shape[0], 1 / n_texts), np.full(shape[1], 1 / n_images))


def _first(run: Any) -> np.ndarray:
    """Return the first example of each image."""
    d = run.decomposition
    # The earlier version has an index of images.
    index = d.column_index if hasattr(d, "column_index") else d.image_index
    return np.unique(index, return_index=True)[1]


def main(name: str) -> None:
    """Print the engine's time over that of the bare loop."""
    _, engine, (bare,) = measure(MODELS[name], False)
    print(f"engine: {engine}", f"loop: {bare}", f"ratio: {engine / bare}", sep="\n")


if __name__ == "__main__":
    main(sys.argv[1])
