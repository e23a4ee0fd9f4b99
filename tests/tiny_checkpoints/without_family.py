"""Small random checkpoints of architectures that no file in families declares."""

import torch
import transformers

from tiny_checkpoints.decoders import (
    ANSWERS,
    ROLES,
    SPECIAL,
    TEMPLATE,
    TEXT,
    VISION,
    for_pictures,
    pixels,
    prompt_of,
    tokenizer,
)
from tiny_checkpoints.words import CROPPED
from tiny_checkpoints.words import TEXT as WORDS_OF_CLIP
from tiny_checkpoints.words import VISION as VISION_OF_CLIP
from tiny_checkpoints.words import tokenizer as words_of_clip

SIZE = {"size": {"height": 16, "width": 16}}
OPT = {
    "vocab_size": 56,
    "hidden_size": 16,
    "word_embed_proj_dim": 16,
    "ffn_dim": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 128,
}
QFORMER = {
    "vocab_size": 56,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "encoder_hidden_size": 16,
    "max_position_embeddings": 64,
}


def bare():
    """Return a tokenizer that does not say which of its words stands for an image."""
    named = tokenizer()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=named.backend_tokenizer, **dict(zip(ROLES, SPECIAL, strict=False))
    )


def blip_2():
    config = transformers.Blip2Config(
        vision_config=VISION,
        qformer_config=QFORMER,
        text_config=transformers.OPTConfig(**OPT),
        num_query_tokens=2,
        image_token_index=4,
    )
    shown = transformers.BlipImageProcessorPil(**SIZE)
    processor = transformers.Blip2Processor(shown, bare(), num_query_tokens=2)
    return transformers.Blip2ForConditionalGeneration(config), processor


def instructblip():
    config = transformers.InstructBlipConfig(
        vision_config=VISION,
        qformer_config=QFORMER,
        text_config=transformers.OPTConfig(**OPT),
        num_query_tokens=2,
        image_token_index=4,
    )
    shown = transformers.BlipImageProcessorPil(**SIZE)
    processor = transformers.InstructBlipProcessor(shown, bare(), bare(), num_query_tokens=2)
    return transformers.InstructBlipForConditionalGeneration(config), processor


def llava_onevision():
    grid = [[16, 32], [32, 16], [32, 32]]
    config = transformers.LlavaOnevisionConfig(
        text_config=transformers.Qwen2Config(**TEXT),
        vision_config=transformers.SiglipVisionConfig(**VISION),
        image_token_index=4,
        video_token_index=5,
        image_grid_pinpoints=grid,
        vision_feature_select_strategy="full",
        vision_aspect_ratio="anyres_max_9",
    )
    shown = transformers.LlavaOnevisionImageProcessorPil(image_grid_pinpoints=grid, **SIZE)
    processor = for_pictures("LlavaOnevisionProcessor")(
        shown,
        tokenizer("<video>"),
        num_image_tokens=4,
        vision_feature_select_strategy="full",
        chat_template=TEMPLATE,
    )
    return transformers.LlavaOnevisionForConditionalGeneration(config), processor


def idefics2():
    config = transformers.Idefics2Config(
        text_config=transformers.MistralConfig(**TEXT),
        vision_config=VISION | {"patch_size": 4},
        perceiver_config={
            "hidden_size": 16,
            "resampler_n_latents": 4,
            "resampler_depth": 1,
            "resampler_n_heads": 2,
            "resampler_head_dim": 8,
            "num_key_value_heads": 1,
        },
        image_token_id=4,
    )
    shown = transformers.Idefics2ImageProcessorPil(
        size={"shortest_edge": 8, "longest_edge": 16}, do_image_splitting=False
    )
    around = "<fake_token_around_image>"
    words = tokenizer(around, "<end_of_utterance>", image_boundary=around)
    processor = transformers.Idefics2Processor(
        shown, words, image_seq_len=4, chat_template=TEMPLATE
    )
    return transformers.Idefics2ForConditionalGeneration(config), processor


def mllama():
    vision = {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_global_layers": 1,
        "attention_heads": 2,
        "image_size": 16,
        "patch_size": 8,
        "max_num_tiles": 1,
        "supported_aspect_ratios": [[1, 1]],
        "intermediate_layers_indices": [0],
        "vision_output_dim": 32,
    }
    text = TEXT | {"cross_attention_layers": [1], "num_hidden_layers": 3}
    config = transformers.MllamaConfig(text_config=text, vision_config=vision, image_token_index=4)
    shown = transformers.MllamaImageProcessorPil(max_image_tiles=1, **SIZE)
    processor = transformers.MllamaProcessor(shown, tokenizer(), chat_template=TEMPLATE)
    return transformers.MllamaForConditionalGeneration(config), processor


