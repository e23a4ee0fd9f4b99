"""Checkpoints that write text after an image: LLaVA and its like, scored on given answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from PIL import Image

from emap_core.errors import ModelError, SettingError
from emap_core.models.hf import Checkpoint, ReadsClasses, names_of_classes
from emap_core.models.pictures import in_colours
from emap_core.models.states import take

Normalise = Literal["none", "length"]


class Decoder(ReadsClasses):
    """A logit for each answer: the log-probability that the model writes it after the prompt.

    Attention being causal after the image, what the layers keep of the image (keys and values) is
    computed once an image; for every pair only the words of the text go through the model.
    """

    # A log-probability is never above 0.
    has_threshold = False

    _default_prompt = "{image}\n{text}\n"

    def __init__(
        self,
        checkpoint: Checkpoint,
        classes: Sequence[str] | None,
        prompt: str | None,
        normalise: Normalise,
    ) -> None:
        super().__init__(checkpoint)
        self._take_classes(classes)
        self._prompt = prompt
        self._normalise = normalise

    def encode_texts(self, texts: list[str]) -> dict[str, torch.Tensor]:
        """Return the words after the image, padded on the left, shapes (B, length)."""
        # The processor writes what stands after an image, whichever image it is.
        blank = Image.new("RGB", (32, 32))
        words = [self._after_image(self._inputs(text, blank)["input_ids"][0]) for text in texts]
        longest = max(map(len, words))
        numbers = torch.zeros(len(words), longest, dtype=torch.long)
        seen = torch.zeros_like(numbers)
        for row, said in enumerate(words):
            numbers[row, longest - len(said) :] = said
            seen[row, longest - len(said) :] = 1
        return {"words": numbers.to(self.device), "seen": seen.to(self.device)}

    def encode_images(self, images: list[Any]) -> dict[str, torch.Tensor]:
        """Return keys and values of all layers up to the image's end, and which are no padding.

        Their shapes are (B, layers, heads, length, D) and (B, length): the whole cache of a large
        model, some hundred megabytes an image. With them comes how much further on the next word
        stands than by its number, shape (B,): to some models an image is as long as it is wide.
        """
        read = [self._read_image(image) for image in in_colours(images)]
        longest = max(keys.shape[2] for keys, _, _ in read)
        shape = (len(read), *read[0][0].shape[:2], longest, read[0][0].shape[3])
        states = {name: read[0][0].new_zeros(shape) for name in ("keys", "values")}
        seen = torch.zeros(len(read), longest, dtype=torch.long, device=self.device)
        for row, (keys, values, _) in enumerate(read):
            states["keys"][row, :, :, longest - keys.shape[2] :] = keys
            states["values"][row, :, :, longest - keys.shape[2] :] = values
            seen[row, longest - keys.shape[2] :] = 1
        return {**states, "seen": seen, "shift": torch.stack([shift for _, _, shift in read])}

    def score(self, text_states: Any, image_states: Any) -> torch.Tensor:
        """Return the logits of B aligned pairs, shape (B, C)."""
        if getattr(self.model.config.get_text_config(), "sliding_window", None) is None:
            return self._score(text_states, image_states)
        # A window counts the padding between image and text, so texts of one length go together.
        lengths = text_states["seen"].sum(1)
        parts = []
        for length in lengths.unique().tolist():
            rows = (lengths == length).nonzero()[:, 0]
            same = {name: leaf[rows, -length:] for name, leaf in text_states.items()}
            parts.append((rows, self._score(same, take(image_states, rows.cpu().numpy()))))
        order = torch.cat([rows for rows, _ in parts]).argsort()
        return torch.cat([logits for _, logits in parts])[order]

    def _score(self, text_states: Any, image_states: Any) -> torch.Tensor:
        from transformers import DynamicCache

        layers = zip(image_states["keys"].unbind(1), image_states["values"].unbind(1), strict=True)
        seen = torch.cat([image_states["seen"], text_states["seen"]], 1)
        words, shift = text_states["words"], image_states["shift"]
        positions = (seen.cumsum(1) - 1).clamp(min=0) + shift[:, None]
        read = self.model(
            input_ids=words,
            attention_mask=seen,
            position_ids=positions[:, -words.shape[1] :],
            past_key_values=DynamicCache(ddp_cache_data=list(layers)),
            use_cache=True,
            logits_to_keep=1,
        )
        return self._answers(read.logits[:, -1], read.past_key_values, seen, shift)

    def _answers(
        self, first: torch.Tensor, cache: Any, seen: torch.Tensor, shift: torch.Tensor
    ) -> torch.Tensor:
        """Return the log-probability of every answer after prompts that were read, (B, C)."""
        if not self.classes:
            raise ModelError("the model answers from a list, and there is none: give classes=")
        start = first.float().log_softmax(-1)
        kept = [(layer.keys, layer.values) for layer in cache.layers]
        tokenizer = self._processor.tokenizer
        logits = []
        for answer in self.classes:
            said = tokenizer(answer, add_special_tokens=False)["input_ids"]
            if not said:
                raise ModelError(f"the answer {answer!r} is no word to the tokenizer")
            total = start[:, said[0]]
            if len(said) > 1:
                total = total + self._continues(said, kept, seen, shift)
            logits.append(total / len(said) if self._normalise == "length" else total)
        return torch.stack(logits, 1)

    def _continues(
        self, said: list[int], kept: Any, seen: torch.Tensor, shift: torch.Tensor
    ) -> torch.Tensor:
        """Return the log-probability of all words of an answer but the first, shape (B,)."""
        from transformers import DynamicCache

        words = torch.tensor(said, device=seen.device).expand(len(seen), -1)
        steps = torch.arange(len(said) - 1, device=seen.device)
        logits = self.model(
            input_ids=words[:, :-1],
            attention_mask=torch.cat([seen, torch.ones_like(words[:, :-1])], 1),
            position_ids=(seen.sum(1) + shift)[:, None] + steps,
            # Joining makes new tensors, so every answer finds the cache as the prompt left it.
            past_key_values=DynamicCache(ddp_cache_data=kept),
            use_cache=True,
        ).logits
        each = logits.float().log_softmax(-1).gather(-1, words[:, 1:, None])[..., 0]
        total: torch.Tensor = each.sum(1)
        return total

    def _read_image(self, image: Image.Image) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        from transformers import DynamicCache

        inputs = self._inputs("a", image)
        stop = self._image_end(inputs["input_ids"][0])
        for name in ("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids"):
            if name in inputs:
                inputs[name] = inputs[name][:, :stop]
        # A cache without the configuration forgets nothing, sliding windows or not.
        cache = self.model(
            **inputs.to(self.device),
            past_key_values=DynamicCache(),
            use_cache=True,
            logits_to_keep=1,
        ).past_key_values
        # Qwen's models keep it since they read the image; the others count every token.
        shift = getattr(self.model.model, "rope_deltas", None)
        return (
            torch.stack([layer.keys[0] for layer in cache.layers]),
            torch.stack([layer.values[0] for layer in cache.layers]),
            torch.zeros_like(inputs["input_ids"][0, 0]) if shift is None else shift[0, 0],
        )

    def _inputs(self, text: str, image: Image.Image) -> Any:
        # A chat template writes the tokenizer's first token itself.
        options = {} if self._plain else {"add_special_tokens": False}
        return self._processor(
            text=[self._written(text)], images=[[image]], return_tensors="pt", **options
        )

    @property
    def _plain(self) -> bool:
        return self._prompt is not None or not getattr(self._processor, "chat_template", None)

    def _written(self, text: str) -> str:
        """Return the prompt with the place of the image and the text."""
        if self._plain:
            prompt = self._prompt or self._default_prompt
            return prompt.replace("{image}", self._place_of_image()).replace("{text}", text)
        content = [{"type": "image"}, {"type": "text", "text": text}]
        written: str = self._processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )
        return written

    def _place_of_image(self) -> str:
        place = str(getattr(self._processor, "boi_token", None) or self._processor.image_token)
        # Qwen's processors leave the marks around an image to the chat template.
        config, tokenizer = self.model.config, self._processor.tokenizer
        if not hasattr(config, "vision_start_token_id"):
            return place
        around = [config.vision_start_token_id, config.vision_end_token_id]
        start, end = tokenizer.convert_ids_to_tokens(around)
        return f"{start}{place}{end}"

    def _image_end(self, words: torch.Tensor) -> int:
        places = (words == self.model.config.image_token_id).nonzero()
        if not len(places):
            raise ModelError("the prompt has no place for the image; expected {image} in it")
        return int(places[-1]) + 1

    def _after_image(self, words: torch.Tensor) -> torch.Tensor:
        return words[self._image_end(words) :]


def make(
    checkpoint: Checkpoint,
    classes: str | Sequence[str] | None = None,
    prompt: str | None = None,
    normalise: Normalise = "none",
) -> Decoder:
    """Return a model whose classes are answers that it may write.

    Parameters
    ----------
    checkpoint : Checkpoint
    classes : str or sequence of str, optional
        The answers, as a list or with commas; else those of the dataset.
    prompt : str, optional
        A prompt with ``{image}`` before ``{text}`` in place of the chat template.
    normalise : {"none", "length"}
        Whether an answer's log-probability is divided by its number of tokens.
    """
    check_settings(prompt, normalise)
    return Decoder(checkpoint, names_of_classes(classes), prompt, normalise)


def check_settings(prompt: str | None, normalise: str) -> None:
    """Raise `SettingError` for a prompt without its places or an unknown `normalise`."""
    if normalise not in ("none", "length"):
        raise SettingError(f"normalise is {normalise!r}; expected 'none' or 'length'")
    if prompt is not None and not 0 <= prompt.find("{image}") < prompt.find("{text}"):
        raise SettingError(f"prompt is {prompt!r}; expected {{image}} and then {{text}} in it")
