"""X-CLIP checkpoints: how well a text describes a video.

What the video shows changes the text's embedding before the two are compared (Ni et al., "Expanding
Language-Image Pretrained Models for General Video Recognition", ECCV 2022, section 3.3), so the
score is more than a dot product of two encodings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch.nn import functional

from emap_core.errors import ModelError
from emap_core.modalities.video import Clip
from emap_core.models.huggingface.checkpoint import Checkpoint
from emap_core.models.huggingface.checkpoint_model import FromCheckpoint
from emap_core.models.huggingface.family import Family


class XClip(FromCheckpoint):
    """The scaled similarity of a text's and a video's embedding: one logit that ranks pairs.

    The model sees as many frames of each video as in training, evenly spaced.
    """

    modalities = ("text", "video")
    # No threshold: the logit ranks texts for a video.
    has_threshold = False

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(checkpoint)
        self._n_frames = int(self.model.config.vision_config.num_frames)

    def encode_texts(self, texts: list[str]) -> torch.Tensor:
        """Return embeddings of the texts, shape (B, D)."""
        inputs = self._tokens.read(texts).to(self.device)
        embedded: torch.Tensor = self.model.get_text_features(**inputs).pooler_output
        return embedded

    def encode_images(self, clips: list[Clip]) -> dict[str, torch.Tensor]:
        """Return an embedding of each video, shape (B, D), and of its P patches, (B, P, D)."""
        pixels = torch.stack([self._frames(clip) for clip in clips])
        features = self.model.get_video_features(pixel_values=pixels.to(self.device, self.dtype))
        patches = self.model.prompts_visual_layernorm(features.last_hidden_state[:, 1:])
        patches = patches @ self.model.prompts_visual_projection
        patches = patches.view(len(clips), self._n_frames, *patches.shape[1:]).mean(dim=1)
        return {"video": functional.normalize(features.pooler_output, dim=-1), "patches": patches}

    def score(
        self, text_encodings: torch.Tensor, image_encodings: dict[str, torch.Tensor]
    ) -> torch.Tensor:
        """Return the logits of B aligned pairs, shape (B, 1)."""
        return self._compared(text_encodings[:, None], image_encodings)

    def score_grid(
        self, text_encodings: torch.Tensor, image_encodings: dict[str, torch.Tensor]
    ) -> torch.Tensor:
        """Return the logits of A texts with B videos, shape (A, B, 1)."""
        n_videos = len(image_encodings["video"])
        texts = text_encodings.expand(n_videos, *text_encodings.shape)
        return self._compared(texts, image_encodings).T[:, :, None]

    def _compared(self, texts: torch.Tensor, videos: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the logits of K texts with each of B videos, shapes (B, K, D) to (B, K)."""
        turned = texts + self.model.prompts_generator(texts, videos["patches"])
        scaled = functional.normalize(turned, dim=-1) * self.model.logit_scale.exp()
        found: torch.Tensor = torch.einsum("bd,bkd->bk", videos["video"], scaled)
        return found

    def _frames(self, clip: Any) -> torch.Tensor:
        """Return the frames of a video that the model sees, shape (T, 3, height, width)."""
        if not isinstance(clip, Clip):
            raise ModelError(f"the model reads videos, but was given a {type(clip).__name__}")
        frames: Sequence[Image.Image] = [
            Image.fromarray(frame) for frame in clip.evenly(self._n_frames)
        ]
        # Some checkpoints come with a processor for images, some with one for whole videos.
        read = self._processor.image_processor(frames, return_tensors="pt")["pixel_values"]
        pixels: torch.Tensor = torch.as_tensor(read)
        return pixels.reshape(self._n_frames, *pixels.shape[-3:])


FAMILY = Family(("XCLIPModel",), XClip)
