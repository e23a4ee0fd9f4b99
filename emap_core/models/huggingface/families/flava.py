"""FLAVA checkpoints with a head for whether text and image belong together."""

from __future__ import annotations

from typing import Any

import torch

from emap_core.models.attention import AttentionSite
from emap_core.models.huggingface.checkpoint_model import Matching
from emap_core.models.huggingface.family import Family


class Flava(Matching):
    """FLAVA: both encoders run once, the multimodal one for every pair."""

    def encode_texts(self, texts: list[str]) -> dict[str, torch.Tensor]:
        """Return the projected words, shape (B, length, D), and the attention mask."""
        tokens = self._tokenized(texts)
        read = self.model.flava.text_model(
            input_ids=tokens["token_ids"],
            attention_mask=tokens["attention_mask"],
            output_hidden_states=True,
        )
        # The multimodal encoder reads what comes before the last layer norm.
        projected = self.model.flava.text_to_mm_projection(read.hidden_states[-1])
        return {"words": projected, "attention_mask": tokens["attention_mask"]}

    def encode_images(self, images: list[Any]) -> torch.Tensor:
        """Return the projected patches, shape (B, patches, D)."""
        flava = self.model.flava
        read = flava.image_model(
            pixel_values=self._pixels(images)["pixel_values"], output_hidden_states=True
        )
        projected: torch.Tensor = flava.image_to_mm_projection(read.hidden_states[-1])
        return projected

    def score(self, text_encodings: Any, image_encodings: torch.Tensor) -> torch.Tensor:
        """Return the logits of B aligned pairs, shape (B, 1)."""
        encoder = self.model.flava.multimodal_model
        mask = text_encodings["attention_mask"]
        length = image_encodings.shape[1] + int(encoder.use_cls_token)
        read = encoder(
            torch.cat([image_encodings, text_encodings["words"]], 1),
            attention_mask=torch.cat([mask.new_ones(len(mask), length), mask], 1),
        )
        return self._margin(self.model.itm_head(read[0]))

    def attention_sites(self) -> list[AttentionSite]:
        """Return the layers of the multimodal encoder."""
        layers = self.model.flava.multimodal_model.encoder.layer
        return [
            AttentionSite(layer.attention.attention, number) for number, layer in enumerate(layers)
        ]

    def image_positions(self, text_encodings: Any, image_encodings: torch.Tensor) -> torch.Tensor:
        """Return the positions of the patches, shape (1, length).

        They come before the words. The token that the head reads comes before both and counts as a
        word, as in models whose text begins with it.
        """
        first = int(self.model.flava.multimodal_model.use_cls_token)
        n_patches, n_words = image_encodings.shape[1], text_encodings["words"].shape[1]
        place = torch.arange(first + n_patches + n_words, device=self.device)[None]
        read: torch.Tensor = (place >= first) & (place < first + n_patches)
        return read


FAMILY = Family(("FlavaForPreTraining",), Flava)