def git():
    config = transformers.GitConfig(
        vision_config=VISION,
        vocab_size=48,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
    )
    processor = transformers.GitProcessor(pixels("CLIPImageProcessorPil"), tokenizer())
    return transformers.GitForCausalLM(config), processor


def florence2():
    config = transformers.Florence2Config(
        text_config={
            "model_type": "bart",
            "vocab_size": 48,
            "d_model": 16,
            "encoder_layers": 1,
            "decoder_layers": 1,
            "encoder_attention_heads": 2,
            "decoder_attention_heads": 2,
            "encoder_ffn_dim": 24,
            "decoder_ffn_dim": 24,
            "max_position_embeddings": 64,
            "pad_token_id": 0,
            "bos_token_id": 2,
            "eos_token_id": 3,
            "decoder_start_token_id": 3,
        },
        vision_config={
            "depths": [1, 1, 1, 1],
            "embed_dim": [8, 8, 8, 8],
            "num_heads": [2, 2, 2, 2],
            "num_groups": [2, 2, 2, 2],
            "window_size": 2,
            "projection_dim": 16,
            "max_position_embeddings": 8,
        },
        image_token_id=4,
    )
    shown = transformers.CLIPImageProcessorPil(
        size={"height": 32, "width": 32}, do_center_crop=False
    )
    # One place an image, and one for their mean.
    shown.image_seq_length = 2  # type: ignore[attr-defined]
    processor = transformers.Florence2Processor(shown, tokenizer())
    return transformers.Florence2ForConditionalGeneration(config), processor


def kosmos2():
    config = transformers.Kosmos2Config(
        text_config={
            "vocab_size": 2000,
            "embed_dim": 16,
            "layers": 2,
            "ffn_dim": 24,
            "attention_heads": 2,
            "max_position_embeddings": 256,
        },
        vision_config=VISION,
        latent_query_num=64,
    )
    processor = transformers.Kosmos2Processor(pixels("CLIPImageProcessorPil"), tokenizer())
    return transformers.Kosmos2ForConditionalGeneration(config), processor


def chinese_clip():
    config = transformers.ChineseCLIPConfig(
        text_config=WORDS_OF_CLIP, vision_config=VISION_OF_CLIP, projection_dim=12
    )
    pixels = transformers.ChineseCLIPImageProcessorPil(**CROPPED)
    words = transformers.ChineseCLIPProcessor(pixels, words_of_clip())
    return transformers.ChineseCLIPModel(config), words


def blip_2_retrieval():
    config = transformers.Blip2Config(
        vision_config=VISION,
        qformer_config=QFORMER | {"use_qformer_text_input": True},
        text_config=transformers.OPTConfig(**OPT),
        num_query_tokens=2,
        image_text_hidden_size=8,
        image_token_index=4,
    )
    shown = transformers.BlipImageProcessorPil(**SIZE)
    processor = transformers.Blip2Processor(shown, bare())
    return transformers.Blip2ForImageTextRetrieval(config), processor


def written_after(model, processor, text, image):
    """Return the answers' log-probabilities from the library's own loss on their tokens."""
    totals = []
    chat = bool(processor.chat_template)
    prompt = prompt_of(model, processor, text) if chat else f"{text}\n"
    for answer in ANSWERS:
        inputs = processor(
            text=[f"{prompt} {answer}"],
            images=[image],
            return_tensors="pt",
            **({"add_special_tokens": False} if chat else {}),
        )
        n = len(answer.split())
        labels = inputs["input_ids"].clone()
        labels[:, :-n] = -100
        with torch.inference_mode():
            totals.append(-n * model(**inputs, labels=labels).loss)
    return torch.stack(totals)


def written_apart(model, processor, text, image):
    """Return the answers' log-probabilities from the library's own loss of a decoder."""
    inputs, totals = processor(text=[text], images=[image], return_tensors="pt"), []
    for answer in ANSWERS:
        labels = processor.tokenizer(answer, return_tensors="pt").input_ids
        with torch.inference_mode():
            totals.append(-labels.shape[1] * model(**inputs, labels=labels).loss)
    return torch.stack(totals)


def compared(model, processor, text, image):
    inputs = processor(text=[text], images=[image], return_tensors="pt")
    with torch.inference_mode():
        return model(**inputs).logits_per_text[0]


WRITTEN = [blip_2, instructblip, llava_onevision, idefics2, mllama, git, kosmos2]


FORWARDS = dict.fromkeys(WRITTEN, written_after) | {
    florence2: written_apart,
    chinese_clip: compared,
    blip_2_retrieval: compared,
}
"""Every small checkpoint and the library's own forward of one pair."""
