"""ViLT checkpoints: one transformer over words and patches, embedded once each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from emap_core.class_names import names_of_classes
from emap_core.models.attention import AttentionSite
from emap_core.models.huggingface.checkpoint import Checkpoint
from emap_core.models.huggingface.checkpoint_model import (
    FromCheckpoint,
    named_classes,
    stored_names,
)
from emap_core.models.huggingface.family import Family

_ANSWERS = "ViltForQuestionAnswering"


class Vilt(FromCheckpoint):
    """A joint encoder: embeddings are computed once, the transformer for every pair."""

    def __init__(self, checkpoint: Checkpoint, classes: Sequence[str] | None) -> None:
        super().__init__(checkpoint, classes)
        # Each answer is trained with its own sigmoid; retrieval with a softmax over pairs, which
        # does not give a threshold for a match.
        self.has_threshold = checkpoint.architecture == _ANSWERS

    def encode_texts(self, texts: list[str]) -> dict[str, torch.Tensor]:
        """Return token ids and attention mask, shapes (B, length)."""
        return self._tokenized(texts)

    def encode_images(self, images: list[Any]) -> dict[str, torch.Tensor]:
        """Return the patches' embeddings, shape (B, patches, D), and the attention mask."""
        embedded = [self._patches(image) for image in images]
        longest = max(patches.shape[1] for patches, _ in embedded)
        pads = [(patches, mask, longest - patches.shape[1]) for patches, mask in embedded]
        return {
            "patches": torch.cat([functional.pad(p, (0, 0, 0, n)) for p, _, n in pads]),
            "attention_mask": torch.cat([functional.pad(m, (0, n)) for _, m, n in pads]),
        }

    def score(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:
        """Return the logits of B aligned pairs, shape (B, C)."""
        logits: torch.Tensor = self.model(
            input_ids=text_encodings["token_ids"],
            attention_mask=text_encodings["attention_mask"],
            image_embeds=image_encodings["patches"],
            pixel_mask=image_encodings["attention_mask"],
        ).logits
        return logits

    def attention_sites(self) -> list[AttentionSite]:
        """Return the layers over words and patches."""
        layers = self.model.vilt.encoder.layer
        return [
            AttentionSite(layer.attention.attention, number) for number, layer in enumerate(layers)
        ]

    def image_positions(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:
        """Mark positions after the words as patches, shape (1, length)."""
        n_words = text_encodings["token_ids"].shape[1]
        length = n_words + image_encodings["patches"].shape[1]
        read: torch.Tensor = torch.arange(length, device=self.device)[None] >= n_words
        return read

    def _patches(self, image: Any) -> tuple[torch.Tensor, torch.Tensor]:
        inputs = self._pixels([image])
        # The library takes a random part of a large image's patches; here it is always the same.
        with torch.random.fork_rng(devices=[] if self.device.type == "cpu" else None):
            torch.manual_seed(0)
            patches, mask, _ = self.model.vilt.embeddings.visual_embed(
                inputs["pixel_values"],
                inputs["pixel_mask"],
                max_image_length=self.model.config.max_image_length,
            )
        return patches, mask


def make(checkpoint: Checkpoint, classes: str | Sequence[str] | None = None) -> Vilt:
    """Return a ViLT for question answering, or for retrieval with one logit.

    Parameters
    ----------
    checkpoint : Checkpoint
    classes : str or sequence of str, optional
        Names of the classes, as a list or with commas; those of the checkpoint by default.
    """
    config = checkpoint.model.config
    if checkpoint.architecture == _ANSWERS:
        names = named_classes(classes, config.num_labels, stored_names(config))
    else:
        names = names_of_classes(classes)
    return Vilt(checkpoint, names)


FAMILY = Family((_ANSWERS, "ViltForImageAndTextRetrieval"), make)
