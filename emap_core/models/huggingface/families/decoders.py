"""Checkpoints that write text after an image, such as LLaVA, scored on given answers."""

from __future__ import annotations

import functools
from typing import Any

import torch
from PIL import Image

from emap_core.errors import ModelError
from emap_core.models.attention import AttentionSite
from emap_core.models.encodings import take
from emap_core.models.huggingface.family import Family
from emap_core.models.huggingface.written_answers import BLANK, GREY, NOTHING, WritesAnswers
from emap_core.models.rgb_images import in_colours


class Decoder(WritesAnswers):
    """A logit per answer: the log-probability that the model writes it after the prompt.

    Attention is causal after the image, so the image's keys and values are computed once per image;
    for every pair, only the words of the text go through the model.
    """

    def encode_texts(self, texts: list[str]) -> dict[str, torch.Tensor]:
        """Return the token ids after the image, padded on the left, shapes (B, length).

        If the tokenizer joins the end of the prompt with an answer, that end belongs to the
        answers.
        """
        fitted = self._fitted(texts)
        self._check_joints(fitted)
        rows = []
        for text in fitted:
            ids = self._after_image(self._inputs(text, BLANK)["input_ids"][0])
            rows.append(ids[: len(ids) - self._n_moved])
        longest = max(map(len, rows))
        token_ids = torch.zeros(len(rows), longest, dtype=torch.long)
        mask = torch.zeros_like(token_ids)
        for row, ids in enumerate(rows):
            token_ids[row, longest - len(ids) :] = ids
            mask[row, longest - len(ids) :] = 1
        return {"token_ids": token_ids.to(self.device), "attention_mask": mask.to(self.device)}

    def encode_images(self, images: list[Any]) -> dict[str, torch.Tensor]:
        """Return keys and values of all layers up to the image's end, and the attention mask.

        Their shapes are (B, layers, heads, length, D) and (B, length): the whole cache, some
        hundred megabytes per image for a large model. The third value is the offset of the next
        word's position from its number, shape (B,): some models count an image only as long as it
        is wide.
        """
        read = [self._read_image(image) for image in in_colours(images)]
        longest = max(keys.shape[2] for keys, _, _ in read)
        shape = (len(read), *read[0][0].shape[:2], longest, read[0][0].shape[3])
        encodings = {name: read[0][0].new_zeros(shape) for name in ("keys", "values")}
        mask = torch.zeros(len(read), longest, dtype=torch.long, device=self.device)
        for row, (keys, values, _) in enumerate(read):
            encodings["keys"][row, :, :, longest - keys.shape[2] :] = keys
            encodings["values"][row, :, :, longest - keys.shape[2] :] = values
            mask[row, longest - keys.shape[2] :] = 1
        shifts = torch.stack([shift for _, _, shift in read])
        return {**encodings, "attention_mask": mask, "shift": shifts}

    def score(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:
        """Return the logits of B aligned pairs, shape (B, C)."""
        if getattr(self.model.config.get_text_config(), "sliding_window", None) is None:
            return self._score(text_encodings, image_encodings)
        # A window counts the padding between image and text, so texts of equal length go together.
        lengths = text_encodings["attention_mask"].sum(1)
        parts = []
        for length in lengths.unique().tolist():
            rows = (lengths == length).nonzero()[:, 0]
            same = {name: leaf[rows, -length:] for name, leaf in text_encodings.items()}
            parts.append((rows, self._score(same, take(image_encodings, rows.cpu().numpy()))))
        order = torch.cat([rows for rows, _ in parts]).argsort()
        return torch.cat([logits for _, logits in parts])[order]

    def _score(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:
        from transformers import DynamicCache

        layers = zip(
            image_encodings["keys"].unbind(1), image_encodings["values"].unbind(1), strict=True
        )
        mask = torch.cat([image_encodings["attention_mask"], text_encodings["attention_mask"]], 1)
        self._check_length(mask)
        token_ids, shift = text_encodings["token_ids"], image_encodings["shift"]
        positions = (mask.cumsum(1) - 1).clamp(min=0) + shift[:, None]
        read = self.model(
            input_ids=token_ids,
            attention_mask=mask,
            position_ids=positions[:, -token_ids.shape[1] :],
            past_key_values=DynamicCache(ddp_cache_data=list(layers)),
            use_cache=True,
            logits_to_keep=1,
        )
        return self._answers(read.logits[:, -1], read.past_key_values, mask, shift)

    def _answers(
        self, first: torch.Tensor, cache: Any, mask: torch.Tensor, shift: torch.Tensor
    ) -> torch.Tensor:
        """Return the log-probability of every answer after prompts that have been read, (B, C)."""
        if not self.classes:
            raise ModelError("the model answers from a list, and there is none: give classes=")
        start = first.float().log_softmax(-1)
        kept = [(layer.keys, layer.values) for layer in cache.layers]
        logits = []
        for answer_ids in self._continuations:
            total = start[:, answer_ids[0]]
            if len(answer_ids) > 1:
                total = total + self._continues(answer_ids, kept, mask, shift)
            logits.append(total / len(answer_ids) if self._normalise == "length" else total)
        return self._scores(torch.stack(logits, 1))

    def _scores_of_nothing(self) -> torch.Tensor:
        return self.score(self.encode_texts([NOTHING]), self.encode_images([GREY]))

    def _continues(
        self, answer_ids: list[int], kept: Any, mask: torch.Tensor, shift: torch.Tensor
    ) -> torch.Tensor:
        """Return the log-probability of all tokens of an answer except the first, shape (B,)."""
        from transformers import DynamicCache

        token_ids = torch.tensor(answer_ids, device=mask.device).expand(len(mask), -1)
        steps = torch.arange(len(answer_ids) - 1, device=mask.device)
        logits = self.model(
            input_ids=token_ids[:, :-1],
            attention_mask=torch.cat([mask, torch.ones_like(token_ids[:, :-1])], 1),
            position_ids=(mask.sum(1) + shift)[:, None] + steps,
            # Joining makes new tensors, so every answer finds the cache as the prompt left it.
            past_key_values=DynamicCache(ddp_cache_data=kept),
            use_cache=True,
        ).logits
        each = logits.float().log_softmax(-1).gather(-1, token_ids[:, 1:, None])[..., 0]
        total: torch.Tensor = each.sum(1)
        return total

    def _read_image(self, image: Image.Image) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        from transformers import DynamicCache

        inputs = self._inputs("a", image)
        stop = self._image_end(inputs["input_ids"][0])
        for name in ("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids"):
            if name in inputs:
                inputs[name] = inputs[name][:, :stop]
        # A cache without a configuration keeps everything, sliding windows or not.
        cache = self.model(
            **inputs,
            past_key_values=DynamicCache(),
            use_cache=True,
            logits_to_keep=1,
        ).past_key_values
        # Qwen's models keep it from reading the image; the others count every token.
        shift = getattr(self.model.model, "rope_deltas", None)
        return (
            torch.stack([layer.keys[0] for layer in cache.layers]),
            torch.stack([layer.values[0] for layer in cache.layers]),
            torch.zeros_like(inputs["input_ids"][0, 0]) if shift is None else shift[0, 0],
        )

    def attention_sites(self) -> list[AttentionSite]:
        """Return the layers of the decoder."""
        layers = self.model.get_decoder().layers
        return [AttentionSite(layer.self_attn, number) for number, layer in enumerate(layers)]

    def image_positions(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:
        """Return the positions of the image in the cache, after the start of the prompt."""
        read: torch.Tensor = image_encodings["attention_mask"].cumsum(1) > self._n_before_image
        return read

    def image_positions_of_prefix(self, n_keys: int) -> torch.Tensor:
        """Return the positions of the image while it is read, shape (1, n_keys)."""
        return torch.arange(n_keys, device=self.device)[None] >= self._n_before_image

    @property
    def pairs_at_a_time(self) -> int | None:
        """One if a window makes `score` reorder pairs."""
        sliding = getattr(self.model.config.get_text_config(), "sliding_window", None)
        return None if sliding is None else 1

    @functools.cached_property
    def _n_before_image(self) -> int:
        """How many tokens of the prompt come before the image, for any image."""
        token_ids = self._inputs("a", BLANK)["input_ids"][0]
        return int((token_ids == self.model.config.image_token_id).nonzero()[0])

    def _image_end(self, token_ids: torch.Tensor) -> int:
        places = (token_ids == self.model.config.image_token_id).nonzero()
        if not len(places):
            raise ModelError("the prompt has no place for the image; expected {image} in it")
        return int(places[-1]) + 1

    def _after_image(self, token_ids: torch.Tensor) -> torch.Tensor:
        return token_ids[self._image_end(token_ids) :]


FAMILY = Family(
    (
        "LlavaForConditionalGeneration",
        "LlavaNextForConditionalGeneration",
        "Idefics3ForConditionalGeneration",
        "Gemma3ForConditionalGeneration",
        "SmolVLMForConditionalGeneration",
        "Qwen2VLForConditionalGeneration",
        "Qwen2_5_VLForConditionalGeneration",
        "Qwen3VLForConditionalGeneration",
        "InternVLForConditionalGeneration",
    ),
    Decoder.from_settings,
)
