import torch
import transformers

from tiny_checkpoints import Tiny
from tiny_checkpoints.words import TEXT, tokenizer


def bridge_tower():
    text = TEXT | {"hidden_size": 64, "num_hidden_layers": 4, "pad_token_id": 1}
    vision = {"hidden_size": 64, "num_hidden_layers": 4, "patch_size": 8, "image_size": 16}
    config = transformers.BridgeTowerConfig(
        text_config=text | {"max_position_embeddings": 40},
        vision_config=vision,
        hidden_size=64,
        num_hidden_layers=3,
        num_attention_heads=2,
    )
    pixels = transformers.BridgeTowerImageProcessorPil(
        size={"shortest_edge": 16}, crop_size={"shortest_edge": 16}, size_divisor=8
    )
    words = tokenizer()
    return (
        transformers.BridgeTowerForImageAndTextRetrieval(config),
        transformers.BridgeTowerProcessor(pixels, words),
    )


def forward(model, processor, text, image):
    with torch.inference_mode():
        read = model(**processor(text=text, images=image, return_tensors="pt")).logits[0]
    return read[1:] - read[:1]


TINY = [Tiny(bridge_tower, forward, has_threshold=True)]
