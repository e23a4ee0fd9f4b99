"""Checkpoints without a family: every pair goes through the library's whole model."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from emap_core.errors import ModelError
from emap_core.models.huggingface.checkpoint import Checkpoint
from emap_core.models.huggingface.checkpoint_model import (
    FromCheckpoint,
    named_classes,
    stored_names,
)
from emap_core.models.huggingface.families.two_towers import PADS_TO_THE_END
from emap_core.models.huggingface.family import Family
from emap_core.models.huggingface.written_answers import (
    BLANK,
    GREY,
    NOTHING,
    Normalise,
    WritesAnswers,
    n_common,
)
from emap_core.models.rgb_images import in_colours
from emap_core.models.tokens import in_one_line

_STRIPES = Image.effect_mandelbrot((32, 32), (-2.0, -1.5, 1.0, 1.5), 20).convert("RGB")
"""An image as unlike a blank one as possible."""


class _Whole(FromCheckpoint):
    """A plain callable of texts and images; no side is encoded separately."""

    def __call__(self, texts: list[str], images: list[Any]) -> torch.Tensor:
        """Return the logits of B aligned pairs, shape (B, C)."""
        pairs = zip(texts, in_colours(images), strict=True)
        return torch.stack([self._pair(text, image) for text, image in pairs])

    def notes(self, texts: list[str]) -> list[str]:
        """Return notes on how many texts are cut, and on the cost of whole forward passes."""
        return [*super().notes(texts), self._cost()]

    def _pair(self, text: str, image: Image.Image) -> torch.Tensor:
        """Return the logits of one pair, shape (C,)."""
        raise NotImplementedError

    def _example(self) -> Any:
        """Return the model's inputs for some pair."""
        raise NotImplementedError

    def _forward(self, inputs: Any, **more: Any) -> Any:
        with in_one_line(f"{type(self.model).__name__} cannot be run on an image and a text"):
            return self.model(**inputs, **more)

    def _cost(self) -> str:
        """Return in words what a family would save, counted on one pair."""
        said = "The checkpoint has no family, so every pair goes through the whole model"
        inputs, read = self._example(), getattr(self.model, "get_image_features", None)
        if read is None:
            return f"{said}."
        taken = inspect.signature(read).parameters
        of_image = {name: value for name, value in inputs.items() if name in taken}
        with torch.inference_mode(), FlopCounterMode(display=False) as whole:
            self._forward(inputs, **self._more())
        # Some need more than the image: they read it together with the question.
        with contextlib.suppress(Exception):
            with torch.inference_mode(), FlopCounterMode(display=False) as alone:
                read(**of_image)
            share = alone.get_total_flops() / max(whole.get_total_flops(), 1)
            return (
                f"{said}: {share:.0%} of a pair's operations only read the image, which a family "
                "would do once per image."
            )
        return f"{said}."

    def _more(self) -> dict[str, Any]:
        return {}


