from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from emap_core.errors import ModelError, SettingError
from emap_core.models import load_model
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


def tokenizer(*more):
    numbers = {w: i for i, w in enumerate([*SPECIAL, *more, *WORDS.split(" ")])}
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel(numbers, "<unk>"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    words.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 2)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=words,
        **dict(zip(ROLES, SPECIAL, strict=False)),
        extra_special_tokens={f"{w.strip('<>')}_token": w for w in ("<image>", *more)},
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


def idefics():
    size = {"longest_edge": 32}
    words = tokenizer("<fake_token_around_image>", "<global-img>", "<end_of_utterance>")
    processor = transformers.Idefics3Processor(
        transformers.Idefics3ImageProcessorPil(size=size, max_image_size={"longest_edge": 16}),
        words,
        image_seq_len=4,
        chat_template=TEMPLATE,
    )
    config = transformers.Idefics3Config(
        text_config=transformers.LlamaConfig(**TEXT),
        vision_config=VISION | {"patch_size": 4},
        image_token_id=4,
        scale_factor=2,
        pad_token_id=0,
    )
    return transformers.Idefics3ForConditionalGeneration(config), processor


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


FAMILIES = [llava, llava_plain, llava_next, idefics, gemma]


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
