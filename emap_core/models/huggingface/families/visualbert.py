"""VisualBERT checkpoints; their images are regions from a detector, which come with the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from emap_core.errors import SpecError
from emap_core.models.attention import AttentionSite
from emap_core.models.huggingface.checkpoint import Checkpoint
from emap_core.models.huggingface.checkpoint_model import (
    FromCheckpoint,
    named_classes,
    stored_names,
)
from emap_core.models.huggingface.family import Family
from emap_core.models.huggingface.padded_regions import hide_padding, pad_regions

_ANSWERS = "VisualBertForQuestionAnswering"


class VisualBert(FromCheckpoint):
    """A joint encoder: words and regions are embedded once, the encoder runs for every pair.

    Instead of an image, the model reads a dict, or an .npz file, with ``features``, shape (regions,
    F): the dataset's ``image_inputs``.
    """

    # The answers share a softmax, for which 0 is a number like any other.
    has_threshold = False

    def __init__(self, checkpoint: Checkpoint, classes: Sequence[str] | None = None) -> None:
        super().__init__(checkpoint, classes)
        self._answers = checkpoint.architecture == _ANSWERS

    def encode_texts(self, texts: list[str]) -> dict[str, torch.Tensor]:
        """Return the embedded words, shape (B, length, D), and the attention mask."""
        tokens = self._tokenized(texts)
        embedded = self.model.visual_bert.embeddings(tokens["token_ids"])
        return {"words": embedded, "attention_mask": tokens["attention_mask"]}

    def encode_images(self, images: list[Any]) -> dict[str, torch.Tensor]:
        """Return the embedded regions, shape (B, regions, D), and the attention mask."""
        found = pad_regions("VisualBERT", images, self.model.config.visual_embedding_dim)
        # The library embeds regions after words; here there are none.
        no_words = torch.zeros(len(images), 0, dtype=torch.long, device=self.device)
        embedded = self.model.visual_bert.embeddings(
            no_words,
            token_type_ids=no_words,
            visual_embeds=found.features.to(self.device, self.dtype),
        )
        return {"regions": embedded, "attention_mask": found.attention_mask.to(self.device)}

    def score(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:
        """Return the logits of B aligned pairs, shape (B, C)."""
        joined = torch.cat([text_encodings["words"], image_encodings["regions"]], 1)
        masks = [encodings["attention_mask"] for encodings in (text_encodings, image_encodings)]
        read = self.model.visual_bert.encoder(joined, hide_padding(torch.cat(masks, 1), joined))[0]
        if self._answers:
            # As published, and as in the library: the last word before the end of the text.
            last = masks[0].sum(1) - 2
            chosen = read[torch.arange(len(read), device=read.device), last]
        else:
            chosen = self.model.visual_bert.pooler(read)
        logits: torch.Tensor = self.model.cls(chosen)
        return logits

    def attention_sites(self) -> list[AttentionSite]:
        """Return the layers over words and regions."""
        layers = self.model.visual_bert.encoder.layer
        return [AttentionSite(layer.attention.self, number) for number, layer in enumerate(layers)]

    def image_positions(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:
        """Mark positions after the words as regions, shape (1, length)."""
        n_words = text_encodings["words"].shape[1]
        length = n_words + image_encodings["regions"].shape[1]
        read: torch.Tensor = torch.arange(length, device=self.device)[None] >= n_words
        return read


def make(checkpoint: Checkpoint, classes: str | Sequence[str] | None = None) -> VisualBert:
    """Return a VisualBERT for question answering or visual reasoning over one image.

    Parameters
    ----------
    checkpoint : Checkpoint
    classes : str or sequence of str, optional
        Names of the classes, as a list or with commas; those of the checkpoint, if it names them.

    Raises
    ------
    SettingError
        If there are more or fewer classes than the checkpoint has.
    SpecError
        If regions bypass the transformer, which the library itself cannot run.
    """
    config = checkpoint.model.config
    if config.bypass_transformer:
        raise SpecError(
            f"checkpoint {checkpoint.folder} has bypass_transformer, which transformers cannot "
            "run; expected a VisualBERT without it"
        )
    # LABEL_0 and so on mean that nobody named the classes.
    stored = stored_names(config)
    numbered = all(name == f"LABEL_{number}" for number, name in enumerate(stored))
    names = named_classes(classes, config.num_labels, None if numbered else stored)
    return VisualBert(checkpoint, names)


FAMILY = Family((_ANSWERS, "VisualBertForVisualReasoning"), make, reads_regions=True)
