import torch
import transformers

from tiny_checkpoints import Tiny
from tiny_checkpoints.decoders import ANSWERS, TEXT, VISION, tokenizer


def paligemma():
    config = transformers.PaliGemmaConfig(
        text_config=TEXT | {"head_dim": 8, "model_type": "gemma"},
        vision_config=VISION | {"projection_dim": 16},
        projection_dim=16,
        image_token_index=4,
    )
    shown = transformers.SiglipImageProcessorPil(size={"height": 16, "width": 16})
    shown.image_seq_length = 4  # type: ignore[attr-defined]
    processor = transformers.PaliGemmaProcessor(shown, tokenizer())
    return transformers.PaliGemmaForConditionalGeneration(config), processor


def forward(model, processor, text, image):
    """Return summed log-probabilities of the answers, after a prompt that is read both ways."""
    inputs = processor(text=f"<image>{text}", images=image, return_tensors="pt")
    totals = []
    for answer in ANSWERS:
        said = processor.tokenizer(answer, add_special_tokens=False)["input_ids"]
        words = torch.cat([inputs["input_ids"], torch.tensor([said])], 1)
        kinds = torch.zeros_like(words)
        kinds[:, -len(said) :] = 1
        with torch.inference_mode():
            read = model(
                input_ids=words, pixel_values=inputs["pixel_values"], token_type_ids=kinds
            ).logits[0, -len(said) - 1 : -1]
        totals.append(read.log_softmax(-1).gather(1, torch.tensor(said)[:, None]).sum())
    return torch.stack(totals)


TINY = [Tiny(paligemma, forward, {"classes": ANSWERS})]
