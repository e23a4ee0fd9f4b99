"""A tokenizer of a few words, and sizes, that many small checkpoints share."""

import tokenizers
import transformers

WORDS = "a photo of is this the cat dog red blue what colour image in there not one two"
SPECIAL = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "bos_token": "[CLS]",
    "eos_token": "[SEP]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
}
TEXT = {
    "vocab_size": 40,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 32,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 3,
}
VISION = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 16,
    "patch_size": 8,
}
BOTH = {"text_config": TEXT, "vision_config": VISION}
SQUARE = {"size": {"height": 16, "width": 16}}
CROPPED = {"size": {"shortest_edge": 16}, "crop_size": {"height": 16, "width": 16}}


def tokenizer(*more):
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS.split(), *more]
    numbers = {word: i for i, word in enumerate(vocabulary)}
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel(numbers, SPECIAL["unk_token"]))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, model_max_length=32, **SPECIAL
    )
