"""Checkpoints that write text after an image: LLaVA and its like, scored on given answers."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Sequence
from typing import Any, Literal, Self

import torch
from PIL import Image

from emap_core.errors import ModelError, SettingError
from emap_core.models.hf import (
    Checkpoint,
    ReadsClasses,
    names_of_classes,
    same_to_the_tokenizer,
)
from emap_core.models.pictures import in_colours
from emap_core.models.states import take
from emap_core.models.tokens import NO_LIMIT, in_one_line, note_on_cut

Normalise = Literal["none", "length"]

_BLANK = Image.new("RGB", (32, 32))
"""The processor writes what stands after an image, whichever image it is."""
_ANSWER = "qzx"
"""No template has this in it."""


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
        self._prompt = prompt
        self._normalise = normalise
        self._continuations: list[list[int]] = []
        self._n_moved = 0
        self._between = ""
        self._first_answer = ""
        self._take_classes(classes)

    def notes(self, texts: list[str]) -> list[str]:
        """Say how many of these texts are cut so that prompt and answer can be read whole."""
        n_cut = sum(map(operator.ne, self._fitted(texts), texts))
        kept = "; the rest of the prompt and the answers are kept"
        return note_on_cut(n_cut, len(texts), self._tokens.limit, kept)

    def encode_texts(self, texts: list[str]) -> dict[str, torch.Tensor]:
        """Return the words after the image, padded on the left, shapes (B, length).

        Where the tokenizer joins the end of the prompt with an answer, that end is left to the
        answers.
        """
        fitted = self._fitted(texts)
        self._check_joints(fitted)
        words = []
        for text in fitted:
            said = self._after_image(self._inputs(text, _BLANK)["input_ids"][0])
            words.append(said[: len(said) - self._n_moved])
        longest = max(map(len, words))
        numbers = torch.zeros(len(words), longest, dtype=torch.long)
        seen = torch.zeros_like(numbers)
        for row, said in enumerate(words):
            numbers[row, longest - len(said) :] = said
            seen[row, longest - len(said) :] = 1
        return {"words": numbers.to(self.device), "seen": seen.to(self.device)}

    def encode_images(self, images: list[Any]) -> dict[str, torch.Tensor]:
        """Return keys and values of all layers up to the image's end, and which are not padding.

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
        self._check_length(seen)
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
        logits = []
        for said in self._continuations:
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
            **inputs,
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

    def with_classes(self, classes: Sequence[str]) -> Self:
        """Take these classes as answers; raises as `ReadsClasses.with_classes`."""
        super().with_classes(classes)
        # Labels have these names to the last blank.
        self.classes = list(classes)
        return self

    def _take_classes(self, classes: Sequence[str] | None) -> None:
        """Find out how the tokenizer writes each answer after the prompt.

        An answer's tokens are those that prompt and answer together have more than the prompt: the
        word "yes" after a colon is written with the blank before it, another token than without.
        """
        given = None if classes is None else list(classes)
        names = [name.strip() for name in given or ()]
        # Blanks tell how an answer is written, and no names of labels, unless only they differ.
        self.classes = given if given is None or len(set(names)) < len(given) else names
        if not given:
            return
        self._between = self._before_answer()
        prompt, *joined = self._tokens.numbers(
            [self._joint("a"), *(self._joint("a", answer) for answer in given)]
        )
        start = min(_n_common(prompt, one) for one in joined)
        self._continuations = [one[start:] for one in joined]
        self._n_moved = len(prompt) - start
        self._first_answer = given[0]
        read = dict[tuple[int, ...], str]()
        for answer, said in zip(given, self._continuations, strict=True):
            if not said:
                raise ModelError(f"the answer {answer!r} has no token; give it another name")
            other = read.setdefault(tuple(said), answer)
            if other != answer:
                raise same_to_the_tokenizer(other, answer)

    def _joint(self, text: str, answer: str | None = None) -> str:
        """Return a prompt as it is tokenised, with or without an answer after it."""
        prompt = self._read_as(text)
        if answer is None:
            return prompt
        return prompt + ("" if answer[:1].isspace() else self._between) + answer

    def _before_answer(self) -> str:
        """Return what stands between a prompt and an answer: mostly a blank, or nothing."""
        prompt, written = self._read_as("a"), self._written("a")
        blanks = written[len(written.rstrip(" ")) :]
        if blanks and prompt.endswith(written.rstrip(" ")):
            return blanks
        if not self._plain:
            said = [{"type": "text", "text": _ANSWER}]
            chat = [*self._chat("a"), {"role": "assistant", "content": said}]
            # Not every template can write an answer.
            with contextlib.suppress(Exception):
                between, found, _ = self._rendered(chat, False).partition(_ANSWER)
                between = between.removeprefix(prompt)
                if found and not between.strip():
                    return between
        ends_in = self._tokens.numbers([prompt])[0][-1:]
        special = set(self._processor.tokenizer.all_special_ids)
        return "" if prompt[-1:].isspace() or special.intersection(ends_in) else " "

    def _asked(self, text: str) -> str:
        """Return what the processor gets.

        Blanks at the end of a prompt belong to the answer: models write a blank and a word as one.
        """
        return self._written(text).rstrip(" ")

    def _read_as(self, text: str) -> str:
        """Return what the processor makes of a prompt, but for the image."""
        return self._asked(text)

    def _check_joints(self, texts: list[str]) -> None:
        """Raise a ModelError where a text changes how the tokenizer writes the answer after it."""
        if not self.classes:
            return
        prompts = self._tokens.numbers([self._joint(text) for text in texts])
        joined = self._tokens.numbers([self._joint(text, self._first_answer) for text in texts])
        for text, prompt, both in zip(texts, prompts, joined, strict=True):
            start = len(prompt) - self._n_moved
            if both[:start] != prompt[:start] or both[start:] != self._continuations[0]:
                raise ModelError(
                    f"the model's tokenizer joins the end of the text {text[-40:]!r} with the "
                    f"answer {self._first_answer!r}; give a prompt= that goes on after {{text}}, "
                    "for instance with a line break"
                )

    def _fitted(self, texts: list[str]) -> list[str]:
        """Return the texts, cut where image, prompt and answer would be too long."""
        if self._tokens.limit >= NO_LIMIT:
            return texts
        written = self._tokens.count([self._read_as("a")])[0]
        more = self._inputs("a", _BLANK)["input_ids"].shape[1] - written + self._longest_answer
        return self._tokens.fit(
            texts, lambda text: [self._read_as(text)], self._tokens.limit - more
        )

    @property
    def _longest_answer(self) -> int:
        return max(map(len, self._continuations), default=0)

    def _check_length(self, seen: torch.Tensor) -> None:
        """Raise a ModelError if an image and a text are together longer than the model reads."""
        most = self._tokens.limit - self._longest_answer
        # Padding counts here, so that nothing waits for the device unless it has to.
        if seen.shape[1] > most and int(seen.sum(1).max()) > most:
            raise ModelError(
                f"an image and its prompt have {int(seen.sum(1).max()):,} tokens, and the model "
                f"reads {most:,} before an answer; make the images smaller or the texts shorter"
            )

    def _inputs(self, text: str, image: Image.Image) -> Any:
        # A chat template writes the tokenizer's first token itself.
        options = {} if self._plain else {"add_special_tokens": False}
        with in_one_line("the model's processor cannot read a text or an image"):
            inputs = self._processor(
                text=[self._asked(text)], images=[[image]], return_tensors="pt", **options
            )
        return inputs.to(self.device, self.dtype)

    @property
    def _plain(self) -> bool:
        return self._prompt is not None or not getattr(self._processor, "chat_template", None)

    def _written(self, text: str) -> str:
        """Return the prompt with the place of the image and the text."""
        if self._plain:
            prompt = self._prompt or self._default_prompt
            return prompt.replace("{image}", self._place_of_image()).replace("{text}", text)
        return self._rendered(self._chat(text), True)

    @staticmethod
    def _chat(text: str) -> list[dict[str, Any]]:
        return [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]}]

    def _rendered(self, chat: list[dict[str, Any]], asks: bool) -> str:
        written: str = self._processor.apply_chat_template(
            chat, add_generation_prompt=asks, tokenize=False
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


def _n_common(one: list[int], other: list[int]) -> int:
    """Return how many tokens two lists begin with alike."""
    pairs = zip(one, other, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


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
        The answers, as a list or with commas; else those of the dataset. Each follows the prompt
        as the chat template writes it, mostly after a blank, unless it begins with one itself.
    prompt : str, optional
        A prompt with ``{image}`` before ``{text}`` in place of the chat template.
    normalise : {"none", "length"}
        Whether an answer's log-probability is divided by its number of tokens.
    """
    check_settings(prompt, normalise)
    return Decoder(checkpoint, answers(classes), prompt, normalise)


def answers(classes: str | Sequence[str] | None) -> list[str] | None:
    """Return answers as `names_of_classes` does, with the blanks that they begin with.

    A blank after a comma belongs to no answer, unless the first one has it too: ``" yes, no"``.
    """
    if isinstance(classes, str) and classes.startswith(" "):
        return classes.split(",")
    return names_of_classes(classes)


def check_settings(prompt: str | None, normalise: str) -> None:
    """Raise `SettingError` for a prompt without its places or an unknown `normalise`."""
    if normalise not in ("none", "length"):
        raise SettingError(f"normalise is {normalise!r}; expected 'none' or 'length'")
    if prompt is not None and not 0 <= prompt.find("{image}") < prompt.find("{text}"):
        raise SettingError(f"prompt is {prompt!r}; expected {{image}} and then {{text}} in it")
