import torch
import transformers

from tiny_checkpoints import TEXTS, Tiny
from tiny_checkpoints.words import BOTH, CROPPED, SQUARE, TEXT, VISION, tokenizer


def clip():
    config = transformers.CLIPConfig(**BOTH, projection_dim=12)
    pixels = transformers.CLIPImageProcessorPil(**CROPPED)
    return transformers.CLIPModel(config), transformers.CLIPProcessor(pixels, tokenizer())


def siglip():
    pixels = transformers.SiglipImageProcessorPil(**SQUARE)
    model = transformers.SiglipModel(transformers.SiglipConfig(**BOTH))
    return model, transformers.SiglipProcessor(pixels, tokenizer())


def siglip2():
    pixels = transformers.Siglip2ImageProcessorPil()
    vision = VISION | {"patch_size": 16, "num_patches": 256}
    vision.pop("image_size")
    text = TEXT | {"max_position_embeddings": 64}
    config = transformers.Siglip2Config(text_config=text, vision_config=vision)
    # When it is read, the tokenizer takes a text for one word.
    words = tokenizer(*(text.replace(" ", "▁") for text in TEXTS))
    words.model_max_length = 64
    return transformers.Siglip2Model(config), transformers.Siglip2Processor(pixels, words)


def alt_clip():
    text = TEXT | {"project_dim": 12, "max_position_embeddings": 64}
    config = transformers.AltCLIPConfig(text_config=text, vision_config=VISION, projection_dim=12)
    pixels = transformers.CLIPImageProcessorPil(**CROPPED)
    return transformers.AltCLIPModel(config), transformers.AltCLIPProcessor(pixels, tokenizer())


def meta_clip():
    config = transformers.MetaClip2Config(**BOTH, projection_dim=12)
    pixels = transformers.CLIPImageProcessorPil(**CROPPED)
    return transformers.MetaClip2Model(config), transformers.CLIPProcessor(pixels, tokenizer())


def align():
    vision = {
        "image_size": 32,
        "width_coefficient": 0.3,
        "depth_coefficient": 0.2,
        "hidden_dim": 24,
        "initializer_range": 0.5,
    }
    config = transformers.AlignConfig(text_config=TEXT, vision_config=vision, projection_dim=96)
    pixels = transformers.EfficientNetImageProcessorPil(size={"height": 32, "width": 32})
    return transformers.AlignModel(config), transformers.AlignProcessor(pixels, tokenizer())


def dual():
    config = transformers.VisionTextDualEncoderConfig.from_vision_text_configs(
        transformers.ViTConfig(**VISION), transformers.BertConfig(**TEXT), projection_dim=12
    )
    pixels = transformers.ViTImageProcessorPil(**SQUARE)
    processor = transformers.VisionTextDualEncoderProcessor(pixels, tokenizer())
    return transformers.VisionTextDualEncoderModel(config), processor


def forward(model, processor, text, image):
    # SigLIP was trained with texts padded to the full length.
    padding = "max_length" if "Siglip" in type(model).__name__ else False
    inputs = processor(text=text, images=image, padding=padding, return_tensors="pt")
    with torch.inference_mode():
        return model(**inputs).logits_per_text[0]


TINY = [Tiny(build, forward) for build in (clip, alt_clip, meta_clip, align, dual)]
TINY += [Tiny(build, forward, has_threshold=True) for build in (siglip, siglip2)]
