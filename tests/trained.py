"""A small network that is trained, and what watches it."""

import numpy as np
import torch
from samples import numbers_of_image, numbers_of_text

from emap_core.training import GapInTraining


class Network(torch.nn.Module):
    """A product of both sides beside a sum of both, with dropout, which draws in training."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.text, self.image = torch.nn.Linear(5, 8), torch.nn.Linear(5, 8)
        self.head, self.drop = torch.nn.Linear(16, 3), torch.nn.Dropout(0.5)

    def forward(self, t, v, labels=None):
        t, v = self.text(t), self.image(v)
        logits = self.head(self.drop(torch.cat([t * v, t + v], 1)))
        if labels is None:
            return logits
        return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}


def to_model(network):
    def model(texts, images):
        t = torch.tensor(np.stack([numbers_of_text(one) for one in texts]), dtype=torch.float32)
        v = torch.tensor(np.stack([numbers_of_image(one) for one in images]), dtype=torch.float32)
        return network(t, v)

    vars(model)["classes"] = ["zero", "one", "two"]
    return model


def batch(data):
    return (
        torch.tensor(np.stack([numbers_of_text(one) for one in data.texts]), dtype=torch.float32),
        torch.tensor(np.stack([numbers_of_image(i) for i in data.images]), dtype=torch.float32),
        torch.tensor(np.asarray(data.labels)),
    )


def watching(data, **more):
    settings = {"to_model": to_model, "seconds": 60, "n_resamples": 100, "metrics": ["accuracy"]}
    return GapInTraining(data, **{**settings, **more})
