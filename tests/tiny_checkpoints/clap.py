import numpy as np
import torch
import transformers

from emap_core.modalities.audio import Sound
from tiny_checkpoints import Tiny
from tiny_checkpoints.words import TEXT, tokenizer


def sounds():
    rng = np.random.default_rng(0)
    lengths = (4_000, 9_000, 7_000)
    return [Sound(rng.normal(0, 0.2, n).astype(np.float32), 8_000) for n in lengths]


def clap():
    audio = {
        "window_size": 4,
        "num_mel_bins": 16,
        "spec_size": 64,
        "patch_size": 4,
        "patch_stride": (4, 4),
        "num_classes": 2,
        "hidden_size": 16,
        "patch_embeds_hidden_size": 8,
        "depths": (1, 1),
        "num_attention_heads": (2, 2),
        "projection_dim": 12,
        "mlp_ratio": 1.0,
    }
    config = transformers.ClapConfig(
        text_config=TEXT | {"projection_dim": 12}, audio_config=audio, projection_dim=12
    )
    reader = transformers.ClapFeatureExtractor(
        feature_size=16,
        sampling_rate=8_000,
        hop_length=80,
        max_length_s=1,
        fft_window_size=256,
        frequency_max=4_000,
        truncation="rand_trunc",
    )
    return transformers.ClapModel(config), transformers.ClapProcessor(reader, tokenizer())


def forward(model, processor, text, sound):
    words = processor.tokenizer(text, return_tensors="pt")
    # A longer sound is cut at random by the library, and at its end by us.
    heard = processor.feature_extractor(
        sound.samples[:8_000], sampling_rate=8_000, return_tensors="pt"
    )
    with torch.inference_mode():
        return model(**words, **heard).logits_per_text[0]


TINY = [Tiny(clap, forward, images=sounds)]
