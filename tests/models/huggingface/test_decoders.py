from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import tokenizers
import torch
import transformers
from PIL import Image
from tiny_checkpoints import TEXTS, decoders, pictures
from tiny_checkpoints.decoders import (
    ANSWERS,
    ROLES,
    SPECIAL,
    TEXT,
    idefics,
    internvl,
    llava,
    qwen_2,
    qwen_2_5,
    qwen_3,
    smolvlm,
)

from emap_core.errors import MissingExtraError, ModelError, SettingError
from emap_core.models import load_model
from emap_core.models.base import Scorer
from emap_core.models.huggingface import loader as hf


def grid_of(model, texts=TEXTS):
    scorer = Scorer(model, "cpu")
    return scorer.score_tile(scorer.encode_texts(texts), scorer.encode_images(pictures()), 5)


def test_a_score_is_divided_by_the_length_of_the_answer_where_that_is_asked(checkpoint):
    folder, _, _ = checkpoint(llava)
    whole = grid_of(load_model(f"hf:{folder}", classes=ANSWERS))
    by_length = grid_of(load_model(f"hf:{folder}", classes=ANSWERS, normalise="length"))
    np.testing.assert_allclose(by_length, whole / [1, 3, 2], atol=1e-4)


@pytest.mark.parametrize("family", [smolvlm, qwen_2_5, internvl])
def test_a_processor_is_read_in_the_parts_that_the_hub_keeps(family, checkpoint, tmp_path):
    whole, _, processor = checkpoint(family)
    folder = shutil.copytree(whole, tmp_path / "parts")
    settings = json.loads((folder / "processor_config.json").read_text())
    settings = {name: value for name, value in settings.items() if not isinstance(value, dict)}
    (folder / "processor_config.json").write_text(json.dumps(settings))
    processor.image_processor.save_pretrained(folder)
    (folder / "video_preprocessor_config.json").write_text(
        (folder / "preprocessor_config.json").read_text().replace("Image", "Video")
    )
    loaded = load_model(f"hf:{folder}", classes=ANSWERS)
    expected = grid_of(load_model(f"hf:{whole}", classes=ANSWERS))
    np.testing.assert_array_equal(grid_of(loaded), expected)


@pytest.mark.parametrize("family", [smolvlm, qwen_2, qwen_2_5, qwen_3, internvl])
def test_pictures_are_read_as_with_the_part_for_videos(family, checkpoint, tmp_path):
    pytest.importorskip("torchvision")
    folder, model, _ = checkpoint(family)
    ours = hf.load(str(folder))._processor
    name = type(model).__name__.replace("ForConditionalGeneration", "")
    kind = "Qwen2VL" if name == "Qwen2_5_VL" else name
    videos = getattr(transformers, f"{kind}VideoProcessor")()
    whole = getattr(transformers, f"{name}Processor")(
        ours.image_processor, ours.tokenizer, videos, chat_template=ours.chat_template
    )
    if kind in ("SmolVLM", "InternVL"):
        for length in ("image_seq_len", "image_seq_length"):
            setattr(whole, length, getattr(ours, length, None))
    whole.save_pretrained(tmp_path)
    model.config.save_pretrained(tmp_path)
    whole = transformers.AutoProcessor.from_pretrained(tmp_path)
    chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": TEXTS[0]}]}]
    for image in pictures():
        prompts = [p.apply_chat_template(chat, tokenize=False) for p in (ours, whole)]
        assert prompts[0] == prompts[1]
        read, expected = (
            p(text=prompts[:1], images=[[image]], return_tensors="pt") for p in (ours, whole)
        )
        assert read.keys() == expected.keys()
        assert all(torch.equal(read[leaf], expected[leaf]) for leaf in read)


def test_what_a_processor_needs_and_is_not_installed_is_named(checkpoint, monkeypatch):
    folder, _, _ = checkpoint(smolvlm)
    monkeypatch.setattr("transformers.models.smolvlm.processing_smolvlm.num2words", None)
    with pytest.raises(MissingExtraError, match=r"needs another package: .*pip install num2words"):
        load_model(f"hf:{folder}")


