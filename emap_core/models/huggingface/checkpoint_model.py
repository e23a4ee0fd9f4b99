"""What the models of all families share: texts and images as tensors, and names of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch

from emap_core.class_names import names_of_classes
from emap_core.datasets.base import fingerprint_of
from emap_core.errors import ModelError, SettingError
from emap_core.models.huggingface.checkpoint import Checkpoint
from emap_core.models.rgb_images import in_colours
from emap_core.models.tokens import Tokens, most_tokens, note_on_cut

_SHOWN = 4
"""How many prompts people see before a run."""


class FromCheckpoint:
    """What all models of a checkpoint share: class names, a fingerprint, a device."""

    def __init__(self, checkpoint: Checkpoint, classes: Sequence[str] | None = None) -> None:
        self.model = checkpoint.model
        self.classes = None if classes is None else list(classes)
        self.description = checkpoint.description
        self._fingerprint = checkpoint.fingerprint
        self._keeps_dtype = checkpoint.keeps_dtype
        self._processor = checkpoint.processor
        self._tokens = Tokens(
            getattr(checkpoint.processor, "tokenizer", checkpoint.processor),
            most_tokens(checkpoint.model),
        )

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        device: torch.device = self.model.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights, and of the numbers that the model computes with."""
        dtype: torch.dtype = self.model.dtype
        return dtype

    @property
    def fingerprint(self) -> str:
        """Hash of files, settings, classes and the type of the weights."""
        if self.dtype == torch.float32:
            return self._fingerprint
        return fingerprint_of(self._fingerprint, str(self.dtype))

    def to(self, device: str | torch.device) -> Self:
        """Move the model; on a CPU, 16-bit weights become float32 unless the user chose them."""
        self.model.to(device)
        if self.device.type == "cpu" and not self._keeps_dtype:
            self.model.float()
        return self

    def notes(self, texts: list[str]) -> list[str]:
        """Return a note on how many of these texts are cut."""
        return note_on_cut(self._tokens.n_long(texts), len(texts), self._tokens.limit)

    def reads(self, text: str) -> list[str]:
        """Return which family reads the checkpoint, and the prompts that it makes of a text."""
        family, architecture = (self.description.get(n) for n in ("family", "architecture"))
        by = f"by the family {family}" if family else "whole, pair by pair"
        prompts = self._shown_prompts(text)
        shown = [f"Prompt: {prompt}" for prompt in prompts[:_SHOWN]]
        if len(prompts) > _SHOWN:
            shown.append(f"… and {len(prompts) - _SHOWN:,} more")
        return [f"{architecture}, read {by}", *shown]

    def _shown_prompts(self, text: str) -> list[str]:
        """Return what a text becomes, for people to see; nothing if it stays unchanged."""
        return []

    def _tokenized(self, texts: list[str]) -> dict[str, torch.Tensor]:
        """Return token numbers and a mask of those that are not padding, shapes (B, length)."""
        read = self._tokens.read(texts).to(self.device)
        return {"token_ids": read["input_ids"], "attention_mask": read["attention_mask"]}

    def _pixels(self, images: Sequence[Any]) -> Any:
        """Return images as the processor prepares them for the model."""
        inputs = self._processor.image_processor(images=in_colours(images), return_tensors="pt")
        return inputs.to(self.device, self.dtype)


class Matching(FromCheckpoint):
    """Whether the text belongs to the image, as one logit: yes minus no."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(checkpoint, ["no", "yes"])

    @staticmethod
    def _margin(logits: torch.Tensor) -> torch.Tensor:
        """Return the one logit of pairs from the two of no and yes, shapes (B, 1) and (B, 2)."""
        return logits[:, 1:] - logits[:, :1]


class ReadsClasses(FromCheckpoint):
    """What all models share that read their class names: those given, or those of the data."""

    def with_classes(self, classes: Sequence[str]) -> Self:
        """Use these classes, for instance those of a dataset.

        Raises
        ------
        ModelError
            If two of them are the same to the tokenizer.
        """
        self._take_classes(classes)
        self._fingerprint = fingerprint_of(self._fingerprint, *classes)
        return self

    def _take_classes(self, classes: Sequence[str] | None) -> None:
        self.classes = None if classes is None else list(classes)
        read = dict[tuple[int, ...], str]()
        numbers = self._tokens.numbers(self.classes) if self.classes else []
        for name, token_ids in zip(self.classes or (), numbers, strict=True):
            other = read.setdefault(tuple(token_ids), name)
            if other != name:
                raise same_to_the_tokenizer(other, name)


def same_to_the_tokenizer(one: str, other: str) -> ModelError:
    """Return the error for two classes with the same tokens."""
    return ModelError(
        f"the classes {one!r} and {other!r} are the same to the model's tokenizer, so outputs "
        "cannot tell them apart; keep one of them, or rename one"
    )


def named_classes(
    given: str | Sequence[str] | None,
    n_classes: int,
    stored: Sequence[str] | None = None,
    of: str = "the checkpoint",
) -> list[str] | None:
    """Return the names of a head's classes: those given, or its own.

    Parameters
    ----------
    given : str or sequence of str, optional
        As for `names_of_classes`.
    n_classes : int
        Number of classes of the head.
    stored : sequence of str, optional
        Its own names.
    of : str
        What to call the head in messages.

    Raises
    ------
    SettingError
        If the number of names is not `n_classes`.
    """
    names = names_of_classes(given)
    if names is None:
        return None if stored is None else list(stored)
    if len(names) != n_classes:
        raise SettingError(f"{of} has {n_classes} classes, but classes= names {len(names)}")
    return names


def stored_names(config: Any) -> list[str]:
    """Return the names of the classes in a configuration, in order."""
    return [str(config.id2label[number]) for number in sorted(config.id2label)]
