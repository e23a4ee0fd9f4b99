import torch
import transformers

from tiny_checkpoints import Tiny
from tiny_checkpoints.words import SQUARE, TEXT, VISION, tokenizer

ANSWERS = ["red cat", "blue", "not one dog"]


def blip_parts():
    text = TEXT | {"encoder_hidden_size": 16, "sep_token_id": 3}
    config = transformers.BlipConfig(
        text_config=text, vision_config=VISION, image_text_hidden_size=12
    )
    pixels = transformers.BlipImageProcessorPil(**SQUARE)
    return config, transformers.BlipProcessor(pixels, tokenizer())


def blip():
    config, processor = blip_parts()
    return transformers.BlipForImageTextRetrieval(config), processor


def blip_answering():
    config, processor = blip_parts()
    return transformers.BlipForQuestionAnswering(config), processor


def forward(model, processor, text, image):
    with torch.inference_mode():
        read = model(**processor(text=text, images=image, return_tensors="pt")).itm_score[0]
    return read[1:] - read[:1]


def say(model, processor, text, image):
    """Return the log-probability of each answer and its end, from a whole forward each."""
    start, end = model.decoder_start_token_id, processor.tokenizer.sep_token_id
    inputs, heard = processor(text=text, images=image, return_tensors="pt"), []
    hook = model.text_decoder.register_forward_hook(lambda *call: heard.append(call[-1].logits[0]))
    totals = []
    for answer in ANSWERS:
        words = [*processor.tokenizer(answer, add_special_tokens=False)["input_ids"], end]
        with torch.inference_mode():
            model(**inputs, decoder_input_ids=torch.tensor([[start, *words]]))
        said = heard.pop()[: len(words)].log_softmax(-1)
        totals.append(said.gather(1, torch.tensor(words)[:, None]).sum())
    hook.remove()
    return torch.stack(totals)


TINY = [
    Tiny(blip, forward, has_threshold=True),
    Tiny(blip_answering, say, {"classes": ANSWERS}),
]
