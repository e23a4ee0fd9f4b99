"""Train the three demo models of questions about two digits and write weights and card.

python assets/demo_models/train_digits.py [NAME ...]
"""

from __future__ import annotations

import math
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from train import EPOCHS, SEED, main, saved

from emap_core import decompose
from emap_core.datasets.demo_digits import QUESTIONS, load
from emap_core.models import load_model
from emap_core.models.demo_digit_networks import (
    ARCHITECTURES,
    N_FEATURES,
    N_SAMPLES,
    ink_of,
    spectra_of,
    waves_of,
)
from emap_core.models.demo_networks import words_of

ITEMS_PER_STEP = 32
"""Images, and sounds: each step sees all questions with all combinations of them."""
LATEST = 800
NOISE = 0.01
MOST_STRETCHED = 0.12


def train(name: str) -> dict[str, float]:
    """Train one model and write its weights; return what went into it."""
    torch.manual_seed(SEED)
    data = load("train")
    words = sorted({word for question in QUESTIONS for word in words_of(question)})
    model = ARCHITECTURES[name](words, data.classes)
    counts = model.word_counts(data.items["question"])
    ink, waves = ink_of(data.items["written"]), waves_of(data.items["spoken"])
    written, spoken = digits_of(data, "written"), digits_of(data, "spoken")
    # These help the towers to see and to hear; they are dropped after training.
    seen, heard = nn.Linear(N_FEATURES, 10), nn.Linear(N_FEATURES, 10)

    steps = EPOCHS[name] * math.ceil(len(ink) / ITEMS_PER_STEP)
    parameters = [*model.parameters(), *seen.parameters(), *heard.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=4e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 4e-3, total_steps=steps, pct_start=0.1
    )
    order = torch.Generator().manual_seed(SEED)
    start = time.monotonic()
    for epoch in range(EPOCHS[name]):
        for images in torch.randperm(len(ink), generator=order).split(ITEMS_PER_STEP):
            sounds = torch.randperm(len(waves), generator=order)[:ITEMS_PER_STEP]
            look = model.written.features(_moved(ink[images], order))
            sound = model.spoken.features(spectra_of(_said_otherwise(waves[sounds], order)))
            logits = model.score_grid(
                model.question(counts), model.written.out(look), model.spoken.out(sound)
            )
            loss = functional.binary_cross_entropy_with_logits(
                logits[..., 0], _answers(written[images], spoken[sounds])
            )
            loss = loss + 0.3 * functional.cross_entropy(seen(look), written[images])
            loss = loss + 0.3 * functional.cross_entropy(heard(sound), spoken[sounds])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        if epoch % 5 == 4:
            print(f"{name}: epoch {epoch + 1}, loss {loss.item():.4f}", flush=True)
    return saved(model, name, time.monotonic() - start)


def measure(name: str) -> dict[str, float]:
    """Return the figures of one saved model on its whole test split, from its whole grid."""
    model, data = load_model(f"demo:{name}"), load("test")
    with torch.inference_mode():
        encoded = [model.encoders[side](data.items[side]) for side in model.sides]
        grid = model.score_grid(*encoded).numpy()
    result = decompose(grid, index=data.index)
    is_yes = np.array(data.labels) == "yes"

    def accuracy(scores: np.ndarray, kind: str | None = None) -> float:
        asked = np.ones(len(data), bool) if kind is None else data.columns["kind"] == kind
        return round(float(((scores[:, 0] > 0) == is_yes)[asked].mean()), 4)

    pairs = result.projection(2)
    return {
        "accuracy": accuracy(result.logits),
        "emap": accuracy(result.emap),
        "pairs": accuracy(pairs),
        "parity": accuracy(result.logits, "parity"),
        "parity_pairs": accuracy(pairs, "parity"),
        **{f"order_{k + 1}": round(float(s), 4) for k, (s,) in enumerate(result.order_shares)},
    }


def digits_of(data, side: str) -> torch.Tensor:
    """Return which digit each unique item of a side is."""
    _, first = np.unique(data.index[side], return_index=True)
    return torch.from_numpy(data.columns[f"{side}_digit"].to_numpy()[first])


def _answers(written: torch.Tensor, spoken: torch.Tensor) -> torch.Tensor:
    """Return 1 for yes and 0 for no, for all questions with all combinations of digits."""
    answers = [
        answer(written.numpy()[:, None], spoken.numpy()[None]) for _, answer in QUESTIONS.values()
    ]
    return torch.from_numpy(np.stack(answers)).float()


def _moved(ink: torch.Tensor, order: torch.Generator) -> torch.Tensor:
    """Move images by up to one cell, all the same way."""
    down, right = torch.randint(0, 3, (2,), generator=order)
    return functional.pad(ink, (1, 1, 1, 1))[:, :, down : down + 8, right : right + 8]


def _said_otherwise(waves: torch.Tensor, order: torch.Generator) -> torch.Tensor:
    """Make sounds faster and higher or slower and deeper, begin later, and add noise."""
    stretch = 1 + MOST_STRETCHED * (2 * torch.rand(1, generator=order).item() - 1)
    waves = functional.interpolate(waves[:, None], scale_factor=stretch, mode="linear")[:, 0]
    later = int(torch.randint(0, LATEST, (1,), generator=order))
    waves = functional.pad(waves, (later, N_SAMPLES))[:, :N_SAMPLES]
    return waves + NOISE * torch.rand(1, generator=order) * torch.randn(
        waves.shape, generator=order
    )


if __name__ == "__main__":
    main(train, list(ARCHITECTURES), measure)
