"""Answers with a beginning that is given, in several wordings, and relative to their prior."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_checkpoints import TEXTS, pictures
from tiny_checkpoints import without_family as tiny
from tiny_checkpoints.decoders import llava, prompt_of, qwen_2
from tiny_checkpoints.paligemma import paligemma

from emap_core.errors import ModelError, SettingError
from emap_core.models import load_model

TWO, CLASSES = TEXTS[:2], ["red", "blue cat"]


def after(model, processor, prompt, answer, image):
    """Return the log-probability of an answer after a prompt, from one forward of the library."""
    inputs = processor(
        text=f"{prompt} {answer}",
        images=[[image]],
        add_special_tokens=not processor.chat_template,
        return_tensors="pt",
    )
    words, n = inputs["input_ids"][0], len(answer.split())
    with torch.inference_mode():
        read = model(**inputs).logits[0].log_softmax(-1)
    return float(read[-n - 1 : -1].gather(1, words[-n:, None]).sum())


def expected(model, processor, answers, prefix="", texts=TWO, images=None):
    """Return the library's log-probabilities of answers, shape (texts, images, answers)."""

    def prompt(text):
        if processor.chat_template:
            return prompt_of(model, processor, text) + prefix
        return f"{text}\n{prefix}"

    asked, shown = list(map(prompt, texts)), images or pictures()
    return np.array(
        [[[after(model, processor, one, a, v) for a in answers] for v in shown] for one in asked]
    )


@pytest.mark.parametrize(
    ("build", "spec"), [(llava, "hf"), (qwen_2, "hf"), (llava, "hf-any"), (tiny.git, "hf-any")]
)
def test_an_answer_follows_what_is_given_of_it(build, spec, checkpoint, grid_of):
    folder, model, processor = checkpoint(build)
    loaded = load_model(f"{spec}:{folder}", classes=CLASSES, answer_prefix="what is ")
    found = grid_of(loaded, TWO, pictures())
    np.testing.assert_allclose(found, expected(model, processor, CLASSES, " what is"), atol=1e-4)
    plain = load_model(f"{spec}:{folder}", classes=CLASSES)
    assert np.abs(found - grid_of(plain, TWO, pictures())).max() > 0.1
    assert plain.fingerprint != loaded.fingerprint


def test_a_decoder_with_an_encoder_is_given_it_there(checkpoint, grid_of):
    folder, model, processor = checkpoint(tiny.florence2)

    def total(text, image, answer):
        inputs = processor(text=[text], images=[image], return_tensors="pt")
        labels = processor.tokenizer(answer, return_tensors="pt").input_ids
        with torch.inference_mode():
            return float(-labels.shape[1] * model(**inputs, labels=labels).loss)

    loaded = load_model(f"hf-any:{folder}", classes=CLASSES, answer_prefix="what is")
    by_hand = [
        [
            [total(t, v, f"what is {a}") - total(t, v, "what is") for a in CLASSES]
            for v in pictures()
        ]
        for t in TWO
    ]
    np.testing.assert_allclose(grid_of(loaded, TWO, pictures()), by_hand, atol=1e-4)


@pytest.mark.parametrize(("build", "spec"), [(llava, "hf"), (tiny.git, "hf-any")])
def test_the_probabilities_of_wordings_are_added_up(build, spec, checkpoint, grid_of):
    folder, model, processor = checkpoint(build)
    wordings = {"red": ["two dog", "photo"]}
    loaded = load_model(f"{spec}:{folder}", classes=CLASSES, wordings=wordings)
    single = expected(model, processor, ["red", "two dog", "photo", "blue cat"])
    summed = np.log(np.exp(single[..., :3]).sum(-1))
    found = grid_of(loaded, TWO, pictures())
    np.testing.assert_allclose(found, np.stack([summed, single[..., 3]], -1), atol=1e-4)
    assert loaded.classes == CLASSES


@pytest.mark.parametrize(("build", "spec"), [(llava, "hf"), (tiny.git, "hf-any")])
def test_scores_are_relative_to_those_of_nothing_where_that_is_asked(
    build, spec, checkpoint, grid_of
):
    folder, model, processor = checkpoint(build)
    wordings = {"red": ["photo"]}
    loaded = load_model(f"{spec}:{folder}", classes=CLASSES, wordings=wordings, calibrate=True)
    plain = load_model(f"{spec}:{folder}", classes=CLASSES, wordings=wordings)
    grey = Image.new("RGB", (32, 32), (128, 128, 128))
    (((red, photo, cat),),) = expected(
        model, processor, ["red", "photo", "blue cat"], texts=["N/A"], images=[grey]
    )
    prior = [np.logaddexp(red, photo), cat]
    found = grid_of(loaded, TWO, pictures())
    np.testing.assert_allclose(found, grid_of(plain, TWO, pictures()) - prior, atol=1e-4)
    assert loaded.fingerprint != plain.fingerprint


def test_what_cannot_be_is_one_line(checkpoint, grid_of):
    folder = checkpoint(llava)[0]
    for settings, kind, words in (
        (
            {"wordings": {"green": ["x"]}},
            SettingError,
            "wordings has 'green', which is not a class",
        ),
        ({"wordings": {"red": "x"}}, SettingError, "expected lists by class"),
        ({"wordings": {"red": ["x"]}, "normalise": "length"}, SettingError, "adds up prob"),
        ({"answer_prefix": 1}, SettingError, "answer_prefix is 1"),
        ({"wordings": {"red": ["red dog"]}}, ModelError, "'red dog' begins like 'red'"),
        ({"wordings": {"red": ["blue cat"]}}, ModelError, "are the same to the model's token"),
    ):
        with pytest.raises(kind, match=words):
            load_model(f"hf:{folder}", classes=CLASSES, **settings)
    with pytest.raises(SettingError, match="reads it both ways"):
        load_model(f"hf:{checkpoint(paligemma)[0]}", classes=CLASSES, answer_prefix="it is")
