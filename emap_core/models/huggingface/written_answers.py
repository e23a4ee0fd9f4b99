"""Answers that a checkpoint may write after its prompt: how both become tokens."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import torch
from PIL import Image

from emap_core.class_names import names_of_classes
from emap_core.errors import ModelError, SettingError
from emap_core.models.huggingface.checkpoint import Checkpoint
from emap_core.models.huggingface.checkpoint_model import (
    ReadsClasses,
    same_to_the_tokenizer,
)
from emap_core.models.tokens import NO_LIMIT, in_one_line, note_on_cut

Normalise = Literal["none", "length"]

BLANK = Image.new("RGB", (32, 32))
"""The text that the processor puts after an image does not depend on the image."""
GREY = Image.new("RGB", (32, 32), (128, 128, 128))
NOTHING = "N/A"
"""An image and a text without content."""
_OPENS = "([{\"'“‘"
"""Characters that an answer follows without a blank."""
_ANSWER = "qzx"
"""A mark that no template contains."""


class WritesAnswers(ReadsClasses):
    """A checkpoint that writes text after an image and a text; each class is an answer.

    Parameters
    ----------
    checkpoint : Checkpoint
    classes : sequence of str, optional
        The answers.
    prompt : str, optional
        With ``{image}`` before ``{text}``; it replaces the chat template.
    normalise : {"none", "length"}
        Whether an answer's log-probability is divided by its number of tokens.
    answer_prefix : str
        The beginning of the model's output, before the answer.
    wordings : mapping
        Other ways to write the answers of some classes.
    calibrate : bool
        Whether scores are relative to those for a text and an image without content.
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
        answer_prefix: str = "",
        wordings: Mapping[str, Sequence[str]] | None = None,
        calibrate: bool = False,
    ) -> None:
        super().__init__(checkpoint)
        self._prompt = prompt
        self._normalise = normalise
        self._answer_prefix = answer_prefix
        self._wordings = wordings or {}
        self._calibrate = calibrate
        self._prior: torch.Tensor | None = None
        self._begun = ""
        self._given: list[str] = []
        self._class_of: list[int] = []
        self._continuations: list[list[int]] = []
        self._n_moved = 0
        self._between = ""
        self._first_answer = ""
        self._take_classes(classes)

    @classmethod
    def from_settings(
        cls,
        checkpoint: Checkpoint,
        classes: str | Sequence[str] | None = None,
        prompt: str | None = None,
        normalise: Normalise = "none",
        answer_prefix: str = "",
        wordings: Mapping[str, Sequence[str]] | None = None,
        calibrate: bool = False,
    ) -> Self:
        """Return a model whose classes are answers that it may write.

        Parameters
        ----------
        checkpoint : Checkpoint
        classes : str or sequence of str, optional
            The answers, as a list or with commas; by default those of the dataset. Each follows the
            prompt the way the chat template writes it, usually after a space, unless it begins with
            one.
        prompt : str, optional
            A prompt with ``{image}`` before ``{text}``; it replaces the chat template.
        normalise : {"none", "length"}
            Whether an answer's log-probability is divided by its number of tokens.
        answer_prefix : str
            The beginning of the model's output, before the answer, such as "The answer is".
        wordings : mapping of str to sequence of str, optional
            Other ways to write the answers of some classes; their probabilities are added up.
        calibrate : bool
            Whether to subtract an answer's log-probability for a text and an image without content
            ("N/A" and a grey image) (Zhao et al., ICML 2021, arXiv 2102.09690).
        """
        check_settings(prompt, normalise, answer_prefix, wordings)
        return cls(
            checkpoint, answers(classes), prompt, normalise, answer_prefix, wordings, calibrate
        )

    def notes(self, texts: list[str]) -> list[str]:
        """Return a note on how many of these texts are cut to keep prompt and answer whole."""
        n_cut = sum(map(operator.ne, self._fitted(texts), texts))
        kept = "; the rest of the prompt and the answers are kept"
        return note_on_cut(n_cut, len(texts), self._tokens.limit, kept)

    def with_classes(self, classes: Sequence[str]) -> Self:
        """Use these classes as answers; raises as `ReadsClasses.with_classes` does."""
        super().with_classes(classes)
        # Labels must match these names, blanks included.
        self.classes = list(classes)
        return self

    def _shown_prompts(self, text: str) -> list[str]:
        return [self._joint(text, answer) for answer in self._given]

    def _take_classes(self, classes: Sequence[str] | None) -> None:
        """Find out how the tokenizer writes each answer after the prompt.

        An answer's tokens are those that prompt and answer together have beyond the prompt's: "yes"
        after a colon is written with the blank before it, which is another token than without.
        """
        self._take_answers(classes)
        given = self._given
        if not given:
            return
        self._begin_answers()
        prompt, *joined = self._tokens.numbers(
            [self._joint("a"), *(self._joint("a", answer) for answer in given)]
        )
        start = min(n_common(prompt, one) for one in joined)
        self._continuations = [one[start:] for one in joined]
        self._n_moved = len(prompt) - start
        self._first_answer = given[0]
        self._check_answers(self._continuations)

    def _take_answers(self, classes: Sequence[str] | None) -> None:
        """Use these class names, and all ways to write their answers."""
        given = [] if classes is None else list(classes)
        self.classes = None if classes is None else names_of_answers(given)
        self._prior = None
        unknown = [name for name in self._wordings if given and name not in (self.classes or ())]
        if unknown:
            raise SettingError(
                f"wordings has {unknown[0]!r}, which is not a class; the classes are "
                f"{', '.join((self.classes or [])[:8])}"
            )
        ways = [
            [name, *self._wordings.get(called, ())]
            for name, called in zip(given, self.classes or (), strict=True)
        ]
        self._given = [way for of_class in ways for way in of_class]
        self._class_of = [number for number, of_class in enumerate(ways) for _ in of_class]

    def _check_answers(self, tokens: list[list[int]]) -> None:
        """Raise a ModelError if an answer has no tokens, or those of another."""
        for place, (answer, token_ids) in enumerate(zip(self._given, tokens, strict=True)):
            if not token_ids:
                raise ModelError(f"the answer {answer!r} has no tokens; give it another name")
            for before, (other, of_other) in enumerate(
                zip(self._given[:place], tokens[:place], strict=True)
            ):
                if token_ids == of_other:
                    raise same_to_the_tokenizer(other, answer)
                n = min(len(token_ids), len(of_other))
                same_class = self._class_of[place] == self._class_of[before]
                if same_class and token_ids[:n] == of_other[:n]:
                    longer, shorter = (other, answer) if len(of_other) > n else (answer, other)
                    raise ModelError(
                        f"the wording {longer!r} begins like {shorter!r} and is already counted "
                        "there; leave it out"
                    )

    def _begin_answers(self) -> None:
        """Find out what comes between a prompt, the beginning of an answer, and the rest."""
        self._begun = ""
        self._between = self._before_answer()
        prefix = self._answer_prefix.rstrip(" ")
        if prefix:
            self._begun = ("" if prefix[:1].isspace() else self._between) + prefix
            self._between = "" if prefix[-1].isspace() or prefix[-1] in _OPENS else " "

    def _scores(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the scores of classes from those of all wordings, shapes (B, C) and (B, W)."""
        classes = torch.tensor(self._class_of, device=logits.device)
        if len(classes) > len(self.classes or ()):
            logits = torch.stack(
                [logits[:, classes == n].logsumexp(1) for n in range(int(classes[-1]) + 1)], 1
            )
        if not self._calibrate:
            return logits
        if self._prior is None:
            # Set this first, so that the call below does not recurse.
            self._prior = torch.zeros_like(logits[0])
            self._prior = self._scores_of_nothing()[0]
        return logits - self._prior.to(logits)

    def _scores_of_nothing(self) -> torch.Tensor:
        """Return the scores of the pair without content, shape (1, C)."""
        raise NotImplementedError

    def _joint(self, text: str, answer: str | None = None) -> str:
        """Return a tokenised prompt, with or without an answer after it."""
        prompt = self._read_as(text)
        if answer is None:
            return prompt
        return self._joined(prompt, answer)

    def _joined(self, before: str, answer: str) -> str:
        """Return an answer after its beginning."""
        return before + ("" if answer[:1].isspace() else self._between) + answer

    def _before_answer(self) -> str:
        """Return what comes between a prompt and an answer: usually a blank, or nothing."""
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
        """Return the processor's text: the prompt, and the given part of the answer.

        Blanks at the end of a prompt belong to the answer: models write a blank and a word as one
        token.
        """
        return self._written(text).rstrip(" ") + self._begun

    def _read_as(self, text: str) -> str:
        """Return the processor's output for a prompt, without the image."""
        return self._asked(text)

    def _check_joints(self, texts: list[str]) -> None:
        """Raise a ModelError if a text changes the tokens of the answer after it."""
        if not self.classes:
            return
        prompts = self._tokens.numbers([self._joint(text) for text in texts])
        joined = self._tokens.numbers([self._joint(text, self._first_answer) for text in texts])
        for text, prompt, both in zip(texts, prompts, joined, strict=True):
            start = len(prompt) - self._n_moved
            if both[:start] != prompt[:start] or both[start:] != self._continuations[0]:
                raise ModelError(
                    f"the model's tokenizer joins the end of the text {text[-40:]!r} with the "
                    f"answer {self._first_answer!r}; give a prompt= that continues after {{text}}, "
                    "for instance with a line break"
                )

    def _fitted(self, texts: list[str]) -> list[str]:
        """Return the texts, cut if image, prompt and answer would be too long."""
        if self._tokens.limit >= NO_LIMIT:
            return texts
        written = self._tokens.count([self._read_as("a")])[0]
        more = self._inputs("a", BLANK)["input_ids"].shape[1] - written + self._longest_answer
        return self._tokens.fit(
            texts, lambda text: [self._read_as(text)], self._tokens.limit - more
        )

    @property
    def _longest_answer(self) -> int:
        return max(map(len, self._continuations), default=0)

    def _check_length(self, mask: torch.Tensor) -> None:
        """Raise a ModelError if an image and a text together are longer than the model reads."""
        most = self._tokens.limit - self._longest_answer
        # Padding counts here, so that we wait for the device only if necessary.
        if mask.shape[1] > most and int(mask.sum(1).max()) > most:
            raise ModelError(
                f"an image and its prompt have {int(mask.sum(1).max()):,} tokens, but the model "
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


def names_of_answers(given: Sequence[str]) -> list[str]:
    """Return answers as labels name them; blanks at their start only say how they are written."""
    names = [name.strip() for name in given]
    return list(given) if len(set(names)) < len(given) else names


def n_common(one: list[int], other: list[int]) -> int:
    """Return the length of the common beginning of two token lists."""
    pairs = zip(one, other, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def answers(classes: str | Sequence[str] | None) -> list[str] | None:
    """Return answers as `names_of_classes` does, but keep the blanks that they begin with.

    A blank after a comma does not belong to an answer unless the first one also begins with a
    blank: ``" yes, no"``.
    """
    if isinstance(classes, str) and classes.startswith(" "):
        return classes.split(",")
    return names_of_classes(classes)


def check_settings(
    prompt: str | None,
    normalise: str,
    answer_prefix: str = "",
    wordings: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Raise a `SettingError` for an invalid setting."""
    if not isinstance(answer_prefix, str):
        raise SettingError(f"answer_prefix is {answer_prefix!r}; expected a text")
    if wordings is not None:
        right = isinstance(wordings, Mapping) and all(
            isinstance(ways, list | tuple) and all(isinstance(way, str) for way in ways)
            for ways in wordings.values()
        )
        if not right:
            raise SettingError(
                f"wordings is {wordings!r:.80}; expected lists by class, as in "
                '{"yes": ["yeah", "true"]}'
            )
        if normalise == "length":
            raise SettingError(
                "wordings adds up probabilities, which do not exist after division by length; "
                "leave out normalise=length"
            )
    if normalise not in ("none", "length"):
        raise SettingError(f"normalise is {normalise!r}; expected 'none' or 'length'")
    if prompt is not None and not 0 <= prompt.find("{image}") < prompt.find("{text}"):
        raise SettingError(f"prompt is {prompt!r}; expected {{image}} and then {{text}} in it")
