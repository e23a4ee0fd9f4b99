from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from emap_core.errors import MissingExtraError, ModelError, SettingError
from emap_core.models import hf, load_model
from emap_core.models.base import Scorer

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

TEXTS = ["a red cat", "what is the colour of the dog in the image", "blue"]
ANSWERS = ["red", "not one dog", "blue cat"]
SPECIAL = ["<pad>", "<unk>", "<s>", "</s>", "<image>"]
ROLES = ["pad_token", "unk_token", "bos_token", "eos_token"]
WORDS = "a photo of is this the cat dog red blue what colour image in there not one two user : \n"
TEMPLATE = (
    "<s>{% for m in messages %}user : {% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image>{% else %}{{ c['text'] }}{% endif %}{% endfor %} this"
    "{% endfor %}"
)
TEXT = {
    "vocab_size": 48,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "initializer_range": 0.4,
}
VISION = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 16,
    "patch_size": 8,
}


def images():
    rng = np.random.default_rng(0)
    shapes = [(20, 30, 3), (16, 16, 3), (40, 14, 3)]
    return [Image.fromarray(rng.integers(0, 255, s, dtype=np.uint8)) for s in shapes]


def tokenizer(*more, **named):
    numbers = {w: i for i, w in enumerate([*SPECIAL, *more, *WORDS.split(" ")])}
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel(numbers, "<unk>"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    words.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 2)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=words,
        **dict(zip(ROLES, SPECIAL, strict=False)),
        extra_special_tokens={f"{w.strip('<>')}_token": w for w in ("<image>", *more)}
        | {f"{name}_token": word for name, word in named.items()},
    )


def pixels(name, **more):
    return getattr(transformers, name)(
        size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}, **more
    )


def llava():
    config = transformers.LlavaConfig(
        text_config=transformers.LlamaConfig(**TEXT),
        vision_config=transformers.CLIPVisionConfig(**VISION),
        image_token_index=4,
        image_seq_length=4,
    )
    processor = transformers.LlavaProcessor(
        pixels("CLIPImageProcessorPil"),
        tokenizer(),
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )
    return transformers.LlavaForConditionalGeneration(config), processor


def llava_plain():
    model, processor = llava()
    processor.chat_template = None
    return model, processor


def llava_next():
    grid = [[16, 32], [32, 16], [32, 32]]
    config = transformers.LlavaNextConfig(
        text_config=transformers.LlamaConfig(**TEXT),
        vision_config=transformers.CLIPVisionConfig(**VISION),
        image_token_index=4,
        image_grid_pinpoints=grid,
    )
    processor = transformers.LlavaNextProcessor(
        pixels("LlavaNextImageProcessorPil", image_grid_pinpoints=grid),
        tokenizer(),
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )
    return transformers.LlavaNextForConditionalGeneration(config), processor


def idefics(name="Idefics3", processor=None, more=()):
    words = tokenizer("<fake_token_around_image>", "<global-img>", "<end_of_utterance>", *more)
    processor = (processor or transformers.Idefics3Processor)(
        getattr(transformers, f"{name}ImageProcessorPil")(
            size={"longest_edge": 32}, max_image_size={"longest_edge": 16}
        ),
        words,
        image_seq_len=4,
        chat_template=TEMPLATE,
    )
    config = getattr(transformers, f"{name}Config")(
        text_config=transformers.LlamaConfig(**TEXT),
        vision_config=VISION | {"patch_size": 4},
        image_token_id=4,
        scale_factor=2,
        pad_token_id=0,
    )
    return getattr(transformers, f"{name}ForConditionalGeneration")(config), processor


def gemma():
    words = tokenizer("<boi>", "<eoi>")
    config = transformers.Gemma3Config(
        text_config=TEXT | {"head_dim": 8, "sliding_window": 8, "num_hidden_layers": 3},
        vision_config=VISION,
        mm_tokens_per_image=4,
        image_token_index=4,
        boi_token_index=5,
        eoi_token_index=6,
    )
    config.text_config.layer_types = ["sliding_attention", "full_attention", "sliding_attention"]
    processor = transformers.Gemma3Processor(
        transformers.Gemma3ImageProcessorPil(size={"height": 16, "width": 16}),
        words,
        image_seq_length=4,
        chat_template=TEMPLATE.replace("<image>", "<boi>"),
    )
    return transformers.Gemma3ForConditionalGeneration(config), processor