def test_an_image_goes_through_the_vision_tower_once(checkpoint):
    folder, _, _ = checkpoint(llava)
    loaded = load_model(f"hf:{folder}", classes=ANSWERS)
    seen = []
    loaded.model.model.vision_tower.register_forward_hook(
        lambda module, inputs, output: seen.append(len(output.last_hidden_state))
    )
    grid_of(loaded)
    assert sum(seen) == len(pictures())


def test_answers_that_are_the_same_to_the_tokenizer_are_named(checkpoint):
    folder, _, _ = checkpoint(llava)
    with pytest.raises(ModelError, match="'yes' and 'no' are the same to the model's tokenizer"):
        grid_of(load_model(f"hf:{folder}", classes=["yes", "red", "no"]))
    assert grid_of(load_model(f"hf:{folder}", classes=["yes", "red"])).shape == (3, 3, 2)


def test_answers_and_prompts_that_cannot_be_used_are_named(checkpoint):
    folder, _, _ = checkpoint(llava)
    opened = load_model(f"hf:{folder}")
    with pytest.raises(ModelError, match="classes="):
        grid_of(opened)
    before = opened.fingerprint
    assert grid_of(opened.with_classes(["red"])).shape == (3, 3, 1)
    assert opened.fingerprint != before
    with pytest.raises(SettingError, match="'mean'"):
        load_model(f"hf:{folder}", normalise="mean")
    with pytest.raises(SettingError, match="expected"):
        load_model(f"hf:{folder}", prompt="{text} this {image}")


