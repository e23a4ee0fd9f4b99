"""Checkpoints that classify two texts read together: entailment, paraphrases, relevance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from emap_core.models.huggingface.checkpoint import Checkpoint
from emap_core.models.huggingface.checkpoint_model import (
    FromCheckpoint,
    named_classes,
    stored_names,
)
from emap_core.models.huggingface.family import Family


class TextPairs(FromCheckpoint):
    """A cross-encoder: both texts in one sequence, so nothing can be encoded in advance."""

    modalities = ("text", "text")

    def __init__(self, checkpoint: Checkpoint, classes: str | Sequence[str] | None = None) -> None:
        config = checkpoint.model.config
        names = stored_names(config)
        # The library's default class names carry no meaning.
        said = not all(name == f"LABEL_{k}" for k, name in enumerate(names))
        several = config.num_labels > 1
        named = named_classes(classes, config.num_labels, names if said and several else None)
        super().__init__(checkpoint, named)
        # One score ranks pairs, but has no threshold for relevance.
        self.has_threshold = several

    def __call__(self, first: list[str], second: list[str]) -> torch.Tensor:
        """Return the logits of B pairs of texts, shape (B, C)."""
        inputs = self._tokens.read_pairs(first, second).to(self.device)
        logits: torch.Tensor = self.model(**inputs).logits
        return logits.float()

    def notes(self, first: list[str], second: list[str] | None = None) -> list[str]:
        """Return a note on how many pairs of these texts are cut."""
        if second is None:
            return super().notes(first)
        lengths = [
            np.array([len(one) for one in self._tokens.numbers(texts)]) for texts in (first, second)
        ]
        left = self._tokens.limit - self._tokens.special_of_pair - lengths[0]
        ordered = np.sort(lengths[1])
        n_cut = int((len(ordered) - np.searchsorted(ordered, left, side="right")).sum())
        if n_cut == 0:
            return []
        n_pairs = len(first) * len(second)
        return [
            f"{n_cut:,} of {n_pairs:,} pairs are longer than the {self._tokens.limit:,} tokens "
            "that the model reads, and are cut."
        ]


def make(checkpoint: Checkpoint, classes: str | Sequence[str] | None = None) -> Any:
    """Return a model of two texts, in the order of the data.

    Parameters
    ----------
    checkpoint : Checkpoint
    classes : str or sequence of str, optional
        Names of the classes, as a list or with commas; by default those of the checkpoint.
    """
    return TextPairs(checkpoint, classes)


FAMILY = Family(
    (
        "BertForSequenceClassification",
        "RobertaForSequenceClassification",
        "XLMRobertaForSequenceClassification",
        "DistilBertForSequenceClassification",
        "ElectraForSequenceClassification",
        "AlbertForSequenceClassification",
        "MPNetForSequenceClassification",
        "DebertaV2ForSequenceClassification",
        "ModernBertForSequenceClassification",
    ),
    make,
    processor=("tokenizer",),
)
