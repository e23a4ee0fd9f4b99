"""What Ray costs per tile, compared with the engine in one process."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import emap_core as emap
from benchmarks.models import Bilinear, distinct_examples
from benchmarks.tables import markdown

SIDE, PAIRS_PER_TILE = 1_000, 100_000


class Waiting(Bilinear):
    """A head that takes long for a tile but needs no core, like a large one on a GPU."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.fingerprint = f"waiting {seconds}"

    def score_grid(self, texts: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Score every text with every image."""
        time.sleep(self.seconds * len(texts) * len(images) / PAIRS_PER_TILE)
        weighted = (texts[:, None] * self.weight).reshape(-1, 16)
        scores = weighted @ images.T
        return scores.reshape(len(texts), len(self.classes), -1).transpose(1, 2)


def ray_overhead() -> str:
    """Time the same plan on one worker of a local Ray and in one process."""
    import ray

    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        rows = [_row(seconds, keep) for seconds in (0.2, 1.0) for keep in ("sums", "grid")]
    finally:
        ray.shutdown()
    return markdown(
        "Ray against one process",
        f"{SIDE:,} × {SIDE:,} pairs, 10 classes, tiles of {PAIRS_PER_TILE:,} pairs; the head "
        "sleeps, as if a GPU did the work. The time from the last encoded chunk to the finished "
        "run, in one process and with one worker of a local Ray. The plan is the same.",
        ("seconds per tile", "kept", "one process, s", "Ray, s", "more per tile, ms", "ratio"),
        rows,
    )


def _row(seconds: float, keep: str) -> tuple[object, ...]:
    data = distinct_examples(SIDE, 10)
    took, tiles = {}, 1
    for engine in ("local", "ray"):
        events: list[dict[str, Any]] = []

        def listen(event: dict[str, Any], events: list[dict[str, Any]] = events) -> None:
            events.append(event | {"at": time.perf_counter()})

        with tempfile.TemporaryDirectory() as folder:
            emap.compute(
                Waiting(seconds),
                data,
                out=Path(folder) / "run",
                engine=engine,
                keep=keep,
                batch_size=PAIRS_PER_TILE,
                listener=listen,
            )
        began = max(e["at"] for e in events if e["event"] in ("planned", "encoding"))
        took[engine] = events[-1]["at"] - began
        tiles = next(e["tiles"] for e in events if e["event"] == "planned")
    local, shared = took["local"], took["ray"]
    return seconds, keep, local, shared, 1000 * (shared - local) / tiles, shared / local
