"""A small LLaVA behind a server gives what it gives here."""

import numpy as np
import torch
from chat_server import Served, serving
from tiny_checkpoints import TEXTS, pictures
from tiny_checkpoints.decoders import llava

from emap_core.models import load_model

WORDS = ["red", "blue", "dog"]


def test_a_server_s_log_probabilities_are_those_of_the_checkpoint(
    checkpoint, grid_of, tmp_path, monkeypatch
):
    monkeypatch.setenv("EMAP_CACHE", str(tmp_path))
    folder, model, processor = checkpoint(llava)

    def answer(text, image):
        said = [{"type": "image"}, {"type": "text", "text": text}]
        prompt = processor.apply_chat_template(
            [{"role": "user", "content": said}], add_generation_prompt=True
        )
        inputs = processor(
            text=[prompt], images=[image], return_tensors="pt", add_special_tokens=False
        )
        with torch.no_grad():
            values = model(**inputs).logits[0, -1].log_softmax(-1).tolist()
        tokens = [processor.tokenizer.decode([n]) for n in range(len(values))]
        return list(zip(tokens, values, strict=True))

    with serving(Served(answer)) as served:
        asked = load_model(f"openai:{served.url}", classes=WORDS, prompt="{text}")
        found = grid_of(asked, TEXTS, pictures())
    expected = grid_of(load_model(f"hf:{folder}", classes=WORDS), TEXTS, pictures())
    # Of 48 tokens a server lists 20.
    listed = np.isclose(found, expected, atol=1e-4)
    assert listed.mean() > 0.5
    assert (found >= expected - 1e-4).all()
    assert not np.allclose(found[0, 0], found[1, 1])