class WholeSimilarity(_Whole):
    """The library's own similarity of a text and an image: one logit."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(checkpoint)
        self.has_threshold = hasattr(checkpoint.model, "logit_bias")
        self._padding = checkpoint.architecture in PADS_TO_THE_END and "max_length"

    def _pair(self, text: str, image: Image.Image) -> torch.Tensor:
        logits: torch.Tensor = self._forward(self._inputs(text, image)).logits_per_text[0]
        return logits

    def _example(self) -> Any:
        return self._inputs("a", BLANK)

    def _inputs(self, text: str, image: Image.Image) -> Any:
        options: dict[str, Any] = {"padding": self._padding}
        # Some processors cannot cut a text, so cutting is requested only if needed.
        if self._padding or self._tokens.n_long([text]):
            options |= {"truncation": True, "max_length": self._tokens.limit}
        with in_one_line("the model's processor cannot read a text or an image"):
            inputs = self._processor(text=[text], images=[image], return_tensors="pt", **options)
        return inputs.to(self.device, self.dtype)


class WholeClassifier(WholeSimilarity):
    """A head with a logit per answer."""

    def __init__(self, checkpoint: Checkpoint, classes: str | Sequence[str] | None = None) -> None:
        super().__init__(checkpoint)
        config = checkpoint.model.config
        self.has_threshold = False
        self.classes = named_classes(classes, config.num_labels, stored_names(config))

    def _pair(self, text: str, image: Image.Image) -> torch.Tensor:
        logits: torch.Tensor = self._forward(self._inputs(text, image)).logits[0]
        return logits


class WholeAnswers(_Whole, WritesAnswers):
    """A logit per answer: the log-probability that the model writes it after the prompt.

    Prompt and answer are tokenised together, with the image in place. The answer's tokens are those
    after the beginning that all answers share with the prompt alone. A model with an encoder reads
    the prompt there and writes the whole answer.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        classes: Sequence[str] | None,
        prompt: str | None,
        normalise: Normalise,
        *more: Any,
    ) -> None:
        self._place: str | None = None
        self._writes_apart = bool(checkpoint.model.config.is_encoder_decoder)
        super().__init__(checkpoint, classes, prompt, normalise, *more)

    def notes(self, texts: list[str]) -> list[str]:
        """Return a note on the cost of whole forward passes; nothing is cut."""
        return [self._cost()]

    def _take_classes(self, classes: Sequence[str] | None) -> None:
        self._take_answers(classes)
        self._checked = False

    def _pair(self, text: str, image: Image.Image) -> torch.Tensor:
        if not self.classes:
            raise ModelError("the model answers from a list, and there is none: give classes=")
        if not self._checked:
            self._check()
        totals = self._apart(text, image) if self._writes_apart else self._after(text, image)
        return self._scores(torch.stack(totals)[None])[0]

    def _scores_of_nothing(self) -> torch.Tensor:
        return self._pair(NOTHING, GREY)[None]

    def _after(self, text: str, image: Image.Image) -> list[torch.Tensor]:
        """Return the log-probability of each answer as a continuation of the prompt."""
        prompt, *read = [
            self._inputs(written, image)
            for written in (self._joint(text), *(self._joint(text, one) for one in self._given))
        ]
        asked = prompt["input_ids"][0].tolist()
        joined = [self._without_end(inputs["input_ids"][0].tolist(), asked) for inputs in read]
        start = min(n_common(asked, one) for one in joined)
        self._check_answers([one[start:] for one in joined])
        known: dict[tuple[int, ...], torch.Tensor] = {}
        totals = []
        for inputs, one in zip(read, joined, strict=True):
            before = tuple(one[:-1])
            if before not in known:
                # Tokens read before an answer's last one serve all answers that share them.
                logits = self._forward(inputs).logits[0].float()
                # Some put the image before all tokens.
                first = len(logits) - inputs["input_ids"].shape[1]
                known[before] = logits[first + start - 1 : first + len(one) - 1].log_softmax(-1)
            token_ids = torch.tensor(one[start:], device=self.device)
            each = known[before].gather(1, token_ids[:, None])
            totals.append(each.mean() if self._normalise == "length" else each.sum())
        return totals

    def _apart(self, text: str, image: Image.Image) -> list[torch.Tensor]:
        """Return the log-probability of each answer as the decoder's whole output."""
        inputs = self._inputs(self._joint(text), image)
        prefix = self._answer_prefix.rstrip(" ")
        joined = [self._joined(prefix, answer) if prefix else answer for answer in self._given]
        begun, *written = self._tokens.numbers([prefix, *joined], special=True)
        # Without a beginning, all of an answer counts, with whatever the tokenizer puts around it.
        start = min(n_common(begun, one) for one in written) if self._answer_prefix else 0
        self._check_answers([one[start:] for one in written])
        totals = []
        for one in written:
            labels = torch.tensor([one], device=self.device)
            each = self._forward(inputs, labels=labels).logits[0].float().log_softmax(-1)
            each = each.gather(1, labels[0, :, None])[start:]
            totals.append(each.mean() if self._normalise == "length" else each.sum())
        return totals

    def _begin_answers(self) -> None:
        super()._begin_answers()
        if self._writes_apart:
            # The encoder reads only the prompt, and the decoder begins with the answer.
            self._begun = ""

    def _check(self) -> None:
        """Raise a ModelError if the model ignores the image, or reads answers in advance."""
        self._begin_answers()
        if not self._reads_images():
            raise ModelError(
                "the model writes the same after every image; give a prompt= with {image} before "
                "{text}"
            )
        if not self._writes_apart:
            inputs = self._example()
            token_ids = inputs["input_ids"].clone()
            known = self._tokens.numbers(["a", *self._given])
            token_ids[0, -1] = next(n for one in known for n in [*one, 0] if n != token_ids[0, -1])
            plain, changed = (
                self._forward({**inputs, "input_ids": ids}).logits[0, :-1]
                for ids in (inputs["input_ids"], token_ids)
            )
            if not torch.allclose(plain, changed, rtol=1e-3, atol=1e-3):
                raise ModelError(
                    "the model reads its whole prompt both ways, so it would see an answer before "
                    "writing it; score it with your own factory"
                )
        self._checked = True

    def _reads_images(self) -> bool:
        one, other = self._logits(BLANK), self._logits(_STRIPES)
        return one.shape != other.shape or not torch.equal(one, other)

    def _logits(self, image: Image.Image) -> torch.Tensor:
        logits: torch.Tensor = self._forward(
            self._inputs(self._joint("a"), image), **self._more()
        ).logits[0]
        return logits

    def _more(self) -> dict[str, Any]:
        if not self._writes_apart:
            return {}
        return {"labels": torch.tensor(self._tokens.numbers(["a"], special=True)).to(self.device)}

    def _example(self) -> Any:
        return self._inputs(self._joint("a"), BLANK)

    def _without_end(self, token_ids: list[int], asked: list[int]) -> list[int]:
        """Return tokens without what the tokenizer writes at the end of every text."""
        special = set(self._processor.tokenizer.all_special_ids)
        n = n_common(token_ids[::-1], asked[::-1])
        n_end = next((i for i in range(n) if token_ids[-1 - i] not in special), n)
        return token_ids[: len(token_ids) - n_end]

    def _inputs(self, text: str, image: Image.Image) -> Any:
        options = {} if self._plain else {"add_special_tokens": False}
        with in_one_line("the model's processor cannot read a text or an image"):
            inputs = self._processor(text=[text], images=[image], return_tensors="pt", **options)
        return inputs.to(self.device, self.dtype)

    def _written(self, text: str) -> str:
        written = super()._written(text)
        # If the processor places the image, and in an encoder, a prompt is only the text.
        if self._prompt is not None or not self._plain:
            return written
        return written.strip() if self._writes_apart else written.lstrip("\n")

    def _place_of_image(self) -> str:
        """Return the mark for the image in a prompt: nothing if the processor adds it."""
        if self._place is None:
            self._place = ""
            try:
                read = self._reads_images()
            except ModelError:
                read = False
            if not read and hasattr(self._processor, "image_token"):
                self._place = super()._place_of_image()
        return self._place


