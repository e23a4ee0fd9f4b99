"""LXMERT checkpoints, whose images are regions that a detector found: they come with the data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from emap_core.errors import ModelError, SettingError
from emap_core.models.hf import Checkpoint, FromCheckpoint, names_of_classes


class Lxmert(FromCheckpoint):
    """Language and vision layers run once, the cross-modality layers for every pair.

    In place of an image stands a dict, or the path of an .npz file, with ``features``, shape
    (regions, F), and ``boxes``, (regions, 4) from 0 to 1: the dataset's ``image_inputs``.
    """

    def encode_texts(self, texts: list[str]) -> dict[str, torch.Tensor]:
        """Return the read words, shape (B, length, D), and which are no padding."""
        words = self._processor(
            texts,
            padding=True,
            truncation=True,
            max_length=self.model.config.max_position_embeddings,
            return_tensors="pt",
        ).to(self.device)
        seen = words["attention_mask"]
        read = self.model.lxmert.embeddings(words["input_ids"], torch.zeros_like(seen))
        for layer in self.model.lxmert.encoder.layer:
            read = layer(read, _hiding(seen, read))[0]
        return {"words": read, "seen": seen}

    def encode_images(self, images: list[Any]) -> dict[str, torch.Tensor]:
        """Return the read regions, shape (B, regions, D), and which are no padding."""
        found = [self._regions(image) for image in images]
        longest = max(len(features) for features, _ in found)
        seen = torch.zeros(len(found), longest, dtype=torch.long)
        features = torch.zeros(len(found), longest, self.model.config.visual_feat_dim)
        boxes = torch.zeros(len(found), longest, self.model.config.visual_pos_dim)
        for row, (each, places) in enumerate(found):
            seen[row, : len(each)] = 1
            features[row, : len(each)], boxes[row, : len(each)] = each, places
        encoder, seen = self.model.lxmert.encoder, seen.to(self.device)
        read = encoder.visn_fc(features.to(self.device), boxes.to(self.device))
        for layer in encoder.r_layers:
            read = layer(read, _hiding(seen, read))[0]
        return {"regions": read, "seen": seen}

    def score(self, text_states: Any, image_states: Any) -> torch.Tensor:
        """Return the logits of B aligned pairs, shape (B, C)."""
        words, regions = text_states["words"], image_states["regions"]
        words_hidden = _hiding(text_states["seen"], words)
        regions_hidden = _hiding(image_states["seen"], regions)
        for layer in self.model.lxmert.encoder.x_layers:
            words, regions = layer(words, words_hidden, regions, regions_hidden)[:2]
        logits: torch.Tensor = self.model.answer_head(self.model.lxmert.pooler(words))
        return logits

    def _regions(self, image: Any) -> tuple[torch.Tensor, torch.Tensor]:
        stored = np.load(image, allow_pickle=False) if isinstance(image, str | Path) else image
        config, wanted = self.model.config, "features, (regions, {}), and boxes, (regions, {})"
        try:
            arrays = [torch.as_tensor(np.asarray(stored[n], "f4")) for n in ("features", "boxes")]
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise ModelError(
                f"LXMERT reads regions, not a {type(image).__name__}; expected image_inputs with "
                + wanted.format(config.visual_feat_dim, config.visual_pos_dim)
            ) from error
        shapes = [tuple(a.shape) for a in arrays]
        n = len(arrays[0])
        if shapes != [(n, config.visual_feat_dim), (n, config.visual_pos_dim)]:
            raise ModelError(
                f"regions have features {shapes[0]} and boxes {shapes[1]}; expected "
                + wanted.format(config.visual_feat_dim, config.visual_pos_dim)
            )
        return arrays[0], arrays[1]


def make(checkpoint: Checkpoint, classes: str | Sequence[str] | None = None) -> Lxmert:
    """Return an LXMERT for question answering; `classes` names its answers, in order."""
    names, n_classes = names_of_classes(classes), checkpoint.model.config.num_qa_labels
    if names is not None and len(names) != n_classes:
        raise SettingError(f"the checkpoint has {n_classes} classes; classes= names {len(names)}")
    return Lxmert(checkpoint, names)


def _hiding(seen: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return (1 - seen[:, None, None].to(like.dtype)) * torch.finfo(like.dtype).min
