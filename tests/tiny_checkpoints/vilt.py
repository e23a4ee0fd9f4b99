import torch
import transformers

from tiny_checkpoints import Tiny
from tiny_checkpoints.words import TEXT, tokenizer


def vilt_config():
    names = {0: "no", 1: "yes", 2: "two"}
    return transformers.ViltConfig(**TEXT, image_size=64, patch_size=16, id2label=names)


def vilt():
    pixels = transformers.ViltImageProcessorPil(size={"shortest_edge": 32}, size_divisor=16)  # type: ignore[call-arg]
    processor = transformers.ViltProcessor(pixels, tokenizer())
    return transformers.ViltForQuestionAnswering(vilt_config()), processor


def vilt_retrieval():
    return transformers.ViltForImageAndTextRetrieval(vilt_config()), vilt()[1]


def forward(model, processor, text, image):
    with torch.inference_mode():
        return model(**processor(text=text, images=image, return_tensors="pt")).logits[0]


TINY = [Tiny(vilt, forward, has_threshold=True), Tiny(vilt_retrieval, forward)]
