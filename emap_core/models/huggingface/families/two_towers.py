"""Checkpoints with a text and an image tower, such as CLIP, SigLIP, AltCLIP and ALIGN."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch.nn import functional

from emap_core.allowed_folders import check_path, roots_of_environment
from emap_core.class_names import names_of_classes
from emap_core.datasets.base import fingerprint_of
from emap_core.errors import ModelError, SettingError
from emap_core.models.huggingface.checkpoint import Checkpoint
from emap_core.models.huggingface.checkpoint_model import (
    FromCheckpoint,
    ReadsClasses,
    named_classes,
)
from emap_core.models.huggingface.family import Family
from emap_core.models.model_files import digest
from emap_core.models.tokens import in_one_line, note_on_cut

PADS_TO_THE_END = ("SiglipModel", "Siglip2Model")
"""Models that attend to padding, and were trained with texts padded to the full length."""


class TwoTower(FromCheckpoint):
    """The scaled similarity of a text's and an image's embedding: one logit."""

    similarity = True

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(checkpoint)
        # A bias was trained to put matching pairs above 0; without one, similarities only rank.
        self.has_threshold = hasattr(checkpoint.model, "logit_bias")
        self._padding = "max_length" if checkpoint.architecture in PADS_TO_THE_END else "longest"

    def encode_texts(self, texts: list[str]) -> torch.Tensor:
        """Return unit-length embeddings of the texts, scaled, shape (B, D)."""
        return self._embed_texts(texts) * self._scale()

    def encode_images(self, images: list[Any]) -> torch.Tensor:
        """Return unit-length embeddings of the images, shape (B, D)."""
        return _unit(self.model.get_image_features(**self._pixels(images)))

    def score(self, text_encodings: torch.Tensor, image_encodings: torch.Tensor) -> torch.Tensor:
        """Return the logits of B aligned pairs, shape (B, 1)."""
        return (text_encodings * image_encodings).sum(-1, keepdim=True) + self._bias()

    def score_grid(
        self, text_encodings: torch.Tensor, image_encodings: torch.Tensor
    ) -> torch.Tensor:
        """Return the logits of A texts with B images, shape (A, B, 1)."""
        return (text_encodings @ image_encodings.T)[:, :, None] + self._bias()

    def _embed_texts(self, texts: list[str]) -> torch.Tensor:
        inputs = self._tokens.read(texts, self._padding).to(self.device)
        return _unit(self.model.get_text_features(**inputs))

    def _scale(self) -> torch.Tensor:
        temperature = getattr(self.model, "temperature", None)
        scale: torch.Tensor = (
            self.model.logit_scale.float().exp() if temperature is None else 1 / temperature.float()
        )
        return scale

    def _bias(self) -> torch.Tensor | float:
        bias: torch.Tensor | float = getattr(self.model, "logit_bias", 0.0)
        return bias


class Prompts(TwoTower, ReadsClasses):
    """A logit per class: how well the image fits a template with the text and the class."""

    def __init__(
        self, checkpoint: Checkpoint, template: str, classes: Sequence[str] | None
    ) -> None:
        super().__init__(checkpoint)
        self._template = template
        self._take_classes(classes)

    def notes(self, texts: list[str]) -> list[str]:
        """Return a note on how many of these texts are cut to keep their prompts whole."""
        n_cut = sum(map(operator.ne, self._fitted(texts), texts))
        kept = "; the rest of the template, with {label}, is kept"
        return note_on_cut(n_cut, len(texts), self._tokens.limit, kept)

    def encode_texts(self, texts: list[str]) -> torch.Tensor:
        """Return an embedding for each text and class, shape (B, C, D)."""
        prompts = [prompt for text in self._fitted(texts) for prompt in self._prompts(text)]
        different = list(dict.fromkeys(prompts))
        number = {prompt: i for i, prompt in enumerate(different)}
        embedded = self._embed_texts(different)[[number[prompt] for prompt in prompts]]
        return embedded.reshape(len(texts), len(self.classes or ()), -1) * self._scale()

    def score(self, text_encodings: torch.Tensor, image_encodings: torch.Tensor) -> torch.Tensor:
        """Return the logits of B aligned pairs, shape (B, C)."""
        return torch.einsum("bcd,bd->bc", text_encodings, image_encodings) + self._bias()

    def score_grid(
        self, text_encodings: torch.Tensor, image_encodings: torch.Tensor
    ) -> torch.Tensor:
        """Return the logits of A texts with B images, shape (A, B, C)."""
        return torch.einsum("acd,bd->abc", text_encodings, image_encodings) + self._bias()

    def _fitted(self, texts: list[str]) -> list[str]:
        """Return the texts, cut if a prompt would be too long, equally for all classes."""
        if not self.classes:
            raise ModelError("the template has {label}, but there are no classes: give classes=")
        lengths = self._tokens.count(self._prompts(""))
        longest_first = np.argsort(lengths)[::-1]

        def render(text: str) -> list[str]:
            prompts = self._prompts(text)
            return [prompts[i] for i in longest_first]

        if "{text}" not in self._template:
            self._tokens.fit([""], render)
            return texts
        return self._tokens.fit(texts, render)

    def _shown_prompts(self, text: str) -> list[str]:
        return self._prompts(self._fitted([text])[0])

    def _prompts(self, text: str) -> list[str]:
        # A text may contain {label}, and a label {text}: neither belongs to the template.
        parts = [part.split("{text}") for part in self._template.split("{label}")]
        filled = [text.join(part) for part in parts]
        return [name.join(filled) for name in self.classes or ()]


class LinearHead(TwoTower):
    """A trained linear layer on [text; image]: additive, since nothing multiplies the two."""

    similarity = False

    def __init__(
        self, checkpoint: Checkpoint, head: Path, classes: str | Sequence[str] | None
    ) -> None:
        super().__init__(checkpoint)
        self.has_threshold = True
        self._weight, self._bias_of_head = _read_head(head, 2 * self._embed_texts(["a"]).shape[1])
        self._fingerprint = fingerprint_of(self._fingerprint, digest([head]))
        self.classes = named_classes(classes, len(self._weight), of=str(head))

    def to(self, device: str | torch.device) -> Self:
        """Move model and head."""
        super().to(device)
        self._weight, self._bias_of_head = self._weight.to(device), self._bias_of_head.to(device)
        return self

    def encode_texts(self, texts: list[str]) -> torch.Tensor:
        """Return the texts' part of the logits, shape (B, C)."""
        embedded = self._embed_texts(texts)
        return functional.linear(embedded, self._weight[:, : embedded.shape[1]], self._bias_of_head)

    def encode_images(self, images: list[Any]) -> torch.Tensor:
        """Return the images' part of the logits, shape (B, C)."""
        embedded = super().encode_images(images)
        return functional.linear(embedded, self._weight[:, -embedded.shape[1] :])

    def score(self, text_encodings: torch.Tensor, image_encodings: torch.Tensor) -> torch.Tensor:
        """Return the logits of B aligned pairs, shape (B, C)."""
        return text_encodings + image_encodings

    def score_grid(
        self, text_encodings: torch.Tensor, image_encodings: torch.Tensor
    ) -> torch.Tensor:
        """Return the logits of A texts with B images, shape (A, B, C)."""
        return text_encodings[:, None] + image_encodings[None]