def for_pictures(name):
    """Return a class of the library without its part for videos, which needs torchvision."""

    class ForPictures(getattr(transformers, name)):
        video_processor = SimpleNamespace(num_frames=None, fps=None)

        @classmethod
        def get_attributes(cls):
            return ["image_processor", "tokenizer"]

    ForPictures.__name__ = name
    return lambda *parts, **settings: ForPictures(*parts, video_processor=None, **settings)


def smolvlm():
    pytest.importorskip("num2words")
    rows = [f"<row_{row}_col_{column}>" for row in (1, 2) for column in (1, 2)]
    return idefics("SmolVLM", for_pictures("SmolVLMProcessor"), rows)


MARKS = ["<|vision_start|>", "<|vision_end|>", "<|video_pad|>"]
MARKED = {
    f"{name}_token_id": 5 + i for i, name in enumerate(("vision_start", "vision_end", "video"))
}
TOWER = {"depth": 2, "num_heads": 2, "patch_size": 4, "spatial_merge_size": 2}


def qwen(name, vision, **text):
    """Return one of three generations; images become between 4 and 12 tokens."""
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10_000.0}
    config = getattr(transformers, f"{name}Config")(
        text_config=TEXT | {"rope_parameters": rope} | text,
        vision_config=TOWER | vision,
        image_token_id=4,
        **MARKED,
    )
    shown = transformers.Qwen2VLImageProcessorPil(
        patch_size=4, size={"shortest_edge": 4 * 64, "longest_edge": 12 * 64}
    )
    processor = for_pictures(f"{name}Processor")(
        shown,
        tokenizer(*MARKS),
        chat_template=TEMPLATE.replace("<image>", "<|vision_start|><image><|vision_end|>"),
    )
    return getattr(transformers, f"{name}ForConditionalGeneration")(config), processor


def qwen_2():
    return qwen("Qwen2VL", {"embed_dim": 16, "hidden_size": 16, "mlp_ratio": 2})


def qwen_2_plain():
    model, processor = qwen_2()
    processor.chat_template = None
    return model, processor


def qwen_2_5():
    tower = {"hidden_size": 16, "intermediate_size": 24, "out_hidden_size": 16}
    return qwen("Qwen2_5_VL", tower | {"window_size": 16, "fullatt_block_indexes": [1]})


def qwen_3():
    tower = {"hidden_size": 16, "intermediate_size": 24, "out_hidden_size": 16}
    few = {"num_position_embeddings": 16, "deepstack_visual_indexes": [0, 1]}
    return qwen("Qwen3VL", tower | few, head_dim=8)


def internvl():
    marks = {"start_image": "<img>", "end_image": "</img>", "video": "<video>"}
    words = tokenizer(*marks.values(), context_image="<image>", **marks)
    processor = for_pictures("InternVLProcessor")(
        transformers.GotOcr2ImageProcessorPil(size={"height": 16, "width": 16}, max_patches=4),
        words,
        image_seq_length=1,
        chat_template=TEMPLATE,
    )
    config = transformers.InternVLConfig(
        text_config=transformers.Qwen2Config(**TEXT),
        vision_config=VISION | {"image_size": [16, 16], "patch_size": [8, 8]},
        image_token_id=4,
        image_seq_length=1,
    )
    return transformers.InternVLForConditionalGeneration(config), processor


FAMILIES = [llava, llava_plain, llava_next, idefics, gemma]
FAMILIES += [smolvlm, qwen_2, qwen_2_plain, qwen_2_5, qwen_3, internvl]


