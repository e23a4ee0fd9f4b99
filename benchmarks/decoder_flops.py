"""How many floating-point operations a decoder saves by reading each image once for all texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.tables import markdown
from emap_core.models import encodings
from emap_core.models.huggingface.checkpoint import Checkpoint
from emap_core.models.huggingface.families.decoders import Decoder

_IMAGE, _TEXT, _TEXTS = 256, 24, 32
_ANSWERS = [1, 2, 3]


class _Pixels(dict[str, torch.Tensor]):
    """Inputs as a processor returns them."""

    def to(self, device: Any, dtype: Any = None) -> _Pixels:
        for name, tensor in self.items():
            kind = dtype if tensor.is_floating_point() else None
            self[name] = tensor.to(device, kind)
        return self


class _Processor:
    """Writes 256 places of an image and then the text, whose words are numbers."""

    chat_template = None
    image_token = "<image>"

    def __init__(self) -> None:
        from tokenizers import Tokenizer
        from tokenizers.models import WordLevel
        from tokenizers.pre_tokenizers import WhitespaceSplit
        from transformers import PreTrainedTokenizerFast

        words = {self.image_token: 0} | {str(number): number for number in range(1, 511)}
        tokenizer = Tokenizer(WordLevel({**words, "<other>": 511}, unk_token="<other>"))
        tokenizer.pre_tokenizer = WhitespaceSplit()
        self.tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokenizer)

    def __call__(self, text: list[str], images: Any, **options: Any) -> _Pixels:
        words = self.tokenizer(text[0])["input_ids"]
        read = torch.tensor([[0] * _IMAGE + words[1:]])
        pixels = torch.full((1, 3, 128, 128), float(images[0][0].getpixel((0, 0))[0]) / 255)
        return _Pixels(input_ids=read, attention_mask=torch.ones_like(read), pixel_values=pixels)


def small_llava(width: int = 128, layers: int = 4) -> Decoder:
    """Return a LLaVA with random weights that answers one of three words.

    Parameters
    ----------
    width, layers : int
        Of the language model; 2048 and 18 make 0.9 billion parameters.
    """
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
    )

    torch.manual_seed(0)
    text = LlamaConfig(
        vocab_size=512,
        hidden_size=width,
        intermediate_size=width * 11 // 4,
        num_hidden_layers=layers,
        num_attention_heads=max(width // 64, 1) if width > 128 else 4,
        max_position_embeddings=1024,
    )
    vision = CLIPVisionConfig(
        hidden_size=64,
        intermediate_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=128,
        patch_size=8,
    )
    config = LlavaConfig(text_config=text, vision_config=vision, image_token_index=0)
    model = LlavaForConditionalGeneration(config).eval()
    loaded = Checkpoint(
        Path(), "LlavaForConditionalGeneration", model, _Processor(), "tiny", {}, keeps_dtype=True
    )
    return Decoder(loaded, [str(word) for word in _ANSWERS], None, "none")


def decoder() -> str:
    """Return the table of operations with and without reuse, and how far the logits differ."""
    from PIL import Image

    reusing = small_llava()
    model, processor = reusing.model, _Processor()
    texts = [" ".join(map(str, row)) for row in torch.randint(1, 511, (_TEXTS, _TEXT)).tolist()]
    image = Image.new("RGB", (128, 128), "red")

    with torch.inference_mode(), FlopCounterMode(display=False) as whole:
        plain = torch.cat(
            [
                model(**processor([f"<image> {t}"], [[image]]), logits_to_keep=1)
                .logits[:, -1]
                .log_softmax(-1)[:, _ANSWERS]
                for t in texts
            ]
        )
    with torch.inference_mode(), FlopCounterMode(display=False) as reused:
        read = reusing.encode_images([image])
        pairs = encodings.take(read, [0] * _TEXTS)
        logits = reusing.score(reusing.encode_texts(texts), pairs)
    every, once = whole.get_total_flops() / 1e6, reused.get_total_flops() / 1e6
    return markdown(
        "Decoder",
        f"Operations of a small LLaVA ({_IMAGE} image tokens, {_TEXT} text tokens, {_TEXTS} "
        "texts per image), as torch's FlopCounterMode counts them: for every pair from scratch, "
        "and with the vision tower and the image's keys and values computed once.",
        ["million operations, every pair", "read once", "times fewer", "logits differ by"],
        [
            [
                f"{every:.0f}",
                f"{once:.0f}",
                f"{every / once:.1f}",
                float((logits - plain).abs().max()),
            ]
        ],
    )