def _make_similarity(checkpoint: Checkpoint) -> WholeSimilarity:
    """Return a model with one logit."""
    return WholeSimilarity(checkpoint)


def way_of(architecture: str, auto_classes: Sequence[str] = ()) -> Family | None:
    """Return how an architecture is scored as a whole, or None if the library does not say.

    Parameters
    ----------
    architecture : str
        A class of transformers, or of a checkpoint's own code.
    auto_classes : sequence of str
        The auto classes that the checkpoint's own code names; empty for a class of transformers.
    """
    from transformers.models.auto import modeling_auto

    ways: tuple[tuple[str, Callable[..., Any]], ...] = (
        ("IMAGE_TEXT_TO_TEXT", WholeAnswers.from_settings),
        ("ZERO_SHOT_IMAGE_CLASSIFICATION", _make_similarity),
        ("VISUAL_QUESTION_ANSWERING", WholeClassifier),
    )
    for task, make in ways:
        known = getattr(modeling_auto, f"MODEL_FOR_{task}_MAPPING_NAMES").values()
        auto_class = f"AutoModelFor{task.title().replace('_', '')}"
        # BLIP's head writes its answers, and it has a family.
        if auto_class in auto_classes or architecture in {*known} - {"BlipForQuestionAnswering"}:
            return Family((architecture,), make)
    if "AutoModelForCausalLM" in auto_classes:
        return Family((architecture,), WholeAnswers.from_settings)
    return None