def paligemma():
    config = transformers.PaliGemmaConfig(
        text_config=TEXT | {"head_dim": 8, "model_type": "gemma"},
        vision_config=VISION | {"projection_dim": 16},
        projection_dim=16,
        image_token_index=4,
    )
    shown = transformers.SiglipImageProcessorPil(size={"height": 16, "width": 16})
    shown.image_seq_length = 4
    processor = transformers.PaliGemmaProcessor(shown, tokenizer())
    return transformers.PaliGemmaForConditionalGeneration(config), processor


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    made = {}

    def build(family):
        if family not in made:
            torch.manual_seed(0)
            model, processor = family()
            # Some projections start as zeros, so that no image would make a difference.
            for weights in model.parameters():
                if not weights.any():
                    torch.nn.init.normal_(weights, std=0.4)
            folder = tmp_path_factory.mktemp(family.__name__)
            model.save_pretrained(folder)
            processor.save_pretrained(folder)
            # With torchvision installed, the library reads images another way than with Pillow.
            read = transformers.AutoImageProcessor.from_pretrained
            processor.image_processor = read(folder, local_files_only=True)
            made[family] = folder, model.eval(), processor
        return made[family]

    return build


def grid_of(model, texts=TEXTS):
    scorer = Scorer(model, "cpu")
    return scorer.score_tile(scorer.encode_texts(texts), scorer.encode_images(images()), 5)


def plain_loop(model, processor):
    """Return summed log-probabilities from one whole forward for each text, image and answer."""
    grid = np.zeros((len(TEXTS), 3, len(ANSWERS)))
    place = getattr(processor, "boi_token", None) or processor.image_token
    if "Qwen" in type(processor).__name__:
        place = "<|vision_start|><image><|vision_end|>"
    for u, text in enumerate(TEXTS):
        for w, image in enumerate(images()):
            if processor.chat_template:
                said = [{"type": "image"}, {"type": "text", "text": text}]
                chat = [{"role": "user", "content": said}]
                prompt = processor.apply_chat_template(
                    chat, add_generation_prompt=True, tokenize=False
                )
            else:
                prompt = f"<s> {place}\n{text}\n"
            for number, answer in enumerate(ANSWERS):
                inputs = processor(
                    text=f"{prompt} {answer}",
                    images=[[image]],
                    add_special_tokens=False,
                    return_tensors="pt",
                )
                words = inputs["input_ids"][0]
                n = len(answer.split())
                with torch.inference_mode():
                    read = model(**inputs).logits[0].log_softmax(-1)
                grid[u, w, number] = read[-n - 1 : -1].gather(1, words[-n:, None]).sum()
    return grid


@pytest.mark.parametrize("family", FAMILIES)
def test_a_class_s_logit_is_the_log_probability_of_its_answer(family, checkpoint):
    folder, model, processor = checkpoint(family)
    expected = plain_loop(model, processor)
    assert np.ptp(expected, axis=0).min() > 1e-3
    assert np.ptp(expected, axis=1).min() > 1e-3
    loaded = load_model(f"hf:{folder}", classes=ANSWERS)
    np.testing.assert_allclose(grid_of(loaded), expected, atol=1e-4)
    np.testing.assert_allclose(grid_of(loaded, TEXTS[::-1])[::-1], expected, atol=1e-4)
    by_length = grid_of(load_model(f"hf:{folder}", classes=ANSWERS, normalise="length"))
    np.testing.assert_allclose(by_length, expected / [1, 3, 2], atol=1e-4)


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
    for image in images():
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
    with pytest.raises(MissingExtraError, match=r"needs more: .*pip install num2words"):
        load_model(f"hf:{folder}")


