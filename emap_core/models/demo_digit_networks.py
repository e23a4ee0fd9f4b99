"""Three models of a question, a written and a spoken digit, by how many sides interact in them.

Each encodes every item once, into a vector with everything that depends on this item alone. Only
`fuse` is left for a combination, the same function for aligned items and for the whole grid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import nn

from emap_core.errors import ModelError
from emap_core.modalities.audio import Sound
from emap_core.models.demo_networks import words_of

RATE = 8_000
N_SAMPLES = 6_400
"""The part of a sound that the models hear: its first 0.8 seconds."""
_WINDOW, _HOP = 256, 128
_N_BINS_PER_BAND = 4


class DigitsModel(nn.Module):
    """What the three models share: a tower per side and the staged contract.

    Parameters
    ----------
    words : sequence of str
        The vocabulary of the questions; other words are ignored.
    classes : sequence of str
        Names of the two answers; the one output is the logit of the second.
    """

    sides: ClassVar[tuple[str, ...]] = ("question", "written", "spoken")
    modalities: ClassVar[tuple[str, ...]] = ("text", "image", "audio")
    output: ClassVar[str] = "logits"
    size: ClassVar[int]

    fingerprint: str
    description: dict[str, str]

    def __init__(self, words: Sequence[str], classes: Sequence[str]) -> None:
        super().__init__()
        self.words = list(words)
        self.classes = list(classes)
        self.question = _Tower(_reader(len(self.words)), self.size)
        self.written = _Tower(_viewer(), self.size)
        self.spoken = _Tower(_listener(), self.size)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next(self.parameters()).device

    @property
    def encoders(self) -> dict[str, Callable[[list[Any]], torch.Tensor]]:
        """The encoder of each side: takes B items, returns shape (B, size)."""
        return {
            "question": lambda items: self.question(self._on_device(self.word_counts(items))),
            "written": lambda items: self.written(self._on_device(ink_of(items))),
            "spoken": lambda items: self.spoken(spectra_of(self._on_device(waves_of(items)))),
        }

    def forward(self, *items: list[Any]) -> torch.Tensor:
        """Return the logits of B aligned items of the sides, in order, shape (B, 1)."""
        if len(items) != len(self.sides):
            raise ModelError(
                f"the model reads {len(self.sides)} sides ({', '.join(self.sides)}), but was given "
                f"{len(items)}; give a list for each side"
            )
        encoded = [self.encoders[side](one) for side, one in zip(self.sides, items, strict=True)]
        return self.score(*encoded)

    def score(
        self, question: torch.Tensor, written: torch.Tensor, spoken: torch.Tensor
    ) -> torch.Tensor:
        """Return the logits of B aligned encodings, shape (B, 1)."""
        return self.fuse(question, written, spoken)

    def score_grid(
        self, question: torch.Tensor, written: torch.Tensor, spoken: torch.Tensor
    ) -> torch.Tensor:
        """Return the logits of every combination of encodings, shape (A, B, D, 1)."""
        return self.fuse(question[:, None, None], written[None, :, None], spoken[None, None])

    def fuse(
        self, question: torch.Tensor, written: torch.Tensor, spoken: torch.Tensor
    ) -> torch.Tensor:
        """Return the logits of encodings that broadcast together, shape (…, 1)."""
        raise NotImplementedError

    def word_counts(self, questions: Sequence[str]) -> torch.Tensor:
        """Return how often each word of the vocabulary occurs, shape (B, words)."""
        split = [words_of(question) for question in questions]
        return torch.tensor([[float(found.count(word)) for word in self.words] for found in split])

    def _on_device(self, values: torch.Tensor) -> torch.Tensor:
        return values.to(self.device)


class Additive(DigitsModel):
    """Adds up one logit per side: no interactions by construction."""

    size: ClassVar[int] = 1

    def fuse(  # noqa: D102
        self, question: torch.Tensor, written: torch.Tensor, spoken: torch.Tensor
    ) -> torch.Tensor:
        return question + written + spoken


class Pairs(DigitsModel):
    """Adds up a perceptron for every two sides: none sees all three, so order 3 is 0."""

    hidden: ClassVar[int] = 48
    size: ClassVar[int] = 2 * hidden

    def __init__(self, words: Sequence[str], classes: Sequence[str]) -> None:
        super().__init__(words, classes)
        self.question_written = _head(self.hidden)
        self.question_spoken = _head(self.hidden)
        self.written_spoken = _head(self.hidden)

    def fuse(  # noqa: D102
        self, question: torch.Tensor, written: torch.Tensor, spoken: torch.Tensor
    ) -> torch.Tensor:
        # Each vector has one half for each of the two other sides.
        first_question, second_question = question.chunk(2, dim=-1)
        first_written, second_written = written.chunk(2, dim=-1)
        first_spoken, second_spoken = spoken.chunk(2, dim=-1)
        logits: torch.Tensor = (
            self.question_written(first_question + first_written)
            + self.question_spoken(second_question + first_spoken)
            + self.written_spoken(second_written + second_spoken)
        )
        return logits


class Joint(DigitsModel):
    """A perceptron of all three sides together, its first layer projected side by side."""

    size: ClassVar[int] = 128

    def __init__(self, words: Sequence[str], classes: Sequence[str]) -> None:
        super().__init__(words, classes)
        self.head = _head(self.size)

    def fuse(  # noqa: D102
        self, question: torch.Tensor, written: torch.Tensor, spoken: torch.Tensor
    ) -> torch.Tensor:
        logits: torch.Tensor = self.head(question + written + spoken)
        return logits


ARCHITECTURES: dict[str, type[DigitsModel]] = {
    "digits-additive": Additive,
    "digits-pairs": Pairs,
    "digits-joint": Joint,
}
"""The models by name, least expressive first."""


def ink_of(images: Sequence[Image.Image]) -> torch.Tensor:
    """Return how dark images are in each of 8 × 8 cells, 0 to 1, shape (B, 1, 8, 8)."""
    cells = [image.convert("L").resize((8, 8), Image.Resampling.BOX) for image in images]
    return 1 - torch.from_numpy(np.stack([np.asarray(one) for one in cells]))[:, None] / 255


def waves_of(sounds: Sequence[Sound]) -> torch.Tensor:
    """Return the beginnings of sounds at 8,000 samples a second, 0 after the end, (B, 6400)."""
    waves = torch.zeros(len(sounds), N_SAMPLES)
    for wave, sound in zip(waves, sounds, strict=True):
        heard = torch.from_numpy(sound.resampled(RATE).samples[:N_SAMPLES].copy())
        wave[: len(heard)] = heard
    return waves


def spectra_of(waves: torch.Tensor) -> torch.Tensor:
    """Return the logarithm of the loudness in 32 bands over time, shape (B, 1, 32, 49)."""
    window = torch.hann_window(_WINDOW, device=waves.device)
    found = torch.stft(waves, _WINDOW, _HOP, window=window, center=False, return_complex=True)
    # The constant part carries no information.
    power = found.abs().square()[:, 1:].reshape(len(waves), -1, _N_BINS_PER_BAND, found.shape[2])
    loudness: torch.Tensor = power.mean(dim=2)
    return (loudness + 1e-3).log()[:, None]


class _Tower(nn.Module):
    """Items of one side as numbers → a vector."""

    def __init__(self, features: nn.Sequential, size: int) -> None:
        super().__init__()
        self.features = features
        self.out = nn.Linear(N_FEATURES, size)

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        vector: torch.Tensor = self.out(self.features(numbers))
        return vector


N_FEATURES = 32
"""Length of a tower's features before its last layer."""


def _reader(n_words: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_words, N_FEATURES), nn.ReLU())


def _viewer() -> nn.Sequential:
    return nn.Sequential(
        *_convolution(1, 16, 1),
        *_convolution(16, 32, 2),
        *(nn.Flatten(), nn.Linear(32 * 4 * 4, N_FEATURES), nn.ReLU()),
    )


def _listener() -> nn.Sequential:
    return nn.Sequential(
        *_convolution(1, 12, 2),
        *_convolution(12, 24, 2),
        *_convolution(24, 24, 2),
        *(nn.Flatten(), nn.Linear(24 * 4 * 7, N_FEATURES), nn.ReLU()),
    )


def _convolution(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    ]


def _head(size: int) -> nn.Sequential:
    return nn.Sequential(nn.ReLU(), nn.Linear(size, 64), nn.ReLU(), nn.Linear(64, 1))
