"""LXMERT checkpoints; their images are regions from a detector, which come with the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from emap_core.models.attention import AttentionSite
from emap_core.models.huggingface.checkpoint import Checkpoint
from emap_core.models.huggingface.checkpoint_model import FromCheckpoint, named_classes
from emap_core.models.huggingface.family import Family
from emap_core.models.huggingface.padded_regions import hide_padding, pad_regions


class Lxmert(FromCheckpoint):
    """Language and vision layers run once, the cross-modality layers for every pair.

    Instead of an image, the model reads a dict, or an .npz file, with ``features``, shape (regions,
    F), and ``boxes``, (regions, 4) from 0 to 1: the dataset's ``image_inputs``.
    """

    # The answers share a softmax, for which 0 is a number like any other.
    has_threshold = False

    def encode_texts(self, texts: list[str]) -> dict[str, torch.Tensor]:
        """Return the words after the language layers, (B, length, D), and the attention mask."""
        tokens = self._tokenized(texts)
        mask = tokens["attention_mask"]
        read = self.model.lxmert.embeddings(tokens["token_ids"], torch.zeros_like(mask))
        for layer in self.model.lxmert.encoder.layer:
            read = layer(read, hide_padding(mask, read))[0]
        return {"words": read, "attention_mask": mask}

    def encode_images(self, images: list[Any]) -> dict[str, torch.Tensor]:
        """Return the regions after the vision layers, (B, regions, D), and the attention mask."""
        config, encoder = self.model.config, self.model.lxmert.encoder
        found = pad_regions("LXMERT", images, config.visual_feat_dim, config.visual_pos_dim)
        mask = found.attention_mask.to(self.device)
        features, boxes = (
            part.to(self.device, self.dtype) for part in (found.features, found.boxes)
        )
        read = encoder.visn_fc(features, boxes)
        for layer in encoder.r_layers:
            read = layer(read, hide_padding(mask, read))[0]
        return {"regions": read, "attention_mask": mask}

    def score(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:
        """Return the logits of B aligned pairs, shape (B, C)."""
        words, regions = text_encodings["words"], image_encodings["regions"]
        words_hidden = hide_padding(text_encodings["attention_mask"], words)
        regions_hidden = hide_padding(image_encodings["attention_mask"], regions)
        for layer in self.model.lxmert.encoder.x_layers:
            words, regions = layer(words, words_hidden, regions, regions_hidden)[:2]
        logits: torch.Tensor = self.model.answer_head(self.model.lxmert.pooler(words))
        return logits

    def attention_sites(self) -> list[AttentionSite]:
        """Return the cross-modality layers: across, then within each side."""
        sites = []
        for number, layer in enumerate(self.model.lxmert.encoder.x_layers):
            # One module attends from words to regions, then back.
            across = (("text", "image"), ("image", "text"))
            sites += [
                AttentionSite(layer.visual_attention.att, number, across),
                AttentionSite(layer.lang_self_att.self, number, (("text", "text"),)),
                AttentionSite(layer.visn_self_att.self, number, (("image", "image"),)),
            ]
        return sites

    def image_positions(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:
        """Return an empty mask, shape (1, 0): no sequence has both words and regions."""
        return torch.zeros(1, 0, dtype=torch.bool, device=self.device)


def make(checkpoint: Checkpoint, classes: str | Sequence[str] | None = None) -> Lxmert:
    """Return an LXMERT for question answering; `classes` names its answers, in order."""
    n_classes = checkpoint.model.config.num_qa_labels
    return Lxmert(checkpoint, named_classes(classes, n_classes))


FAMILY = Family(("LxmertForQuestionAnswering",), make, reads_regions=True)
