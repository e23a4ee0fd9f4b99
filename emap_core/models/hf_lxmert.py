"""LXMERT checkpoints, whose images are regions that a detector found: they come with the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from emap_core.errors import SettingError
from emap_core.models.hf import Checkpoint, FromCheckpoint, names_of_classes
from emap_core.models.regions import hide_padding, pad_regions


class Lxmert(FromCheckpoint):
    """Language and vision layers run once, the cross-modality layers for every pair.

    In place of an image stands a dict, or the path of an .npz file, with ``features``, shape
    (regions, F), and ``boxes``, (regions, 4) from 0 to 1: the dataset's ``image_inputs``.
    """

    # The answers share a softmax, to which 0 is no more than any other number.
    has_threshold = False

    def encode_texts(self, texts: list[str]) -> dict[str, torch.Tensor]:
        """Return the read words, shape (B, length, D), and which are not padding."""
        words = self._tokens.read(texts).to(self.device)
        seen = words["attention_mask"]
        read = self.model.lxmert.embeddings(words["input_ids"], torch.zeros_like(seen))
        for layer in self.model.lxmert.encoder.layer:
            read = layer(read, hide_padding(seen, read))[0]
        return {"words": read, "seen": seen}

    def encode_images(self, images: list[Any]) -> dict[str, torch.Tensor]:
        """Return the read regions, shape (B, regions, D), and which are not padding."""
        config, encoder = self.model.config, self.model.lxmert.encoder
        found = pad_regions("LXMERT", images, config.visual_feat_dim, config.visual_pos_dim)
        seen = found.seen.to(self.device)
        features, boxes = (
            part.to(self.device, self.dtype) for part in (found.features, found.boxes)
        )
        read = encoder.visn_fc(features, boxes)
        for layer in encoder.r_layers:
            read = layer(read, hide_padding(seen, read))[0]
        return {"regions": read, "seen": seen}

    def score(self, text_states: Any, image_states: Any) -> torch.Tensor:
        """Return the logits of B aligned pairs, shape (B, C)."""
        words, regions = text_states["words"], image_states["regions"]
        words_hidden = hide_padding(text_states["seen"], words)
        regions_hidden = hide_padding(image_states["seen"], regions)
        for layer in self.model.lxmert.encoder.x_layers:
            words, regions = layer(words, words_hidden, regions, regions_hidden)[:2]
        logits: torch.Tensor = self.model.answer_head(self.model.lxmert.pooler(words))
        return logits


def make(checkpoint: Checkpoint, classes: str | Sequence[str] | None = None) -> Lxmert:
    """Return an LXMERT for question answering; `classes` names its answers, in order."""
    names, n_classes = names_of_classes(classes), checkpoint.model.config.num_qa_labels
    if names is not None and len(names) != n_classes:
        raise SettingError(f"the checkpoint has {n_classes} classes; classes= names {len(names)}")
    return Lxmert(checkpoint, names)
