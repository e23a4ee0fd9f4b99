"""The demo models' architectures: seven ways to combine a text and a small picture.

All of them encode each text and image once, into encodings with everything that depends on one side
alone. The function left for a pair is the same for aligned pairs and for the grid.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar, cast

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from emap_core.models.attention import AttentionSite
from emap_core.models.fusion import FusedLinear

VERSION = "1"
"""Part of every fingerprint; raise it when the same weights would give other outputs."""

IMAGE_SIZE = 64
_WORD = re.compile(r"[^\W_]+")
_PADDING, UNKNOWN, _START = 0, 1, 2  # special numbers below those of the words
_N_SPECIAL = 3
_N_POSITIONS = 32
_PARTS = ("tokens", "query", "keys", "values")
_CACHED_PAIRS = 256
"""So many pairs of a small transformer fit into a processor's cache."""


class DemoModel(nn.Module):
    """What the demo models share: words, pixels and the staged contract.

    Parameters
    ----------
    words : sequence of str
        The vocabulary; every other word becomes the same unknown one.
    classes : sequence of str
        Names of the C outputs.
    """

    fingerprint: str
    description: dict[str, str]

    def __init__(self, words: Sequence[str], classes: Sequence[str]) -> None:
        super().__init__()
        self.words = list(words)
        self.classes = list(classes)
        self._number_of_word = {word: i + _N_SPECIAL for i, word in enumerate(words)}

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def encode_texts(self, texts: list[str]) -> Any:
        """Return the encodings of B texts."""
        return self.text_encodings(self.word_numbers(texts).to(self.device))

    def encode_images(self, images: list[Image.Image]) -> Any:
        """Return the encodings of B images of any size."""
        return self.image_encodings(pixels_of(images).to(self.device))

    def forward(self, texts: list[str], images: list[Image.Image]) -> torch.Tensor:
        """Return the logits of B aligned pairs, shape (B, C)."""
        logits: torch.Tensor = self.score(self.encode_texts(texts), self.encode_images(images))
        return logits

    def word_numbers(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the numbers of the words, shape (B, length), a start before and padding after."""
        rows = [
            [_START, *(self._number_of_word.get(word, UNKNOWN) for word in words_of(text))]
            for text in texts
        ]
        numbers = torch.full((len(rows), max(map(len, rows), default=1)), _PADDING)
        for row, found in zip(numbers, rows, strict=True):
            row[: len(found)] = torch.tensor(found)
        return numbers

    def text_encodings(self, numbers: torch.Tensor) -> Any:
        """Return the encodings of texts given as word numbers, shape (B, length)."""
        raise NotImplementedError

    def image_encodings(self, pixels: torch.Tensor) -> Any:
        """Return the encodings of images given as bytes, shape (B, 3, 64, 64)."""
        raise NotImplementedError

    def score(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:
        """Return the logits of B aligned pairs, shape (B, C)."""
        raise NotImplementedError

    def score_grid(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:
        """Return the logits of A texts with B images, shape (A, B, C)."""
        raise NotImplementedError


class TextOnly(DemoModel):
    """Reads the text and never looks at the image."""

    def __init__(self, words: Sequence[str], classes: Sequence[str]) -> None:
        super().__init__(words, classes)
        self.text = _TextTower(len(words), len(classes))

    def text_encodings(self, numbers: torch.Tensor) -> torch.Tensor:  # noqa: D102
        logits: torch.Tensor = self.text(numbers)
        return logits

    def image_encodings(self, pixels: torch.Tensor) -> torch.Tensor:  # noqa: D102
        return torch.zeros(len(pixels), 1, device=pixels.device)

    def score(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:  # noqa: D102
        logits: torch.Tensor = text_encodings
        return logits

    def score_grid(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:  # noqa: D102
        logits: torch.Tensor = text_encodings[:, None].expand(-1, len(image_encodings), -1)
        return logits


class ImageOnly(DemoModel):
    """Looks at the image and never reads the text."""

    def __init__(self, words: Sequence[str], classes: Sequence[str]) -> None:
        super().__init__(words, classes)
        self.image = _ImageTower(len(classes))

    def text_encodings(self, numbers: torch.Tensor) -> torch.Tensor:  # noqa: D102
        return torch.zeros(len(numbers), 1, device=numbers.device)

    def image_encodings(self, pixels: torch.Tensor) -> torch.Tensor:  # noqa: D102
        logits: torch.Tensor = self.image(pixels)
        return logits

    def score(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:  # noqa: D102
        logits: torch.Tensor = image_encodings
        return logits

    def score_grid(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:  # noqa: D102
        logits: torch.Tensor = image_encodings[None].expand(len(text_encodings), -1, -1)
        return logits


class Additive(DemoModel):
    """Adds the logits of a text tower and of an image tower: no interactions by construction."""

    def __init__(self, words: Sequence[str], classes: Sequence[str]) -> None:
        super().__init__(words, classes)
        self.text = _TextTower(len(words), len(classes))
        self.image = _ImageTower(len(classes))

    def text_encodings(self, numbers: torch.Tensor) -> torch.Tensor:  # noqa: D102
        logits: torch.Tensor = self.text(numbers)
        return logits

    def image_encodings(self, pixels: torch.Tensor) -> torch.Tensor:  # noqa: D102
        logits: torch.Tensor = self.image(pixels)
        return logits

    def score(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:  # noqa: D102
        return FusedLinear.pairs(text_encodings, image_encodings)

    def score_grid(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:  # noqa: D102
        return FusedLinear.grid(text_encodings, image_encodings)


class Concat(DemoModel):
    """A multilayer perceptron on the concatenated vectors of both sides."""

    size: ClassVar[int] = 64
    hidden: ClassVar[int] = 128

    def __init__(self, words: Sequence[str], classes: Sequence[str]) -> None:
        super().__init__(words, classes)
        self.text = _TextTower(len(words), self.size)
        self.image = _ImageTower(self.size)
        self.fused = FusedLinear(self.size, self.size, self.hidden)
        self.head = nn.Linear(self.hidden, len(classes))

    def text_encodings(self, numbers: torch.Tensor) -> torch.Tensor:  # noqa: D102
        projected: torch.Tensor = self.fused.text(functional.relu(self.text(numbers)))
        return projected

    def image_encodings(self, pixels: torch.Tensor) -> torch.Tensor:  # noqa: D102
        projected: torch.Tensor = self.fused.image(functional.relu(self.image(pixels)))
        return projected

    def score(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:  # noqa: D102
        logits: torch.Tensor = self.head(self.fused.pairs(text_encodings, image_encodings).relu_())
        return logits

    def score_grid(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:  # noqa: D102
        logits: torch.Tensor = self.head(self.fused.grid(text_encodings, image_encodings).relu_())
        return logits


class SelfAttention(DemoModel):
    """A transformer over the words and the cells of the image as one sequence."""

    size: ClassVar[int] = 32

    def __init__(self, words: Sequence[str], classes: Sequence[str]) -> None:
        super().__init__(words, classes)
        self.tokens = _Tokens(len(words), self.size)
        self.cells = _ImageCells(self.size)
        self.first = _Block(self.size)
        self.second = _Block(self.size)
        self.head = nn.Sequential(nn.LayerNorm(self.size), nn.Linear(self.size, len(classes)))

    def text_encodings(self, numbers: torch.Tensor) -> dict[str, torch.Tensor]:  # noqa: D102
        return self._encodings(self.tokens(numbers)) | {"attention_mask": numbers != _PADDING}

    def image_encodings(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:  # noqa: D102
        return self._encodings(self.cells(pixels))

    def score(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:  # noqa: D102
        mask = text_encodings["attention_mask"]
        mask = functional.pad(mask, (0, image_encodings["tokens"].shape[1]), value=True)
        return self._fuse(text_encodings, image_encodings, mask)

    def score_grid(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:  # noqa: D102
        lengths = text_encodings["attention_mask"].sum(dim=1)
        n_texts, n_images = len(lengths), len(image_encodings["tokens"])
        at_once = _CACHED_PAIRS if lengths.device.type == "cpu" else n_texts * n_images
        logits: torch.Tensor = text_encodings["tokens"].new_empty(
            n_texts, n_images, len(self.classes)
        )
        for length in lengths.unique().tolist():
            # Texts of equal length need no padding.
            for rows in (lengths == length).nonzero()[:, 0].split(max(1, at_once // n_images)):
                texts = {name: text_encodings[name][rows, ..., :length, :] for name in _PARTS}
                for start in range(0, n_images, at_once):
                    columns = slice(start, start + at_once)
                    images = {name: image_encodings[name][columns] for name in _PARTS}
                    logits[rows, columns] = self._fuse_all(texts, images)
        return logits

    def _fuse_all(self, texts: Any, images: Any) -> torch.Tensor:
        a, b = len(texts["tokens"]), len(images["tokens"])
        repeated = {k: v.repeat_interleave(b, dim=0) for k, v in texts.items()}
        images = {k: v.repeat(a, *[1] * (v.ndim - 1)) for k, v in images.items()}
        return self._fuse(repeated, images, None).reshape(a, b, -1)

    def attention_sites(self) -> list[AttentionSite]:
        """Return both layers; the last one queries only the start token."""
        return [
            AttentionSite(self.first.attention, 0),
            AttentionSite(self.second.attention, 1, (("text", "both"),)),
        ]

    def image_positions(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:
        """Mark positions after the words as cells of the image, shape (1, length)."""
        n_words, n_cells = (e["tokens"].shape[1] for e in (text_encodings, image_encodings))
        read: torch.Tensor = torch.arange(n_words + n_cells, device=self.device)[None] >= n_words
        return read

    def _encodings(self, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
        # The first layer's queries, keys and values see one token each, so they do not depend on a
        # pair.
        query, keys, values = self.first.attention.project(self.first.before(tokens))
        return {"tokens": tokens, "query": query, "keys": keys, "values": values}

    def _fuse(self, texts: Any, images: Any, mask: torch.Tensor | None) -> torch.Tensor:
        tokens, query, keys, values = (
            torch.cat([texts[name], images[name]], dim=-2) for name in _PARTS
        )
        tokens = self.first.finish(tokens, self.first.attention(query, keys, values, mask))
        # Only the start token is read out, so the last layer queries only that one.
        query, keys, values = self.second.attention.project(self.second.before(tokens))
        attended = self.second.attention(query[:, :, :1], keys, values, mask)
        logits: torch.Tensor = self.head(self.second.finish(tokens[:, :1], attended)[:, 0])
        return logits


class CrossAttention(DemoModel):
    """Words attend to words and cells to cells; then the question attends twice to the cells."""

    size: ClassVar[int] = 32

    def __init__(self, words: Sequence[str], classes: Sequence[str]) -> None:
        super().__init__(words, classes)
        self.tokens = _Tokens(len(words), self.size)
        self.cells = _ImageCells(self.size)
        self.reader = _Block(self.size)
        self.viewer = _Block(self.size)
        self.looks = nn.ModuleList([_Block(self.size), _Block(self.size)])
        self.head = nn.Sequential(nn.LayerNorm(self.size), nn.Linear(self.size, len(classes)))

    def text_encodings(self, numbers: torch.Tensor) -> torch.Tensor:  # noqa: D102
        read: torch.Tensor = self.reader(self.tokens(numbers), numbers != _PADDING)[:, 0]
        return read

    def image_encodings(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:  # noqa: D102
        cells = functional.layer_norm(self.viewer(self.cells(pixels)), (self.size,))
        encodings: dict[str, torch.Tensor] = {}
        for number, look in enumerate(self._looks()):
            _, keys, values = look.attention.project(cells)
            encodings |= {f"keys{number}": keys, f"values{number}": values}
        return encodings

    def score(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:  # noqa: D102
        # A pair is a grid of one text and one image, so both paths are one computation.
        return self._fuse(text_encodings[:, None], image_encodings)[:, 0]

    def score_grid(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:  # noqa: D102
        a, b = len(text_encodings), len(image_encodings["keys0"])
        asked = text_encodings[None].expand(b, a, -1)
        return self._fuse(asked, image_encodings).transpose(0, 1)

    def attention_sites(self) -> list[AttentionSite]:
        """Return both layers in which the question attends to the cells of the image."""
        return [
            AttentionSite(look.attention, layer, (("text", "image"),))
            for layer, look in enumerate(self._looks())
        ]

    def image_positions(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:
        """Mark all keys as cells of the image, shape (1, length)."""
        n_cells = image_encodings["keys0"].shape[2]
        return torch.ones(1, n_cells, dtype=torch.bool, device=self.device)

    def _looks(self) -> list[_Block]:
        return cast("list[_Block]", list(self.looks))

    def _fuse(self, asked: torch.Tensor, images: Any) -> torch.Tensor:
        # The texts scored with an image do not see one another: they are its queries, side by side.
        for number, look in enumerate(self._looks()):
            query = look.attention.queries(look.before(asked))
            attended = look.attention(
                query, images[f"keys{number}"], images[f"values{number}"], None
            )
            asked = look.finish(asked, attended)
        logits: torch.Tensor = self.head(asked)
        return logits


class EmojiMatching(DemoModel):
    """Whether text and image belong together: the cosine of their vectors, as one logit."""

    size: ClassVar[int] = 64
    similarity: ClassVar[bool] = True
    has_threshold: ClassVar[bool] = True

    def __init__(self, words: Sequence[str], classes: Sequence[str]) -> None:
        super().__init__(words, classes)
        self.text = _TextTower(len(words), self.size)
        self.image = _ImageTower(self.size)
        self.log_scale = nn.Parameter(torch.tensor(2.0))
        self.threshold = nn.Parameter(torch.tensor(1.0))

    def text_encodings(self, numbers: torch.Tensor) -> torch.Tensor:  # noqa: D102
        return functional.normalize(self.text(numbers), dim=1) * self.log_scale.exp()

    def image_encodings(self, pixels: torch.Tensor) -> torch.Tensor:  # noqa: D102
        return functional.normalize(self.image(pixels), dim=1)

    def score(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:  # noqa: D102
        logits: torch.Tensor = (text_encodings * image_encodings).sum(
            1, keepdim=True
        ) - self.threshold
        return logits

    def score_grid(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:  # noqa: D102
        logits: torch.Tensor = (text_encodings @ image_encodings.T)[:, :, None] - self.threshold
        return logits


ARCHITECTURES: dict[str, type[DemoModel]] = {
    "text-only": TextOnly,
    "image-only": ImageOnly,
    "additive": Additive,
    "concat": Concat,
    "self-attention": SelfAttention,
    "cross-attention": CrossAttention,
    "emoji-groups": Concat,
    "emoji-match": EmojiMatching,
}
"""The demo models by name: six for easy-VQA, least expressive first, then two for emoji."""


def words_of(text: str) -> list[str]:
    """Return the words of a text, in lower case and without punctuation."""
    return _WORD.findall(text.lower())


def pixels_of(images: Sequence[Image.Image]) -> torch.Tensor:
    """Return images as bytes, resized to 64 × 64, shape (B, 3, 64, 64)."""
    size = (IMAGE_SIZE, IMAGE_SIZE)
    arrays = np.empty((len(images), *size, 3), dtype=np.uint8)
    for row, image in zip(arrays, images, strict=True):
        colours = image.convert("RGB")
        if colours.size != size:
            colours = colours.resize(size, Image.Resampling.BILINEAR)
        row[:] = np.asarray(colours)
    return torch.from_numpy(arrays).permute(0, 3, 1, 2)


class _TextTower(nn.Module):
    """Which words occur → a vector; a bag of words needs no padding."""

    def __init__(self, n_words: int, size: int) -> None:
        super().__init__()
        self.n_numbers = n_words + _N_SPECIAL
        self.layers = nn.Sequential(nn.Linear(self.n_numbers, 64), nn.ReLU(), nn.Linear(64, size))

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        counts = torch.zeros(len(numbers), self.n_numbers, device=numbers.device)
        counts.scatter_add_(1, numbers, (numbers >= UNKNOWN).float())
        vector: torch.Tensor = self.layers(counts)
        return vector


class _ImageMap(nn.Sequential):
    """A small convolutional network: bytes (B, 3, 64, 64) → features (B, 64, 4, 4)."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        for inputs, outputs in ((3, 16), (16, 32), (32, 64), (64, 64)):
            layers += [
                nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
            ]
        super().__init__(*layers)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        features = pixels.float() / 127.5 - 1
        for layer in self:
            features = layer(features)
        return features


class _ImageTower(nn.Module):
    """Image → a vector."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.map = _ImageMap()
        self.out = nn.Sequential(
            nn.Flatten(), nn.Linear(64 * 4 * 4, 64), nn.ReLU(), nn.Linear(64, size)
        )

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        vector: torch.Tensor = self.out(self.map(pixels))
        return vector


class _Tokens(nn.Module):
    """Word numbers → vectors with word and position."""

    def __init__(self, n_words: int, size: int) -> None:
        super().__init__()
        self.word = nn.Embedding(n_words + _N_SPECIAL, size)
        self.place = nn.Embedding(_N_POSITIONS, size)

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        places = torch.arange(numbers.shape[1], device=numbers.device)
        vectors: torch.Tensor = self.word(numbers) + self.place(places.clamp(max=_N_POSITIONS - 1))
        return vectors


class _ImageCells(nn.Module):
    """Image → the 16 cells of its feature map as vectors with position."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.map = _ImageMap()
        self.out = nn.Linear(64, size)
        self.place = nn.Parameter(torch.randn(16, size) * 0.1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = self.out(self.map(pixels).flatten(2).transpose(1, 2)) + self.place
        return vectors


class _Attention(nn.Module):
    """Attention with several heads, in two steps: project each token, then attend."""

    def __init__(self, size: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(size, size)
        self.key = nn.Linear(size, size)
        self.value = nn.Linear(size, size)
        self.out = nn.Linear(size, size)

    def queries(self, tokens: torch.Tensor) -> torch.Tensor:
        return self._split(self.query(tokens))

    def project(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return self.queries(tokens), self._split(self.key(tokens)), self._split(self.value(tokens))

    def forward(
        self,
        query: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        mask = None if mask is None else mask[:, None, None, :]
        attended = functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
        joined: torch.Tensor = self.out(attended.transpose(1, 2).flatten(2))
        return joined

    def _split(self, tokens: torch.Tensor) -> torch.Tensor:
        batch, length, size = tokens.shape
        return tokens.reshape(batch, length, self.heads, size // self.heads).transpose(1, 2)


class _Block(nn.Module):
    """A transformer layer, and its parts for callers that decide what attends to what."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.before = nn.LayerNorm(size)
        self.attention = _Attention(size)
        self.think = nn.Sequential(
            nn.LayerNorm(size), nn.Linear(size, 2 * size), nn.GELU(), nn.Linear(2 * size, size)
        )

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        query, keys, values = self.attention.project(self.before(tokens))
        return self.finish(tokens, self.attention(query, keys, values, mask))

    def finish(self, tokens: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
        tokens = tokens + attended
        result: torch.Tensor = tokens + self.think(tokens)
        return result
