import torch
import transformers

from tiny_checkpoints import Tiny
from tiny_checkpoints.words import SQUARE, TEXT, VISION, tokenizer


def flava():
    sizes = {k: TEXT[k] for k in ("hidden_size", "num_hidden_layers", "num_attention_heads")}
    config = transformers.FlavaConfig(
        text_config=TEXT,
        image_config=VISION,
        multimodal_config=sizes | {"intermediate_size": 24},
        image_codebook_config={"hidden_size": 4, "num_groups": 1, "vocab_size": 8},
        hidden_size=16,
        projection_dim=12,
    )
    config.initializer_range = 0.4
    pixels = transformers.FlavaImageProcessorPil(**SQUARE, crop_size={"height": 16, "width": 16})
    return transformers.FlavaForPreTraining(config), transformers.FlavaProcessor(
        pixels, tokenizer()
    )


def forward(model, processor, text, image):
    inputs = processor(text=text, images=image, return_tensors="pt")
    inputs["input_ids_masked"] = inputs["input_ids"]
    inputs["bool_masked_pos"] = torch.zeros(1, 4, dtype=torch.bool)
    inputs["codebook_pixel_values"] = torch.zeros(1, 3, 16, 16)
    with torch.inference_mode():
        read = model(**inputs).itm_logits[0]
    return read[1:] - read[:1]


TINY = [Tiny(flava, forward, has_threshold=True)]
