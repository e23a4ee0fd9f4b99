"""BridgeTower and FLAVA checkpoints whose head says whether text and image belong together."""

from __future__ import annotations

from typing import Any

import torch

from emap_core.models.hf import Checkpoint, FromCheckpoint


class Matching(FromCheckpoint):
    """Does the text belong to the image? The logit of yes minus that of no."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(checkpoint, ["no", "yes"])

    def _words(self, texts: list[str]) -> Any:
        config = getattr(self.model.config, "text_config", self.model.config)
        return self._processor.tokenizer(
            texts,
            padding=True,
            truncation=True,
            max_length=min(
                self._processor.tokenizer.model_max_length, config.max_position_embeddings
            ),
            return_tensors="pt",
        ).to(self.device)

    def _pixels(self, images: list[Any]) -> torch.Tensor:
        colours = [image.convert("RGB") for image in images]
        inputs = self._processor.image_processor(images=colours, return_tensors="pt")
        pixels: torch.Tensor = inputs["pixel_values"].to(self.device)
        return pixels


class Flava(Matching):
    """FLAVA: both encoders once, the multimodal one for every pair."""

    def encode_texts(self, texts: list[str]) -> dict[str, torch.Tensor]:
        """Return the projected words, shape (B, length, D), and which are no padding."""
        words = self._words(texts)
        read = self.model.flava.text_model(
            input_ids=words["input_ids"],
            attention_mask=words["attention_mask"],
            output_hidden_states=True,
        )
        # The multimodal encoder reads what comes before the last layer norm.
        projected = self.model.flava.text_to_mm_projection(read.hidden_states[-1])
        return {"words": projected, "seen": words["attention_mask"]}

    def encode_images(self, images: list[Any]) -> torch.Tensor:
        """Return the projected patches, shape (B, patches, D)."""
        flava = self.model.flava
        read = flava.image_model(pixel_values=self._pixels(images), output_hidden_states=True)
        projected: torch.Tensor = flava.image_to_mm_projection(read.hidden_states[-1])
        return projected

    def score(self, text_states: Any, image_states: torch.Tensor) -> torch.Tensor:
        """Return the logits of B aligned pairs, shape (B, 1)."""
        encoder = self.model.flava.multimodal_model
        seen = text_states["seen"]
        length = image_states.shape[1] + int(encoder.use_cls_token)
        read = encoder(
            torch.cat([image_states, text_states["words"]], 1),
            attention_mask=torch.cat([seen.new_ones(len(seen), length), seen], 1),
        )
        logits: torch.Tensor = self.model.itm_head(read[0])
        return logits[:, 1:] - logits[:, :1]


class BridgeTower(Matching):
    """BridgeTower: patches are embedded once, everything else runs for every pair.

    The library runs the layers of both towers inside of its cross-modal loop.
    """

    def encode_texts(self, texts: list[str]) -> dict[str, torch.Tensor]:
        """Return the words' numbers and which of them are no padding, shapes (B, length)."""
        words = self._words(texts)
        return {"words": words["input_ids"], "seen": words["attention_mask"]}

    def encode_images(self, images: list[Any]) -> torch.Tensor:
        """Return the embedded patches, shape (B, patches, D)."""
        visual = self.model.bridgetower.vision_model.visual
        embedded: torch.Tensor = visual.forward_pre(self._pixels(images))
        return embedded.permute(1, 0, 2)

    def score(self, text_states: Any, image_states: torch.Tensor) -> torch.Tensor:
        """Return the logits of B aligned pairs, shape (B, 1)."""
        logits: torch.Tensor = self.model(
            input_ids=text_states["words"],
            attention_mask=text_states["seen"],
            image_embeds=image_states,
        ).logits
        return logits[:, 1:] - logits[:, :1]


def make(checkpoint: Checkpoint) -> Matching:
    """Return a BridgeTower or FLAVA for matching, with one logit."""
    flava = checkpoint.architecture == "FlavaForPreTraining"
    return Flava(checkpoint) if flava else BridgeTower(checkpoint)
