import tempfile

import numpy as np
import torch
from samples import save_lxmert

from tiny_checkpoints import Tiny

WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] a red cat what is the colour of dog blue"


def regions():
    rng = np.random.default_rng(0)
    sizes = [3, 5, 3]
    return [{"features": rng.normal(size=(n, 6)), "boxes": rng.uniform(size=(n, 4))} for n in sizes]


def lxmert():
    with tempfile.TemporaryDirectory() as folder:
        return save_lxmert(folder, WORDS.split())


def forward(model, words, text, found):
    with torch.inference_mode():
        return model(
            **words(text, return_tensors="pt"),
            visual_feats=torch.tensor(found["features"]).to(model.dtype)[None],
            visual_pos=torch.tensor(found["boxes"]).to(model.dtype)[None],
        ).question_answering_score[0]


TINY = [Tiny(lxmert, forward, images=regions)]