SPOKEN = (
    "{% for m in messages %}{{ m['role'] | capitalize }}"
    "{% if m['content'][0]['type'] == 'image' %}:{% else %}: {% endif %}"
    "{% for c in m['content'] %}{% if c['type'] == 'image' %}<image>{% else %}{{ c['text'] }}"
    "{% endif %}{% endfor %}</s>\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
"""As the templates of SmolVLM and Idefics3 are written: a blank stands before what was said."""
MARKED_UP = (
    SPOKEN.replace("capitalize }}", "capitalize }}\n")
    .replace("{% if m['content'][0]['type'] == 'image' %}:{% else %}: {% endif %}", "")
    .replace("Assistant:", "Assistant\n")
)
"""As those of Qwen and Gemma are: a line of its own, and no blank."""


def spelled(*more):
    """Return a tokenizer to which "yes" and " yes" are different tokens, as line breaks are."""
    words = tokenizers.Tokenizer(tokenizers.models.BPE())
    pieces = tokenizers.Regex(r" ?\p{L}+| ?[^\s\p{L}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    words.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Split(pieces, "isolated"),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    words.decoder = tokenizers.decoders.ByteLevel()
    said = ["yes no", "yes", "no", " yes no", "is it red? yes\n\nno:\n\n"] * 9
    words.train_from_iterator(
        said,
        tokenizers.trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=[*SPECIAL, *more],
            initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=words,
        **dict(zip(ROLES, SPECIAL, strict=False)),
        extra_special_tokens={f"{w.strip('<>')}_token": w for w in ("<image>", *more)},
    )


QUESTIONS = ["is it red?", "yes or no"]
COLOURS = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
TRUTH = ["yes", "no"]


def taught(family, template, monkeypatch, folder):
    """Teach a small model to say whether an image is red, in chats as the library writes them."""
    monkeypatch.setattr(decoders, "tokenizer", spelled)
    monkeypatch.setattr(decoders, "TEMPLATE", template)
    monkeypatch.setitem(TEXT, "vocab_size", 400)
    torch.manual_seed(0)
    model, processor = family()
    chats = []
    for question in QUESTIONS:
        for image, truth in zip(COLOURS, TRUTH, strict=True):
            said = [{"type": "image"}, {"type": "text", "text": question}]
            answer = [{"type": "text", "text": truth}]
            chat = [{"role": "user", "content": said}, {"role": "assistant", "content": answer}]
            written = processor.apply_chat_template(chat, tokenize=False)
            inputs = processor(text=written, images=[[image]], return_tensors="pt")
            # Only the answer and what follows it is learnt.
            learnt = inputs["input_ids"].clone()
            n_after = len(processor.tokenizer(f"{truth}</s>\n", add_special_tokens=False).input_ids)
            learnt[:, :-n_after] = -100
            chats.append((inputs, learnt))
    rate = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(40):
        rate.zero_grad()
        loss = sum(model(**inputs, labels=learnt).loss for inputs, learnt in chats)
        loss.backward()
        rate.step()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return model.eval(), processor


@pytest.mark.parametrize("family", [llava, idefics])
@pytest.mark.parametrize(("template", "before"), [(SPOKEN, " "), (MARKED_UP, "")])
def test_an_answer_is_scored_as_the_model_writes_it(
    family, template, before, monkeypatch, tmp_path
):
    model, processor = taught(family, template, monkeypatch, tmp_path)
    words = processor.tokenizer
    assert len({*words("yes").input_ids, *words(" yes").input_ids}) == 2
    loaded = load_model(f"hf:{tmp_path}", classes=TRUTH)
    scorer = Scorer(loaded, "cpu")
    grid = scorer.score_tile(scorer.encode_texts(QUESTIONS), scorer.encode_images(COLOURS), 4)
    for u, question in enumerate(QUESTIONS):
        for w, image in enumerate(COLOURS):
            said = [{"type": "image"}, {"type": "text", "text": question}]
            prompt = processor.apply_chat_template(
                [{"role": "user", "content": said}], add_generation_prompt=True, tokenize=False
            )
            inputs = processor(
                text=prompt, images=[[image]], add_special_tokens=False, return_tensors="pt"
            )
            written = model.generate(
                **inputs,
                max_new_tokens=1,
                do_sample=False,
                return_dict_in_generate=True,
                output_logits=True,
            )
            # What the library writes is what was taught, and what is scored.
            assert words.decode(written.sequences[0, -1:]) == before + TRUTH[w]
            shares = written.logits[0][0].log_softmax(-1)
            expected = [float(shares[words(before + name).input_ids[0]]) for name in TRUTH]
            np.testing.assert_allclose(grid[u, w], expected, atol=1e-4)
            assert TRUTH[int(grid[u, w].argmax())] == TRUTH[w]


@pytest.fixture
def speller(monkeypatch, tmp_path):
    monkeypatch.setattr(decoders, "tokenizer", spelled)
    monkeypatch.setattr(decoders, "TEMPLATE", SPOKEN)
    monkeypatch.setitem(TEXT, "vocab_size", 400)
    torch.manual_seed(0)
    model, processor = llava()
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    return tmp_path, model.eval(), processor


def log_probability(model, processor, prompt, continued, image):
    """Return how likely the last tokens are, those that `continued` has more than `prompt`."""
    numbers = [processor.tokenizer(t, add_special_tokens=False).input_ids for t in continued]
    start = min(
        next(i for i, (a, b) in enumerate(zip(prompt, one, strict=False)) if a != b)
        if prompt != one[: len(prompt)]
        else len(prompt)
        for one in numbers
    )
    found = []
    for text, one in zip(continued, numbers, strict=True):
        n = len(one) - start
        inputs = processor(
            text=text, images=[[image]], add_special_tokens=False, return_tensors="pt"
        )
        with torch.inference_mode():
            read = model(**inputs).logits[0].log_softmax(-1)
        last = inputs["input_ids"][0, -n:]
        found.append(float(read[-n - 1 : -1].gather(1, last[:, None]).sum()))
    return found


@pytest.mark.parametrize(
    ("prompt", "classes", "between"),
    [
        ("{image}{text} answer:", ["yes", "no"], " "),
        ("{image}{text} answer: ", ["yes", "no"], " "),
        ("{image}{text} answer:", " yes, no", ""),
        ("{image}{text} answer:\n", ["yes", "no"], ""),
        # The tokenizer makes one token of two line breaks, so that the first goes to the answer.
        ("{image}{text} answer:\n", ["\nyes", "\nno", "yes"], ""),
        ("{image}{text}", ["yes", "no"], " "),
    ],
)
def test_prompt_and_answer_are_joined_by_the_tokenizer(prompt, classes, between, speller):
    folder, model, processor = speller
    loaded = load_model(f"hf:{folder}", prompt=prompt, classes=classes)
    answers = classes.split(",") if isinstance(classes, str) else classes
    grid = grid_of(loaded, QUESTIONS)
    for u, question in enumerate(QUESTIONS):
        for w, image in enumerate(pictures()):
            asked = prompt.format(image="<image>", text=question).rstrip(" ")
            numbers = processor.tokenizer(asked, add_special_tokens=False).input_ids
            continued = [f"{asked}{between}{answer}" for answer in answers]
            expected = log_probability(model, processor, numbers, continued, image)
            np.testing.assert_allclose(grid[u, w], expected, atol=1e-4)
    names = [answer.strip() for answer in answers]
    assert loaded.classes == (names if len(set(names)) == len(answers) else answers)


def test_a_text_that_the_tokenizer_joins_with_the_answer_is_named(speller):
    folder, _, _ = speller
    loaded = load_model(f"hf:{folder}", prompt="{image}{text}", classes=["\nyes", "\nno"])
    loaded.encode_texts(["is it red?"])
    with pytest.raises(ModelError, match=r"end of the text 'red\\n' with the answer '\\nyes'"):
        loaded.encode_texts(["is it red?", "red\n"])


def test_long_texts_leave_room_for_image_prompt_and_answer(speller):
    folder, _, processor = speller
    loaded = load_model(f"hf:{folder}", classes=["yes", "no, it is not"])
    assert loaded.notes(["is it red?"]) == []
    long = "is it red? " * 200
    (note,) = loaded.notes([long, "is it red?"])
    assert note.startswith("1 of 2 different texts is longer than the 512 tokens")
    scorer = Scorer(loaded, "cpu")
    encodings = scorer.encode_texts([long])
    prompt = processor.tokenizer.decode(encodings["token_ids"][0])
    # The end of the prompt is there, and the beginning of the text.
    assert prompt.startswith("is it red? is it red?")
    assert prompt.endswith("</s>\nAssistant:")
    image = scorer.encode_images(pictures()[:1])
    n_image = int(image["attention_mask"].sum())
    longest = len(processor.tokenizer(" no, it is not", add_special_tokens=False).input_ids)
    assert 512 - 4 <= n_image + encodings["token_ids"].shape[1] + longest <= 512
    assert scorer.score_tile(encodings, image, 1).shape == (1, 1, 2)


def test_an_image_that_leaves_no_room_for_the_text_is_refused(checkpoint):
    loaded = load_model(f"hf:{checkpoint(qwen_2)[0]}", classes=ANSWERS)
    few, wide = Image.new("RGB", (16, 16)), Image.new("RGB", (96, 16))
    scorer = Scorer(loaded, "cpu")
    texts, image = scorer.encode_texts(["red " * 20]), scorer.encode_images([few])
    n_tokens = int(texts["attention_mask"].sum() + image["attention_mask"].sum())
    # As much as the model reads, with the longest of the answers.
    loaded._tokens.limit = n_tokens + 3
    assert scorer.score_tile(texts, image, 1).shape == (1, 1, 3)
    with pytest.raises(ModelError, match=f"tokens, but the model reads {n_tokens} before an"):
        scorer.score_tile(texts, scorer.encode_images([wide]), 1)
