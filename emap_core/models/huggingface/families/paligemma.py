"""PaliGemma checkpoints: the image attends to the prompt, so only the vision tower is shared."""

from __future__ import annotations

from typing import Any

import torch

from emap_core.errors import SettingError
from emap_core.models.huggingface.checkpoint import Checkpoint
from emap_core.models.huggingface.families.decoders import Decoder
from emap_core.models.huggingface.family import Family
from emap_core.models.rgb_images import in_colours


class PaliGemma(Decoder):
    """A logit per answer; the whole prompt is read for every pair.

    Attention goes both ways in the prompt, so the layers' view of the image depends on the text.
    Only the vision tower's patches are computed once per image.
    """

    _default_prompt = "{image}{text}"

    def __init__(self, checkpoint: Checkpoint, *settings: Any) -> None:
        super().__init__(checkpoint, *settings)
        if self._answer_prefix:
            raise SettingError(
                "answer_prefix is for models that read a prompt forwards, but this one reads it "
                "both ways; put the words into prompt="
            )

    def encode_images(self, images: list[Any]) -> dict[str, torch.Tensor]:
        """Return patches, shape (B, patches, D), and the prompt's words up to their end."""
        read = [self._inputs("a", image) for image in in_colours(images)]
        pixels = torch.cat([inputs["pixel_values"] for inputs in read])
        # All images have the same size, so they take equally many places in the prompt.
        places = [inputs["input_ids"] for inputs in read]
        return {
            "patches": self.model.get_image_features(pixels).pooler_output,
            "token_ids": torch.cat([ids[:, : self._image_end(ids[0])] for ids in places]),
        }

    def image_positions(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:
        """Return the positions of patches in the prompt, shape (B, length)."""
        read: torch.Tensor = image_encodings["token_ids"] == self.model.config.image_token_id
        return read

    def _asked(self, text: str) -> str:
        return self._written(text)

    def _read_as(self, text: str) -> str:
        return f"{self._asked(text)}\n"

    def _score(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:
        from transformers.modeling_outputs import BaseModelOutputWithPooling

        token_ids = torch.cat([image_encodings["token_ids"], text_encodings["token_ids"]], 1)
        of_image = torch.ones_like(image_encodings["token_ids"])
        mask = torch.cat([of_image, text_encodings["attention_mask"]], 1)
        self._check_length(mask)
        patches = BaseModelOutputWithPooling(pooler_output=image_encodings["patches"])
        read = self.model(
            input_ids=token_ids,
            attention_mask=mask,
            # The first word is at position 1.
            position_ids=mask.cumsum(1),
            # The whole prompt is of the kind that is read both ways.
            token_type_ids=torch.zeros_like(token_ids),
            mm_encoder_outputs={"image": patches},
            use_cache=True,
            logits_to_keep=1,
        )
        shift = torch.ones_like(token_ids[:, 0])
        return self._answers(read.logits[:, -1], read.past_key_values, mask, shift)


FAMILY = Family(("PaliGemmaForConditionalGeneration",), PaliGemma.from_settings)
