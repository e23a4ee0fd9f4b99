"""BridgeTower checkpoints with a head for whether text and image belong together."""

from __future__ import annotations

from typing import Any

import torch

from emap_core.models.attention import AttentionSite
from emap_core.models.huggingface.checkpoint_model import Matching
from emap_core.models.huggingface.family import Family


class BridgeTower(Matching):
    """BridgeTower: both towers run once, the links and the cross-modal layers for every pair.

    The encodings hold the input of every link, a sequence of words or patches for each cross-modal
    layer, so they take that many times the memory of one layer's output.
    """

    def encode_texts(self, texts: list[str]) -> dict[str, Any]:
        """Return the words as each link reads them, shapes (B, length, D), and the mask."""
        tokens, tower = self._tokenized(texts), self.model.bridgetower
        read = tower.text_model.embeddings(input_ids=tokens["token_ids"])
        mask = self._mask(read, tokens["attention_mask"])
        outputs = []
        for layer in tower.text_model.encoder.layer:
            read = layer(read, mask)
            outputs.append(read)
        kind = tower.token_type_embeddings.weight[0]
        top = outputs[-self.model.config.num_hidden_layers :]
        linked = [tower._apply_text_transform(each, n) + kind for n, each in enumerate(top)]
        linked[0] = tower.cross_modal_text_layernorm(linked[0])
        return {"words": tuple(linked), "attention_mask": tokens["attention_mask"]}

    def encode_images(self, images: list[Any]) -> tuple[torch.Tensor, ...]:
        """Return the patches as each link reads them, shapes (B, patches, D)."""
        tower = self.model.bridgetower
        visual = tower.vision_model.visual
        read = visual.forward_pre(self._pixels(images)["pixel_values"])
        outputs = []
        # The library walks through both towers together, layer by layer of the text tower.
        for layer in visual.transformer.resblocks[: len(tower.text_model.encoder.layer)]:
            read = layer(read)
            outputs.append(read)
        kind = tower.token_type_embeddings.weight[1]
        top = map(visual.forward_post, outputs[-self.model.config.num_hidden_layers :])
        linked = [tower._apply_image_transform(each, n) + kind for n, each in enumerate(top)]
        linked[0] = tower.cross_modal_image_layernorm(linked[0])
        return tuple(linked)

    def score(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:
        """Return the logits of B aligned pairs, shape (B, 1)."""
        tower = self.model.bridgetower
        mask = self._mask(text_encodings["words"][0], text_encodings["attention_mask"])
        words, patches = text_encodings["words"][0], image_encodings[0]
        for number, (of_words, of_patches) in enumerate(
            zip(tower.cross_modal_text_layers, tower.cross_modal_image_layers, strict=True)
        ):
            if number > 0:
                of_text = tower.cross_modal_text_link_tower[number - 1]
                of_image = tower.cross_modal_image_link_tower[number - 1]
                words = of_text(text_encodings["words"][number], words, mask)
                patches = of_image(image_encodings[number], patches, None)
            words, patches = (
                of_words(words, patches, attention_mask=mask)[0],
                of_patches(patches, words, encoder_attention_mask=mask)[0],
            )
        return self._margin(self.model.itm_score(tower.get_cls_features(words, patches)))

    def attention_sites(self) -> list[AttentionSite]:
        """Return the cross-modal layers: within each side, then from it to the other."""
        tower, sites = self.model.bridgetower, []
        for side, other, layers in (
            ("text", "image", tower.cross_modal_text_layers),
            ("image", "text", tower.cross_modal_image_layers),
        ):
            for number, layer in enumerate(layers):
                sites += [
                    AttentionSite(layer.attention.self, number, ((side, side),)),
                    AttentionSite(layer.crossattention.self, number, ((side, other),)),
                ]
        return sites

    def image_positions(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:
        """Return an empty mask, shape (1, 0): no sequence has both words and patches."""
        return torch.zeros(1, 0, dtype=torch.bool, device=self.device)

    def _mask(self, read: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        from transformers.masking_utils import create_bidirectional_mask

        # A query of one token, as in the library, so the mask serves every query.
        return create_bidirectional_mask(self.model.config, read[:, :1], attention_mask)


FAMILY = Family(("BridgeTowerForImageAndTextRetrieval",), BridgeTower)
