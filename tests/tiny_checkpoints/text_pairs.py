import torch
import transformers

from tiny_checkpoints import Tiny
from tiny_checkpoints.words import TEXT, tokenizer

SECOND = ["the dog is red", "two cat", "what is not one in the photo"]
NAMES = {"id2label": {0: "entails", 1: "neutral", 2: "contradicts"}}


def classifier(name, **more):
    def build():
        config = getattr(transformers, f"{name}Config")(**TEXT, **NAMES, num_labels=3, **more)
        return getattr(transformers, f"{name}ForSequenceClassification")(config), tokenizer()

    build.__name__ = f"{name.lower()}_of_two_texts"
    return build


def forward(model, processor, first, second):
    inputs = processor(first, second, return_tensors="pt")
    with torch.inference_mode():
        return model(**inputs).logits[0]


def tiny(name, **more):
    return Tiny(classifier(name, **more), forward, images=lambda: SECOND, has_threshold=True)


TINY = [
    tiny("Bert"),
    tiny("Roberta"),
    tiny("XLMRoberta"),
    tiny("DistilBert", dim=16, n_layers=2, n_heads=2, hidden_dim=24),
    tiny("Electra", embedding_size=16),
    tiny("Albert", embedding_size=16),
    tiny("MPNet"),
    tiny("DebertaV2", type_vocab_size=2),
    tiny("ModernBert", cls_token_id=2, sep_token_id=3),
]
