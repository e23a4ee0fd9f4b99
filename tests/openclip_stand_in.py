"""The few functions of OpenCLIP that are called, around a network of two layers.

It stands in where the library, which needs torchvision, is not installed: the tests then show that
folders are read, cut, scored and described as they should, and not that the library agrees.
"""

import json
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

LENGTH = 12


class Visual(nn.Linear):
    @property
    def preprocess_cfg(self):
        return {"size": round((self.in_features / 3) ** 0.5)}


class Towers(nn.Module):
    def __init__(self, model_cfg):
        super().__init__()
        size = model_cfg["vision_cfg"]["image_size"]
        self.visual = Visual(3 * size * size, model_cfg["embed_dim"])
        self.words = nn.Embedding(256, model_cfg["embed_dim"])
        self.logit_scale = nn.Parameter(torch.tensor(1.5))
        bias = model_cfg.get("init_logit_bias")
        self.logit_bias = None if bias is None else nn.Parameter(torch.tensor(float(bias)))

    def encode_image(self, image):
        return self.visual(image.flatten(1))

    def encode_text(self, text):
        return (self.words(text) * torch.arange(1, text.shape[1] + 1)[:, None]).sum(1)

    def get_logits(self, image, text):
        parts = self.encode_image(image), self.encode_text(text)
        images, texts = (nn.functional.normalize(part, dim=-1) for part in parts)
        logits = self.logit_scale.exp() * images @ texts.T
        logits = logits if self.logit_bias is None else logits + self.logit_bias
        return logits, logits.T


class Tokenizer:
    context_length, sot_token_id, eot_token_id = LENGTH, 254, 255

    def encode(self, text):
        return [sum(word.encode()) % 250 for word in text.split()]

    def __call__(self, texts):
        texts = [texts] if isinstance(texts, str) else texts
        cut = [self.encode(text)[: LENGTH - 2] for text in texts]
        rows = [[self.sot_token_id, *one, self.eot_token_id] for one in cut]
        return torch.tensor([row + [0] * (LENGTH - len(row)) for row in rows])


def image_transform_v2(settings, is_train):
    size = (settings.size, settings.size)

    def transform(image):
        pixels = np.asarray(image.resize(size), dtype=np.float32) / 255
        return torch.from_numpy(pixels).permute(2, 0, 1)

    return transform


def _described(name):
    folder = Path(name.removeprefix("local-dir:"))
    return folder, json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]


def create_model(name, load_weights=True, pretrained_text=True):
    return Towers(_described(name)[1])


def load_checkpoint(model, path):
    model.load_state_dict(load_file(path))


def module():
    made = ModuleType("open_clip")
    vars(made).update(
        create_model=create_model,
        load_checkpoint=load_checkpoint,
        get_tokenizer=lambda name: Tokenizer(),
        transform=SimpleNamespace(
            PreprocessCfg=SimpleNamespace, image_transform_v2=image_transform_v2
        ),
    )
    return made
