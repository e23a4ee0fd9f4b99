"""Synthetic models and data of any size, to measure with."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import nn

from emap_core.datasets.base import Examples
from emap_core.models.fusion import FusedLinear

VOCABULARY, LENGTH, PATCHES, WIDTH = 500, 16, 16, 192


def distinct_examples(n: int, n_classes: int, seed: int = 0) -> Examples:
    """Return N examples with texts and images that are all different."""
    rng = np.random.default_rng(seed)
    words = rng.integers(1, VOCABULARY, (n, LENGTH - 1))
    pixels = rng.integers(0, 255, (n, 32, 32, 3), dtype=np.uint8)
    return Examples(
        texts=[" ".join(map(str, [i, *row])) for i, row in enumerate(words)],
        images=[Image.fromarray(one) for one in pixels],
        image_keys=list(range(n)),
        labels=[int(label) for label in rng.integers(0, n_classes, n)],
        fingerprint=f"distinct {n} {n_classes} {seed}",
    )


class TwoTower(nn.Module):
    """Transformer encoders for text and image and a fused head, with random weights."""

    def __init__(self, n_classes: int = 3, layers: int = 4, width: int = WIDTH) -> None:
        super().__init__()
        torch.manual_seed(0)

        def encoder() -> nn.Module:
            layer = nn.TransformerEncoderLayer(width, 4, 4 * width, batch_first=True)
            return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)

        self.classes = [str(c) for c in range(n_classes)]
        self.fingerprint = f"two tower {n_classes} {layers} {width}"
        self.words, self.text_encoder = nn.Embedding(VOCABULARY, width), encoder()
        self.patches, self.image_encoder = nn.Linear(8 * 8 * 3, width), encoder()
        self.hidden = FusedLinear(width, width, 64)
        self.out = nn.Linear(64, n_classes)
        self.eval()

    def text_vectors(self, texts: list[str]) -> torch.Tensor:
        """Return the mean of the encoded words, shape (B, width)."""
        tokens = [[int(word) % VOCABULARY for word in text.split()] for text in texts]
        return self.text_encoder(self.words(torch.tensor(tokens))).mean(1)

    def image_vectors(self, images: list[Image.Image]) -> torch.Tensor:
        """Return the mean of the encoded patches, shape (B, width)."""
        pixels = torch.as_tensor(np.stack([np.asarray(image) for image in images])) / 255.0
        cut = pixels.reshape(-1, 4, 8, 4, 8, 3).transpose(2, 3).reshape(len(images), PATCHES, -1)
        return self.image_encoder(self.patches(cut)).mean(1)

    def forward(self, texts: list[str], images: list[Image.Image]) -> torch.Tensor:
        """Score pairs from scratch, as a training script does."""
        hidden = self.hidden(self.text_vectors(texts), self.image_vectors(images))
        return self.out(torch.relu(hidden))

    def encode_texts(self, texts: list[str]) -> torch.Tensor:
        """Return the text's share of the hidden layer."""
        return self.hidden.text(self.text_vectors(texts))

    def encode_images(self, images: list[Image.Image]) -> torch.Tensor:
        """Return the image's share of the hidden layer."""
        return self.hidden.image(self.image_vectors(images))

    def score(self, texts: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Score aligned pairs."""
        return self.out(torch.relu(self.hidden.pairs(texts, images)))

    def score_grid(self, texts: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Score every text with every image."""
        return self.out(torch.relu(self.hidden.grid(texts, images)))


class ByPairs:
    """A model without its `score_grid`: encodings are joined pair by pair."""

    def __init__(self, model: TwoTower) -> None:
        self.classes = model.classes
        self.fingerprint = f"{model.fingerprint} by pairs"
        self.encode_texts, self.encode_images = model.encode_texts, model.encode_images
        self.score = model.score


class MlpHead:
    """A head of .8 million operations per pair, whose encodings cost next to nothing."""

    def __init__(self, n_classes: int = 10) -> None:
        torch.manual_seed(0)
        self.classes = [str(c) for c in range(n_classes)]
        self.fingerprint = f"mlp head {n_classes}"
        self.head = nn.Sequential(
            nn.Linear(512, 512),
            nn.ReLU(),
            nn.Linear(512, 256),
            nn.ReLU(),
            nn.Linear(256, n_classes),
        ).eval()

    def encode_texts(self, texts: list[str]) -> torch.Tensor:
        """Return 256 numbers per text."""
        rows = [[float(word) / VOCABULARY for word in text.split()[:LENGTH]] for text in texts]
        return torch.tensor(rows).repeat(1, 256 // LENGTH)

    def encode_images(self, images: list[Image.Image]) -> torch.Tensor:
        """Return 256 numbers per image."""
        pixels = np.stack([np.asarray(image)[:16, :16, 0].ravel() for image in images])
        return torch.tensor(pixels / 255.0).float()

    def score(self, texts: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Score aligned pairs."""
        return self.head(torch.cat([texts, images], dim=1))


class Bilinear:
    """The cheapest head there is: one dot product per class, encodings of 16 numbers."""

    def __init__(self, n_classes: int = 10) -> None:
        self.classes = [str(c) for c in range(n_classes)]
        self.fingerprint = f"bilinear {n_classes}"
        self.weight = torch.randn(n_classes, 16, generator=torch.Generator().manual_seed(0))

    def encode_texts(self, texts: list[str]) -> torch.Tensor:
        """Return 16 numbers per text."""
        rows = [[(int(word) % 97) / 97 for word in text.split()[:16]] for text in texts]
        return torch.tensor(rows)

    def encode_images(self, images: list[Image.Image]) -> torch.Tensor:
        """Return 16 numbers per image."""
        return torch.tensor(np.stack([np.asarray(v)[0, :16, 0] for v in images]) / 255.0).float()

    def score(self, texts: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Score aligned pairs."""
        return (texts * images) @ self.weight.T


class BilinearGrid(Bilinear):
    """The same with a matrix product for whole tiles."""

    def score_grid(self, texts: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Score every text with every image."""
        weighted = (texts[:, None] * self.weight).reshape(-1, 16)
        scores = weighted @ images.T
        return scores.reshape(len(texts), len(self.classes), -1).transpose(1, 2)