def make(
    checkpoint: Checkpoint,
    template: str | None = None,
    classes: str | Sequence[str] | None = None,
    head: str | None = None,
) -> TwoTower:
    """Return a two-tower model.

    Parameters
    ----------
    checkpoint : Checkpoint
    template : str, optional
        A prompt with ``{label}`` and perhaps ``{text}``, for one logit per class. Without it, the
        model has one logit, the similarity of text and image.
    classes : str or sequence of str, optional
        Names of the classes, as a list or with commas; by default those of the dataset.
    head : str, optional
        A .safetensors file with ``weight``, shape (C, 2 D), and ``bias``, (C,), of a linear layer
        on the unit-length embeddings [text; image].
    """
    if template is not None and head is not None:
        raise SettingError("a model has a template or a head, not both")
    if head is not None:
        return LinearHead(checkpoint, Path(head), classes)
    if template is None:
        return TwoTower(checkpoint)
    if "{label}" not in template:
        raise SettingError(f"template is {template!r}; expected {{label}} in it")
    return Prompts(checkpoint, template, names_of_classes(classes))


def _unit(features: Any) -> torch.Tensor:
    """Return embeddings of length 1, in float32 whatever the model's precision."""
    pooled = features if isinstance(features, torch.Tensor) else features.pooler_output
    return functional.normalize(pooled.float(), dim=-1)


def _read_head(file: Path, n_inputs: int) -> tuple[torch.Tensor, torch.Tensor]:
    from safetensors.torch import load_file

    roots = roots_of_environment()
    if roots is not None:
        check_path("head", file, roots)
    if not file.is_file():
        raise SettingError(f"head {file} does not exist; name a .safetensors file")
    with in_one_line(f"head {file} is not a valid .safetensors file", SettingError):
        stored = load_file(file)
    weight = stored.get("weight")
    if weight is None or weight.ndim != 2 or weight.shape[1] != n_inputs:
        shape = "no weight" if weight is None else f"a weight of shape {tuple(weight.shape)}"
        raise SettingError(f"head {file} has {shape}; expected (classes, {n_inputs})")
    return weight.float(), stored.get("bias", torch.zeros(len(weight))).float()


FAMILY = Family(
    (
        "CLIPModel",
        *PADS_TO_THE_END,
        "AltCLIPModel",
        "AlignModel",
        "MetaClip2Model",
        "VisionTextDualEncoderModel",
    ),
    make,
)
