"""CLAP checkpoints: how well a text describes a sound."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from emap_core.errors import ModelError
from emap_core.modalities.audio import Sound
from emap_core.models.huggingface.checkpoint import Checkpoint
from emap_core.models.huggingface.checkpoint_model import FromCheckpoint
from emap_core.models.huggingface.family import Family


class Clap(FromCheckpoint):
    """The scaled similarity of a text's and a sound's embedding: one logit that ranks pairs.

    Sounds are resampled to the checkpoint's rate. Of longer sounds than it reads, the beginning
    counts; the library itself would take a random part.
    """

    modalities = ("text", "audio")
    similarity = True
    has_threshold = False

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(checkpoint)
        self._reader = checkpoint.processor.feature_extractor

    def encode_texts(self, texts: list[str]) -> torch.Tensor:
        """Return unit-length embeddings of the texts, scaled, shape (B, D)."""
        inputs = self._tokens.read(texts).to(self.device)
        embedded = _unit(self.model.get_text_features(**inputs))
        scaled: torch.Tensor = embedded * self.model.logit_scale_t.float().exp()
        return scaled

    def encode_images(self, sounds: list[Sound]) -> torch.Tensor:
        """Return unit-length embeddings of the sounds, shape (B, D)."""
        most = int(self._reader.nb_max_samples)
        samples = []
        for sound in sounds:
            if not isinstance(sound, Sound):
                raise ModelError(f"the model reads sounds, but was given a {type(sound).__name__}")
            samples.append(sound.resampled(int(self._reader.sampling_rate)).samples[:most])
        inputs = self._reader(
            samples, sampling_rate=self._reader.sampling_rate, return_tensors="pt"
        )
        features = inputs["input_features"].to(self.device, self.dtype)
        is_longer = torch.as_tensor(inputs["is_longer"]).to(self.device)
        return _unit(self.model.get_audio_features(input_features=features, is_longer=is_longer))

    def score(self, text_encodings: torch.Tensor, image_encodings: torch.Tensor) -> torch.Tensor:
        """Return the logits of B aligned pairs, shape (B, 1)."""
        return (text_encodings * image_encodings).sum(-1, keepdim=True)

    def score_grid(
        self, text_encodings: torch.Tensor, image_encodings: torch.Tensor
    ) -> torch.Tensor:
        """Return the logits of A texts with B sounds, shape (A, B, 1)."""
        return (text_encodings @ image_encodings.T)[:, :, None]


def _unit(features: Any) -> torch.Tensor:
    pooled = features if isinstance(features, torch.Tensor) else features.pooler_output
    return functional.normalize(pooled.float(), dim=-1)


FAMILY = Family(("ClapModel",), Clap, processor=("tokenizer", "feature_extractor"))