def test_paligemma_reads_its_prompt_both_ways(checkpoint):
    folder, model, processor = checkpoint(paligemma)
    grid = grid_of(load_model(f"hf:{folder}", classes=ANSWERS))
    for u, text in enumerate(TEXTS):
        for w, image in enumerate(images()):
            inputs = processor(text=f"<image>{text}", images=image, return_tensors="pt")
            for number, answer in enumerate(ANSWERS):
                said = processor.tokenizer(answer, add_special_tokens=False)["input_ids"]
                words = torch.cat([inputs["input_ids"], torch.tensor([said])], 1)
                kinds = torch.zeros_like(words)
                kinds[:, -len(said) :] = 1
                with torch.inference_mode():
                    read = model(
                        input_ids=words, pixel_values=inputs["pixel_values"], token_type_ids=kinds
                    ).logits[0, -len(said) - 1 : -1]
                expected = read.log_softmax(-1).gather(1, torch.tensor(said)[:, None]).sum()
                assert grid[u, w, number] == pytest.approx(float(expected), abs=1e-4)


def test_an_image_goes_through_the_vision_tower_once(checkpoint):
    folder, _, _ = checkpoint(llava)
    loaded = load_model(f"hf:{folder}", classes=ANSWERS)
    seen = []
    loaded.model.model.vision_tower.register_forward_hook(
        lambda module, inputs, output: seen.append(len(output.last_hidden_state))
    )
    grid_of(loaded)
    assert sum(seen) == len(images())


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
    monkeypatch.setitem(globals(), "tokenizer", spelled)
    monkeypatch.setitem(globals(), "TEMPLATE", template)
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
    monkeypatch.setitem(globals(), "tokenizer", spelled)
    monkeypatch.setitem(globals(), "TEMPLATE", SPOKEN)
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
        for w, image in enumerate(images()):
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
    states = scorer.encode_texts([long])
    prompt = processor.tokenizer.decode(states["words"][0])
    # The end of the prompt is there, and the beginning of the text.
    assert prompt.startswith("is it red? is it red?")
    assert prompt.endswith("</s>\nAssistant:")
    image = scorer.encode_images(images()[:1])
    n_image = int(image["seen"].sum())
    longest = len(processor.tokenizer(" no, it is not", add_special_tokens=False).input_ids)
    assert 512 - 4 <= n_image + states["words"].shape[1] + longest <= 512
    assert scorer.score_tile(states, image, 1).shape == (1, 1, 2)


def test_an_image_that_leaves_no_room_for_the_text_is_refused(checkpoint):
    loaded = load_model(f"hf:{checkpoint(qwen_2)[0]}", classes=ANSWERS)
    few, wide = Image.new("RGB", (16, 16)), Image.new("RGB", (96, 16))
    scorer = Scorer(loaded, "cpu")
    texts, image = scorer.encode_texts(["red " * 20]), scorer.encode_images([few])
    n_tokens = int(texts["seen"].sum() + image["seen"].sum())
    # As much as the model reads, with the longest of the answers.
    loaded._tokens.limit = n_tokens + 3
    assert scorer.score_tile(texts, image, 1).shape == (1, 1, 3)
    with pytest.raises(ModelError, match=f"tokens, and the model reads {n_tokens} before an"):
        scorer.score_tile(texts, scorer.encode_images([wide]), 1)


@pytest.mark.parametrize("family", [llava, qwen_2, paligemma])
def test_weights_of_16_bits_are_computed_in_float32_unless_asked(family, checkpoint, tmp_path):
    folder, model, _ = checkpoint(family)
    for name, dtype in (("small", torch.bfloat16), ("large", torch.float32)):
        shutil.copytree(folder, tmp_path / name)
        small = type(model).from_pretrained(folder, dtype=torch.bfloat16)
        small.to(dtype).save_pretrained(tmp_path / name)
    expected = grid_of(load_model(f"hf:{tmp_path / 'large'}", classes=ANSWERS))
    found = load_model(f"hf:{tmp_path / 'small'}", classes=ANSWERS)
    np.testing.assert_allclose(grid_of(found), expected, atol=1e-5)
    asked = load_model(f"hf:{tmp_path / 'small'}", classes=ANSWERS, dtype="bfloat16")
    rounded = grid_of(asked)
    assert (found.dtype, asked.dtype) == (torch.float32, torch.bfloat16)
    np.testing.assert_allclose(rounded, expected, atol=1.5)
    assert np.abs(rounded - expected).max() > 1e-3
    assert Scorer(asked, "cpu").has_threshold is False
