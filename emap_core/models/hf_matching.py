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
        return self._tokens.read(texts).to(self.device)


class Flava(Matching):
    """FLAVA: both encoders once, the multimodal one for every pair."""

    def encode_texts(self, texts: list[str]) -> dict[str, torch.Tensor]:
        """Return the projected words, shape (B, length, D), and which are not padding."""
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
        read = flava.image_model(
            pixel_values=self._pixels(images)["pixel_values"], output_hidden_states=True
        )
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
    """BridgeTower: both towers run once, the links and the cross-modal layers for every pair.

    The states hold what every link reads, a sequence of words or patches for each cross-modal
    layer: as many times the memory of one layer's output.
    """

    def encode_texts(self, texts: list[str]) -> dict[str, Any]:
        """Return what each link reads of the words, shapes (B, length, D), and what is seen."""
        words, tower = self._words(texts), self.model.bridgetower
        seen = words["attention_mask"]
        read = tower.text_model.embeddings(input_ids=words["input_ids"])
        mask = self._mask(read, seen)
        outputs = []
        for layer in tower.text_model.encoder.layer:
            read = layer(read, mask)
            outputs.append(read)
        kind = tower.token_type_embeddings.weight[0]
        top = outputs[-self.model.config.num_hidden_layers :]
        linked = [tower._apply_text_transform(each, n) + kind for n, each in enumerate(top)]
        linked[0] = tower.cross_modal_text_layernorm(linked[0])
        return {"words": tuple(linked), "seen": seen}

    def encode_images(self, images: list[Any]) -> tuple[torch.Tensor, ...]:
        """Return what each link reads of the patches, shapes (B, patches, D)."""
        tower = self.model.bridgetower
        visual = tower.vision_model.visual
        read = visual.forward_pre(self._pixels(images)["pixel_values"])
        outputs = []
        # The library walks both towers together, by the layers of the text's.
        for layer in visual.transformer.resblocks[: len(tower.text_model.encoder.layer)]:
            read = layer(read)
            outputs.append(read)
        kind = tower.token_type_embeddings.weight[1]
        top = map(visual.forward_post, outputs[-self.model.config.num_hidden_layers :])
        linked = [tower._apply_image_transform(each, n) + kind for n, each in enumerate(top)]
        linked[0] = tower.cross_modal_image_layernorm(linked[0])
        return tuple(linked)

    def score(self, text_states: Any, image_states: Any) -> torch.Tensor:
        """Return the logits of B aligned pairs, shape (B, 1)."""
        tower = self.model.bridgetower
        mask = self._mask(text_states["words"][0], text_states["seen"])
        words, patches = text_states["words"][0], image_states[0]
        for number, (of_words, of_patches) in enumerate(
            zip(tower.cross_modal_text_layers, tower.cross_modal_image_layers, strict=True)
        ):
            if number > 0:
                of_text = tower.cross_modal_text_link_tower[number - 1]
                of_image = tower.cross_modal_image_link_tower[number - 1]
                words = of_text(text_states["words"][number], words, mask)
                patches = of_image(image_states[number], patches, None)
            words, patches = (
                of_words(words, patches, attention_mask=mask)[0],
                of_patches(patches, words, encoder_attention_mask=mask)[0],
            )
        logits: torch.Tensor = self.model.itm_score(tower.get_cls_features(words, patches))
        return logits[:, 1:] - logits[:, :1]

    def _mask(self, read: torch.Tensor, seen: torch.Tensor) -> Any:
        from transformers.masking_utils import create_bidirectional_mask

        # A query of one token, as the library has it: the mask then serves every query.
        return create_bidirectional_mask(self.model.config, read[:, :1], seen)


def make(checkpoint: Checkpoint) -> Matching:
    """Return a BridgeTower or FLAVA for matching, with one logit."""
    flava = checkpoint.architecture == "FlavaForPreTraining"
    return Flava(checkpoint) if flava else BridgeTower(checkpoint)
