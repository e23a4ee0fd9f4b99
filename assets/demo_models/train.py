"""Train six demo models on the training split of easy-VQA and write their weights and card.

    python assets/demo_models/train.py [NAME ...]

Seeded. The test split serves for the figures in the card alone. The models for emoji are in
train_emoji.py beside this script, those for digits in train_digits.py.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn import functional

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parents[1]))

from emap_core import decompose  # noqa: E402
from emap_core.datasets import load_dataset  # noqa: E402
from emap_core.datasets.grid_cells import find_cells  # noqa: E402
from emap_core.datasets.labels import match_labels  # noqa: E402
from emap_core.models import load_model  # noqa: E402
from emap_core.models.demo_digit_networks import DigitsModel  # noqa: E402
from emap_core.models.demo_networks import (  # noqa: E402
    ARCHITECTURES,
    DemoModel,
    pixels_of,
    words_of,
)
from emap_core.models.encodings import take  # noqa: E402

SEED = 0
IMAGES_PER_STEP = 64
EPOCHS = {
    "text-only": 10,
    "image-only": 10,
    "additive": 30,
    "concat": 60,
    "self-attention": 40,
    "cross-attention": 60,
    "emoji-groups": 30,
    "emoji-match": 25,
    "digits-additive": 10,
    "digits-pairs": 30,
    "digits-joint": 30,
}
"""Passes over the training split; the last ones at a learning rate that goes to zero."""


def train(name: str) -> dict[str, float]:
    """Train one model and write its weights; return what went into it."""
    torch.manual_seed(SEED)
    data = load_dataset("demo:easy-vqa", split="train")
    cells = find_cells(data)
    words = sorted({word for text in cells.row_words for word in words_of(text)})
    model = ARCHITECTURES[name](words, data.classes)

    numbers = model.word_numbers(cells.row_words)
    pixels = pixels_of([data.images[i] for i in cells.sides[1].examples])
    text_index = torch.from_numpy(cells.row_index)
    image_index = torch.from_numpy(cells.column_index)
    labels = torch.from_numpy(match_labels(data, data.classes, len(data.classes)))
    questions = [
        torch.from_numpy(group)
        for group in np.split(
            np.argsort(cells.column_index, kind="stable"),
            np.cumsum(np.bincount(cells.column_index))[:-1],
        )
    ]

    steps = EPOCHS[name] * math.ceil(len(pixels) / IMAGES_PER_STEP)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 3e-3, total_steps=steps, pct_start=0.1
    )
    order = torch.Generator().manual_seed(SEED)
    start, total, seen = time.monotonic(), 0.0, 0
    for epoch in range(EPOCHS[name]):
        for images in torch.randperm(len(pixels), generator=order).split(IMAGES_PER_STEP):
            asked = torch.cat([questions[i] for i in images])
            position = torch.empty(len(pixels), dtype=torch.long)
            position[images] = torch.arange(len(images))
            logits = model.score(
                take(model.text_encodings(numbers), text_index[asked]),
                take(
                    model.image_encodings(flipped(pixels[images], order)),
                    position[image_index[asked]],
                ),
            )
            loss = functional.cross_entropy(logits, labels[asked])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total, seen = total + loss.item() * len(asked), seen + len(asked)
        if epoch % 5 == 4:
            print(f"{name}: epoch {epoch + 1}, loss {total / seen:.4f}", flush=True)
        total, seen = 0.0, 0
    return saved(model, name, time.monotonic() - start)


def measure(name: str) -> dict[str, float]:
    """Return the figures of one saved model on its whole test split, from its whole grid."""
    model = load_model(f"demo:{name}")
    data = load_dataset(f"demo:{name}" if name.startswith("emoji") else "demo:easy-vqa")
    cells = find_cells(data)
    with torch.inference_mode():
        texts = model.encode_texts(cells.row_words)
        images = model.encode_images([data.images[i] for i in cells.sides[1].examples])
        grid = np.concatenate(
            [
                model.score_grid(take(texts, slice(u, u + 4)), images).numpy()
                for u in range(0, len(cells.row_words), 4)
            ]
        )
    result = decompose(grid, cells.row_index, cells.column_index)
    n_classes = result.logits.shape[1]
    labels = match_labels(data, model.classes, n_classes)
    shares = (result.class_centred() if n_classes > 1 else result).pooled_shares

    def accuracy(scores: np.ndarray) -> float:
        predicted = scores.argmax(axis=1) if n_classes > 1 else scores[:, 0] > 0
        return round(float((predicted == labels).mean()), 4)

    return {
        "accuracy": accuracy(result.logits),
        "emap": accuracy(result.emap),
        "emap_leave_one_out": accuracy(result.emap_leave_one_out),
        "text": round(float(shares[0]), 4),
        "image": round(float(shares[1]), 4),
        "interaction": round(float(shares[2]), 4),
    }


def flipped(
    pixels: torch.Tensor, order: torch.Generator, axes: tuple[int, ...] = (2, 3)
) -> torch.Tensor:
    """Mirror a batch or not; no answer depends on left and right or up and down."""
    for axis in axes:
        if torch.rand(1, generator=order) < 0.5:
            pixels = pixels.flip(axis)
    return pixels


def saved(model: DemoModel | DigitsModel, name: str, seconds: float) -> dict[str, float]:
    """Write the weights with words and classes; return what went into the training."""
    weights = {key: value.contiguous() for key, value in model.state_dict().items()}
    described = {"words": json.dumps(model.words), "classes": json.dumps(model.classes)}
    save_file(weights, FOLDER / f"{name}.safetensors", metadata=described)
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "epochs": EPOCHS[name],
        "seconds": round(seconds),
    }


def _write_card(figures: dict[str, dict[str, float]]) -> None:
    rows = {
        name: f"| `demo:{name}` | {f['accuracy']:.4f} | {f['emap']:.4f} "
        f"| {f['emap_leave_one_out']:.4f} "
        f"| {f['text']:.3f} | {f['image']:.3f} | {f['interaction']:.3f} "
        f"| {f['parameters']:,} | {f['epochs']} | {f['seconds']} |"
        for name, f in figures.items()
        if not name.startswith("digits")
    }
    emoji = [row for name, row in rows.items() if name.startswith("emoji")]
    questions = [row for name, row in rows.items() if not name.startswith("emoji")]
    digits = [
        f"| `demo:{name}` | {f['accuracy']:.4f} | {f['emap']:.4f} | {f['pairs']:.4f} "
        f"| {f['parity']:.4f} | {f['parity_pairs']:.4f} "
        f"| {f['order_1']:.3f} | {f['order_2']:.3f} | {f['order_3']:.3f} "
        f"| {f['parameters']:,} | {f['epochs']} | {f['seconds']} |"
        for name, f in figures.items()
        if name.startswith("digits")
    ]
    template = (FOLDER / "card.md").read_text()
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, seed {SEED}"
    (FOLDER / "README.md").write_text(
        template.replace("{rows}", "\n".join(questions))
        .replace("{emoji rows}", "\n".join(emoji))
        .replace("{digits rows}", "\n".join(digits))
        .replace("{versions}", versions)
    )


def main(
    train: Callable[[str], dict[str, float]],
    names: list[str],
    measure: Callable[[str], dict[str, float]] = measure,
) -> None:
    """Train the models that are named, all of `names` by default, measure them, write the card."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    names = parser.parse_args().names or names
    store = FOLDER / "figures.json"
    for name in names:
        measured = train(name) | measure(name)
        print(name, measured, flush=True)
        figures = (json.loads(store.read_text()) if store.exists() else {}) | {name: measured}
        figures = {known: figures[known] for known in EPOCHS if known in figures}
        store.write_text(json.dumps(figures, indent=1) + "\n")
        _write_card(figures)


if __name__ == "__main__":
    main(train, [name for name in EPOCHS if not name.startswith(("emoji", "digits"))])
