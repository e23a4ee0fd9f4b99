"""Whether the engine has the same numbers on a GPU, and how fast and in how much memory.

``python -m benchmarks.gpu`` takes under six minutes on a GPU and prints a table to paste into
README.md. The exit code is 1 if a number is not that of the processor. ``--device cpu --small``
goes through the same steps in seconds, to try the script.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import emap_core as emap
from benchmarks.decoder_flops import small_llava
from benchmarks.models import distinct_examples
from benchmarks.tables import machine, markdown
from emap_core.errors import Cancelled
from emap_core.models import encodings as trees

MOST_DIFFERENT = 1e-4
"""How far a GPU's numbers in float32 may be from the processor's, as a share of their spread."""
SAME_BITS = "same bits"
_WORDS, _VOCABULARY = 16, 30_000


class _Synthetic(nn.Module):
    """Reads the synthetic examples: words are numbers, images are small."""

    def __init__(self, name: str, width: int, n_classes: int = 10) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.classes = [str(c) for c in range(n_classes)]
        self.fingerprint = name
        self.words = nn.Embedding(_VOCABULARY, width)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.words.weight.device

    def numbers(self, texts: list[str]) -> torch.Tensor:
        """Return the words of texts as numbers, shape (B, words)."""
        found = [[int(word) % _VOCABULARY for word in text.split()[:_WORDS]] for text in texts]
        return torch.tensor(found, device=self.device)

    def colours(self, images: list[Any]) -> torch.Tensor:
        """Return the pixels of images, shape (B, 32, 32, 3)."""
        pixels = torch.as_tensor(np.stack([np.asarray(image) for image in images]))
        return pixels.to(self.device).float() / 255


class Cheap(_Synthetic):
    """A head that costs next to nothing: one matrix product per class."""

    def __init__(self, width: int = 64) -> None:
        super().__init__(f"cheap {width}", width)
        self.pixels = nn.Linear(32 * 32 * 3, width)
        self.weight = nn.Parameter(torch.randn(len(self.classes), width))
        self.eval()

    def encode_texts(self, texts: list[str]) -> torch.Tensor:
        """Return the mean of the words."""
        return self.words(self.numbers(texts)).mean(1)

    def encode_images(self, images: list[Any]) -> torch.Tensor:
        """Return a projection of the pixels."""
        return self.pixels(self.colours(images).flatten(1))

    def score(self, texts: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Score aligned pairs."""
        return (texts * images) @ self.weight.T

    def score_grid(self, texts: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Score every text with every image."""
        weighted = (texts[:, None] * self.weight).flatten(0, 1)
        return (weighted @ images.T).unflatten(0, (len(texts), -1)).transpose(1, 2)


class Fusion(_Synthetic):
    """A transformer over words and patches as one sequence; every pair is a whole pass."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__(f"fusion {width} {layers}", width)
        self.pixels = nn.Linear(3, width)
        layer = nn.TransformerEncoderLayer(width, max(width // 64, 1), 4 * width, batch_first=True)
        self.fused = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.out = nn.Linear(width, len(self.classes))
        self.eval()

    def encode_texts(self, texts: list[str]) -> torch.Tensor:
        """Return one vector per word."""
        return self.words(self.numbers(texts))

    def encode_images(self, images: list[Any]) -> torch.Tensor:
        """Return one vector per patch."""
        patches = self.colours(images).permute(0, 3, 1, 2)
        pooled = nn.functional.adaptive_avg_pool2d(patches, 7)
        return self.pixels(pooled.flatten(2).transpose(1, 2))

    def score(self, texts: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Score aligned pairs."""
        return self.out(self.fused(torch.cat([texts, images], 1)).mean(1))


def agreement(device: str, small: bool) -> tuple[str, list[str]]:
    """Compare logits and sums of the device with the processor's, and a resumed run with another.

    Differences are the largest of any example and class, as a share of the logits' spread.

    Returns
    -------
    (str, list of str)
        The table, and what in it is not as it must be.
    """
    rows = []
    size = (64, 2) if small else (256, 4)
    data = distinct_examples(40 if small else 120, 10)
    for name, make in (("cheap head", Cheap), ("fusion transformer", lambda: Fusion(*size))):
        known = _run(make(), data, "cpu").decomposition
        spread = float(known.logits.std())
        for precision in ("float32", "bfloat16"):
            found = _run(make(), data, device, precision=precision).decomposition
            differences = [
                float(np.abs(getattr(found, part) - getattr(known, part)).max()) / spread
                for part in ("logits", "emap", "emap_leave_one_out", "interaction")
            ]
            rows.append((name, precision, *differences, _resumes(make, data, device, precision)))
    table = markdown(
        "GPU: the same numbers",
        f"{device} against float32 on the processor, the largest difference as a share of the "
        f"logits' standard deviation. Those of float32 must stay below {MOST_DIFFERENT:g}. "
        "Resumed: a run that is cancelled half way and started again must end with the bits of one "
        "that is not.",
        ("model", "precision", "logits", "EMAP", "leave-one-out", "interaction", "resumed"),
        rows,
    )
    return table, disagreements(rows)


def disagreements(rows: Sequence[Sequence[Any]]) -> list[str]:
    """Return in words which rows are not as they must be."""
    found = []
    for name, precision, *differences, resumed in rows:
        largest = float(np.max(differences))
        # NaN is not below anything.
        if precision == "float32" and not largest < MOST_DIFFERENT:
            found.append(f"{name} in float32 is {largest:g} off; the most is {MOST_DIFFERENT:g}")
        if resumed != SAME_BITS:
            found.append(f"{name} in {precision} has {resumed} after it was resumed")
    return found


def speed(device: str, small: bool) -> str:
    """Time the engine over a bare loop of the same calls, and how long the device is busy."""
    rows = []
    models: list[tuple[str, Callable[[], Any], int]] = [
        ("cheap head, score_grid", Cheap, 300 if small else 4000),
        (
            "fusion transformer" + ("" if small else ", 108 M parameters"),
            lambda: Fusion(64, 2) if small else Fusion(768, 12),
            24 if small else 100,
        ),
        (
            "decoder" + ("" if small else ", 0.9 B parameters"),
            lambda: small_llava(64, 2) if small else small_llava(2048, 18),
            6 if small else 40,
        ),
    ]
    for name, make, n in models:
        for precision in ("float32", "bfloat16"):
            model, data = make(), replace(distinct_examples(n, 3), labels=None)
            model.to(device)
            _reset(device)
            with _busy(model, device) as busy:
                began = time.perf_counter()
                _, plan = _run_and_plan(model, data, device, precision=precision, keep="sums")
                engine = time.perf_counter() - began
            peak = _peak(device)
            floor = _bare(model, data, device, precision, plan)
            rows.append(
                (
                    name,
                    precision,
                    n * n,
                    engine,
                    engine / floor,
                    busy() / engine if device.startswith("cuda") else "not measured",
                    peak,
                )
            )
            del model
    return markdown(
        "GPU: engine over floor",
        "`compute` as a whole, from objects to a finished run folder, against a bare loop that "
        "encodes each text and image once and scores the same tiles, the better of two. Busy is "
        "the device's time inside the model's calls, by its own clock, as a share of the engine's "
        "time; memory is torch's peak on the device.",
        ("model", "precision", "pairs", "engine, s", "engine ÷ floor", "busy", "peak, MB"),
        rows,
    )


def streamed(device: str, small: bool) -> str:
    """Run with a device that is nearly full, so that encodings stay on the host."""
    if not device.startswith("cuda"):
        return "Encodings that do not fit were not tried: this needs a GPU.\n"
    model, data = Fusion(768, 2).to(device), distinct_examples(1500 if small else 3000, 10)
    kept = _encodings_bytes(model, data)
    settings = {"method": "sampled", "images_per_text": 4, "keep": "sums"}
    alone = _run(model, data, device, **settings)
    free = torch.cuda.mem_get_info(device)[0]
    ballast = torch.empty(max(free - 2 * kept, 0), dtype=torch.uint8, device=device)
    before = torch.cuda.memory_allocated(device)
    _reset(device)
    full = _run(model, data, device, **settings)
    peak = _peak(device) - before / 1e6
    difference = float(np.abs(full.decomposition.emap - alone.decomposition.emap).max())
    del ballast
    return markdown(
        "GPU: encodings that do not fit",
        "The rest of the device is filled, so that a quarter of what is free holds neither side's "
        "encodings. Memory is torch's peak on the device beyond model and filling.",
        ("encodings, MB", "free, MB", "peak, MB", "largest difference to an empty device"),
        [(kept / 1e6, 2 * kept / 1e6, peak, difference)],
    )


def _run(model: Any, data: Any, device: str, **settings: Any) -> emap.Run:
    return _run_and_plan(model, data, device, **settings)[0]


def _run_and_plan(model: Any, data: Any, device: str, **settings: Any) -> tuple[emap.Run, Any]:
    with tempfile.TemporaryDirectory() as folder:
        run = emap.compute(
            model, data, out=Path(folder) / "run", device=device, n_resamples=100, **settings
        )
        run.decomposition  # noqa: B018 - read before the folder goes
        return run, json.loads((run.path / "plan.json").read_text())


def _resumes(make: Callable[[], Any], data: Any, device: str, precision: str) -> str:
    settings: dict[str, Any] = {"device": device, "precision": precision, "batch_size": 64}
    settings |= {"n_resamples": 100}
    tiles = [0]

    def half() -> bool:
        tiles[0] += 1
        return tiles[0] > 6

    with tempfile.TemporaryDirectory() as folder:
        try:
            emap.compute(make(), data, out=f"{folder}/cut", cancelled=half, **settings)
            return "was never cancelled"
        except Cancelled:
            pass
        cut = emap.compute(make(), data, out=f"{folder}/cut", **settings).decomposition
        whole = emap.compute(make(), data, out=f"{folder}/whole", **settings).decomposition
    return SAME_BITS if np.array_equal(cut.emap, whole.emap) else "OTHER BITS"


def _bare(model: Any, data: Any, device: str, precision: str, plan: Any) -> float:
    texts = list(data.texts)
    images = [data.images[i] for i in range(len(data))]
    kind = None if precision == "float32" else torch.bfloat16
    rows, columns = plan["tile_texts"], plan["tile_images"]
    with torch.inference_mode(), torch.autocast(device.split(":")[0], kind, kind is not None):

        def loop() -> None:
            t = trees.concatenate([model.encode_texts(part) for part in _chunks(texts)])
            v = trees.concatenate([model.encode_images(part) for part in _chunks(images)])
            for a in range(0, len(texts), rows):
                for b in range(0, len(images), columns):
                    few_texts = trees.take(t, slice(a, a + rows))
                    few_images = trees.take(v, slice(b, b + columns))
                    if getattr(model, "score_grid", None) is not None:
                        model.score_grid(few_texts, few_images).float().cpu()
                        continue
                    n, m = trees.count(few_texts), trees.count(few_images)
                    at, to = np.repeat(np.arange(n), m), np.tile(np.arange(m), n)
                    model.score(trees.take(few_texts, at), trees.take(few_images, to)).float().cpu()

        times = []
        for _ in range(2):
            began = time.perf_counter()
            loop()
            times.append(time.perf_counter() - began)
    return min(times)


def _chunks(items: list[Any]) -> list[list[Any]]:
    return [items[start : start + 64] for start in range(0, len(items), 64)]


@contextmanager
def _busy(model: Any, device: str) -> Iterator[Callable[[], float]]:
    """Wrap the model's scoring in events of the device; give a function to the seconds."""
    pairs: list[tuple[Any, Any]] = []
    name = "score_grid" if getattr(model, "score_grid", None) is not None else "score"
    whole = getattr(model, name)

    def timed(texts: Any, images: Any) -> Any:
        before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        before.record()
        scores = whole(texts, images)
        after.record()
        pairs.append((before, after))
        return scores

    def total() -> float:
        torch.cuda.synchronize(device)
        return sum(before.elapsed_time(after) for before, after in pairs) / 1000

    if not device.startswith("cuda"):
        yield lambda: 0.0
        return
    setattr(model, name, timed)
    yield total
    delattr(model, name)


def _encodings_bytes(model: Any, data: Any) -> int:
    with torch.inference_mode():
        one = trees.n_bytes(model.encode_images([data.images[0]]))
        one += trees.n_bytes(model.encode_texts([data.texts[0]]))
    return one * len(data)


def _reset(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def _peak(device: str) -> Any:
    if not device.startswith("cuda"):
        return "not measured"
    return torch.cuda.max_memory_allocated(device) / 1e6


def main() -> int:
    """Print each table as soon as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else None)
    parser.add_argument("--small", action="store_true", help="models of a few thousand weights")
    options = parser.parse_args()
    if options.device is None:
        parser.error("no GPU was found; try the script with --device cpu --small")
    name = torch.cuda.get_device_name() if options.device.startswith("cuda") else "no GPU"
    print(f"Measured on {name}, {machine()}.\n", flush=True)
    began = time.perf_counter()
    table, wrong = agreement(options.device, options.small)
    print(table, flush=True)
    for make in (speed, streamed):
        print(make(options.device, options.small), flush=True)
    print(f"All of it took {time.perf_counter() - began:.0f} s.")
    for one in wrong:
        print(one, file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
