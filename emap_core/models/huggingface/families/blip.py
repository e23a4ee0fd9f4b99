"""BLIP checkpoints: the image is encoded once, and the text reads it for every pair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from emap_core.class_names import names_of_classes
from emap_core.errors import ModelError, SettingError
from emap_core.models.attention import AttentionSite
from emap_core.models.huggingface.checkpoint import Checkpoint
from emap_core.models.huggingface.checkpoint_model import (
    Matching,
    ReadsClasses,
)
from emap_core.models.huggingface.family import Family


class BlipMatching(Matching):
    """BLIP with a head for whether text and image belong together."""

    def encode_texts(self, texts: list[str]) -> dict[str, torch.Tensor]:
        """Return token ids and attention mask, shapes (B, length)."""
        return self._tokenized(texts)

    def encode_images(self, images: list[Any]) -> torch.Tensor:
        """Return the patches' embeddings, shape (B, patches, D)."""
        encoded = self.model.vision_model(pixel_values=self._pixels(images)["pixel_values"])
        patches: torch.Tensor = encoded.last_hidden_state
        return patches

    def score(self, text_encodings: Any, image_encodings: torch.Tensor) -> torch.Tensor:
        """Return the logits of B aligned pairs, shape (B, 1)."""
        return self._margin(self.model.itm_head(self._read(text_encodings, image_encodings)[:, 0]))

    def attention_sites(self) -> list[AttentionSite]:
        """Return the text layers, which attend to words, then to patches."""
        return _sites(self.model.text_encoder.encoder.layer, 0, "image")

    def image_positions(self, text_encodings: Any, image_encodings: Any) -> torch.Tensor:
        """Return an empty mask, shape (1, 0): no sequence has both words and patches."""
        return torch.zeros(1, 0, dtype=torch.bool, device=self.device)

    def _read(self, texts: dict[str, torch.Tensor], images: torch.Tensor) -> torch.Tensor:
        read: torch.Tensor = self.model.text_encoder(
            input_ids=texts["token_ids"],
            attention_mask=texts["attention_mask"],
            encoder_hidden_states=images,
            encoder_attention_mask=torch.ones(
                images.shape[:2], dtype=torch.long, device=images.device
            ),
        ).last_hidden_state
        return read


class BlipAnswering(BlipMatching, ReadsClasses):
    """A logit per answer: the log-probability that the decoder gives it."""

    # A log-probability is never above 0.
    has_threshold = False

    def __init__(self, checkpoint: Checkpoint, classes: Sequence[str] | None) -> None:
        super().__init__(checkpoint)
        self._take_classes(classes)

    def score(self, text_encodings: Any, image_encodings: torch.Tensor) -> torch.Tensor:
        """Return the logits of B aligned pairs, shape (B, C)."""
        if not self.classes:
            raise ModelError("the model answers from a list, and there is none: give classes=")
        read = self._read(text_encodings, image_encodings)
        lengths = text_encodings["attention_mask"].sum(1)
        logits = torch.empty(len(read), len(self.classes), device=read.device)
        # The library's decoder attends to padding, so questions of equal length go together.
        for length in lengths.unique().tolist():
            rows = lengths == length
            same = read[rows, :length]
            logits[rows] = torch.stack([self._says(name, same) for name in self.classes], 1)
        return logits

    def attention_sites(self) -> list[AttentionSite]:
        """Return the text layers, then the answer layers, which attend to the text."""
        sites = super().attention_sites()
        n_layers = len(self.model.text_encoder.encoder.layer)
        return sites + _sites(self.model.text_decoder.bert.encoder.layer, n_layers, "text")

    def _says(self, answer: str, read: torch.Tensor) -> torch.Tensor:
        """Return the log-probability of an answer and its end after each of B questions."""
        (answer_ids,) = self._tokens.numbers([answer])
        end = self._processor.tokenizer.sep_token_id
        token_ids = torch.tensor([self.model.decoder_start_token_id, *answer_ids, end])
        token_ids = token_ids.to(read.device).expand(len(read), -1)
        logits = self.model.text_decoder(
            input_ids=token_ids[:, :-1], encoder_hidden_states=read
        ).logits
        each = logits.float().log_softmax(-1).gather(-1, token_ids[:, 1:, None])[..., 0]
        total: torch.Tensor = each.sum(1)
        return total


def _sites(layers: Any, start: int, looks_at: str) -> list[AttentionSite]:
    sites = []
    for number, layer in enumerate(layers, start):
        sites += [
            AttentionSite(layer.attention.self, number, (("text", "text"),)),
            AttentionSite(layer.crossattention.self, number, (("text", looks_at),)),
        ]
    return sites


def make(checkpoint: Checkpoint, classes: str | Sequence[str] | None = None) -> BlipMatching:
    """Return a BLIP for matching (one logit), or for answering from a list.

    Parameters
    ----------
    checkpoint : Checkpoint
    classes : str or sequence of str, optional
        The answers, as a list or with commas; by default those of the dataset.
    """
    names = names_of_classes(classes)
    if checkpoint.architecture == "BlipForQuestionAnswering":
        return BlipAnswering(checkpoint, names)
    if names is not None:
        raise SettingError("a BLIP for matching has one logit, for no and yes; leave out classes=")
    return BlipMatching(checkpoint)


FAMILY = Family(("BlipForImageTextRetrieval", "BlipForQuestionAnswering"), make)
