"""ViLT checkpoints: one transformer over words and patches, embedded once each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from emap_core.errors import SettingError
from emap_core.models.hf import Checkpoint, FromCheckpoint, names_of_classes


class Vilt(FromCheckpoint):
    """A joint encoder: embeddings are computed once, the transformer for every pair."""

    def __init__(self, checkpoint: Checkpoint, classes: Sequence[str] | None) -> None:
        super().__init__(checkpoint, classes)
        # Answers are trained each by its own sigmoid; retrieval by a softmax over pairs, which does
        # not say where a match begins.
        self.has_threshold = checkpoint.architecture == "ViltForQuestionAnswering"

    def encode_texts(self, texts: list[str]) -> dict[str, torch.Tensor]:
        """Return the words' numbers and which of them are not padding, shapes (B, length)."""
        inputs = self._tokens.read(texts).to(self.device)
        return {"words": inputs["input_ids"], "seen": inputs["attention_mask"]}

    def encode_images(self, images: list[Any]) -> dict[str, torch.Tensor]:
        """Return the patches' embeddings, shape (B, patches, D), and which are not padding."""
        embedded = [self._patches(image) for image in images]
        longest = max(patches.shape[1] for patches, _ in embedded)
        pads = [(patches, seen, longest - patches.shape[1]) for patches, seen in embedded]
        return {
            "patches": torch.cat([functional.pad(p, (0, 0, 0, n)) for p, _, n in pads]),
            "seen": torch.cat([functional.pad(s, (0, n)) for _, s, n in pads]),
        }

    def score(self, text_states: Any, image_states: Any) -> torch.Tensor:
        """Return the logits of B aligned pairs, shape (B, C)."""
        logits: torch.Tensor = self.model(
            input_ids=text_states["words"],
            attention_mask=text_states["seen"],
            image_embeds=image_states["patches"],
            pixel_mask=image_states["seen"],
        ).logits
        return logits

    def _patches(self, image: Any) -> tuple[torch.Tensor, torch.Tensor]:
        inputs = self._pixels([image])
        # Of a large image the library takes a random part of the patches: always the same one.
        with torch.random.fork_rng(devices=[] if self.device.type == "cpu" else None):
            torch.manual_seed(0)
            patches, seen, _ = self.model.vilt.embeddings.visual_embed(
                inputs["pixel_values"],
                inputs["pixel_mask"],
                max_image_length=self.model.config.max_image_length,
            )
        return patches, seen


def make(checkpoint: Checkpoint, classes: str | Sequence[str] | None = None) -> Vilt:
    """Return a ViLT for question answering, or for retrieval with one logit.

    Parameters
    ----------
    checkpoint : Checkpoint
    classes : str or sequence of str, optional
        Names of the classes, as a list or with commas; those of the checkpoint by default.
    """
    names = names_of_classes(classes)
    if names is None and checkpoint.architecture == "ViltForQuestionAnswering":
        stored = checkpoint.model.config.id2label
        names = [str(stored[number]) for number in sorted(stored)]
    n_classes = getattr(checkpoint.model.config, "num_labels", None)
    if (
        names is not None
        and checkpoint.architecture == "ViltForQuestionAnswering"
        and len(names) != n_classes
    ):
        raise SettingError(f"the checkpoint has {n_classes} classes; classes= names {len(names)}")
    return Vilt(checkpoint, names)
