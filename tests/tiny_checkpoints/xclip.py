import numpy as np
import torch
import transformers
from PIL import Image

from emap_core.modalities.video import Clip
from tiny_checkpoints import Tiny
from tiny_checkpoints.words import CROPPED, TEXT, VISION, tokenizer


def clips():
    rng = np.random.default_rng(0)
    return [Clip(rng.integers(0, 255, (n, 20, 24, 3), dtype=np.uint8)) for n in (4, 9, 3)]


def xclip():
    video = VISION | {"num_frames": 4, "mit_hidden_size": 12, "mit_intermediate_size": 24}
    video |= {"mit_num_hidden_layers": 1, "mit_num_attention_heads": 2}
    config = transformers.XCLIPConfig(
        text_config=TEXT,
        vision_config=video,
        projection_dim=12,
        prompt_num_attention_heads=2,
        # The part of the text that the video turns is small in checkpoints that start training.
        prompt_alpha=1.0,
    )
    reader = transformers.CLIPImageProcessor(**CROPPED)
    return transformers.XCLIPModel(config), transformers.XCLIPProcessor(reader, tokenizer())


def xclip_with_a_reader_of_videos():
    model, processor = xclip()
    processor.image_processor = transformers.VideoMAEImageProcessor(**CROPPED)
    return model, processor


def forward(model, processor, text, clip):
    frames = [Image.fromarray(frame) for frame in clip.evenly(4)]
    pixels = processor.image_processor(frames, return_tensors="pt")["pixel_values"]
    words = processor.tokenizer(text, return_tensors="pt")
    with torch.inference_mode():
        found = model(**words, pixel_values=pixels.reshape(1, 4, 3, 16, 16))
    return found.logits_per_text[0]


TINY = [
    Tiny(xclip, forward, images=clips),
    Tiny(xclip_with_a_reader_of_videos, forward, images=clips),
]
