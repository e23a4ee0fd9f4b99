import numpy as np
import torch
import transformers

from tiny_checkpoints import Tiny

WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] a red cat what is the colour of dog blue"


def regions():
    rng = np.random.default_rng(0)
    return [{"features": rng.normal(size=(n, 6))} for n in (3, 5, 1)]


def visualbert(head="VisualBertForQuestionAnswering", **settings):
    config = transformers.VisualBertConfig(  # type: ignore[call-arg]
        vocab_size=15,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        visual_embedding_dim=6,
        num_labels=3,
        initializer_range=0.4,
        **settings,
    )
    words = transformers.BertTokenizer(vocab={w: i for i, w in enumerate(WORDS.split())})
    return getattr(transformers, head)(config), words


def visualbert_reasoning():
    return visualbert("VisualBertForVisualReasoning")


def forward(model, words, text, found):
    with torch.inference_mode():
        return model(
            **words(text, return_tensors="pt"),
            visual_embeds=torch.tensor(found["features"]).to(model.dtype)[None],
        ).logits[0]


TINY = [Tiny(build, forward, images=regions) for build in (visualbert, visualbert_reasoning)]
