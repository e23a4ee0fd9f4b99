from types import SimpleNamespace

import pytest
import tokenizers
import torch
import transformers

from tiny_checkpoints import Tiny

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


def prompt_of(model, processor, text):
    """Return the prompt as the library writes it, with the place of the image."""
    if processor.chat_template:
        said = [{"type": "image"}, {"type": "text", "text": text}]
        return processor.apply_chat_template(
            [{"role": "user", "content": said}], add_generation_prompt=True, tokenize=False
        )
    place = getattr(processor, "boi_token", None) or processor.image_token
    if "Qwen" in type(model).__name__:
        place = "<|vision_start|><image><|vision_end|>"
    return f"<s> {place}\n{text}\n"


def forward(model, processor, text, image):
    """Return summed log-probabilities of the answers, from one whole forward each."""
    totals = []
    for answer in ANSWERS:
        inputs = processor(
            text=f"{prompt_of(model, processor, text)} {answer}",
            images=[[image]],
            add_special_tokens=False,
            return_tensors="pt",
        )
        words, n = inputs["input_ids"][0], len(answer.split())
        with torch.inference_mode():
            read = model(**inputs).logits[0].log_softmax(-1)
        totals.append(read[-n - 1 : -1].gather(1, words[-n:, None]).sum())
    return torch.stack(totals)


BUILT = [llava, llava_plain, llava_next, idefics, gemma]
BUILT += [smolvlm, qwen_2, qwen_2_plain, qwen_2_5, qwen_3, internvl]
TINY = [Tiny(build, forward, {"classes": ANSWERS}) for build in BUILT]
