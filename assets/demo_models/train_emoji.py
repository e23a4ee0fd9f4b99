"""Train the two demo models for emoji on their training split and write weights and card.

python assets/demo_models/train_emoji.py [NAME ...]
"""

from __future__ import annotations

import math
import time

import torch
from torch import nn
from torch.nn import functional
from train import EPOCHS, SEED, flipped, main, saved

from emap_core.datasets import load_dataset
from emap_core.datasets.labels import match_labels
from emap_core.models.demo_networks import (
    ARCHITECTURES,
    UNKNOWN,
    DemoModel,
    pixels_of,
    words_of,
)

EMOJI_PER_STEP = 128
SHIFT = 6
FORGOTTEN = 0.4


def train(name: str) -> dict[str, float]:
    """Train one model and write its weights; return what went into it."""
    torch.manual_seed(SEED)
    data = load_dataset("demo:emoji-groups", split="train")
    words = sorted({word for text in data.texts for word in words_of(text)})
    classes = data.classes if name == "emoji-groups" else ["no", "yes"]
    model = ARCHITECTURES[name](words, classes)
    numbers, pixels = model.word_numbers(data.texts), pixels_of(list(data.images))
    labels = torch.from_numpy(match_labels(data, data.classes, len(data.classes)))
    # The groups help the image tower to see; this head is dropped after training.
    groups = nn.LazyLinear(len(data.classes))

    steps = EPOCHS[name] * math.ceil(len(pixels) / EMOJI_PER_STEP)
    groups(model.image_encodings(pixels[:2]))
    parameters = [*model.parameters(), *groups.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=3e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 3e-3, total_steps=steps, pct_start=0.1
    )
    order = torch.Generator().manual_seed(SEED)
    start = time.monotonic()
    for epoch in range(EPOCHS[name]):
        for batch in torch.randperm(len(pixels), generator=order).split(EMOJI_PER_STEP):
            texts = model.text_encodings(_forgetful(numbers[batch], order))
            images = model.image_encodings(_moved(pixels[batch], order))
            loss = _loss(model, texts, images, labels[batch])
            loss = loss + 0.3 * functional.cross_entropy(groups(images), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        if epoch % 5 == 4:
            print(f"{name}: epoch {epoch + 1}, loss {loss.item():.4f}", flush=True)
    return saved(model, name, time.monotonic() - start)


def _loss(
    model: DemoModel, texts: torch.Tensor, images: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    if len(model.classes) > 2:
        return functional.cross_entropy(model.score(texts, images), labels)
    # Every name with every picture of the batch; half of the weight is on those that belong.
    logits = model.score_grid(texts, images)[:, :, 0]
    own = torch.eye(len(labels), dtype=torch.bool)
    return functional.softplus(-logits[own]).mean() + functional.softplus(logits[~own]).mean()


def _forgetful(numbers: torch.Tensor, order: torch.Generator) -> torch.Tensor:
    # Most words of a new name are new: a model that never met an unknown word would trust the rest.
    lost = torch.rand(numbers.shape, generator=order) < FORGOTTEN
    return torch.where(lost & (numbers > UNKNOWN), UNKNOWN, numbers)


def _moved(pixels: torch.Tensor, order: torch.Generator) -> torch.Tensor:
    padded = functional.pad(pixels, (SHIFT,) * 4, value=255)
    down, right = torch.randint(0, 2 * SHIFT + 1, (2,), generator=order)
    size = pixels.shape[-1]
    return flipped(padded[:, :, down : down + size, right : right + size], order, axes=(3,))


if __name__ == "__main__":
    main(train, ["emoji-groups", "emoji-match"])
