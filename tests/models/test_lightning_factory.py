"""The factory for Lightning checkpoints in docs/any_checkpoint.md does what it says."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import torch
from samples import picture

from emap_core.models import load_model

NETWORK = """
import torch

class MyNetwork(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(2, 2)

    def forward(self, texts, images):
        return self.head(torch.tensor([[len(t), v.width] for t, v in zip(texts, images)]).float())
"""


def test_the_factory_of_the_docs_reads_a_lightning_checkpoint(tmp_path, monkeypatch):
    docs = Path(__file__).parents[2] / "docs" / "any_checkpoint.md"
    block = re.search(r"my_lightning\.py.*?```python\n(.*?)```", docs.read_text(), re.DOTALL)
    assert block is not None
    (tmp_path / "my_lightning.py").write_text(block[1])
    (tmp_path / "my_network.py").write_text(NETWORK)
    monkeypatch.syspath_prepend(tmp_path)
    weights = {"network.head.weight": torch.eye(2) * 3, "network.head.bias": torch.ones(2)}
    stored = {"state_dict": weights, "epoch": 3, "pytorch-lightning_version": "2.5.0"}
    torch.save(stored, tmp_path / "last.ckpt")
    model = load_model("my_lightning:load", checkpoint=str(tmp_path / "last.ckpt"))
    np.testing.assert_allclose(model(["four"], [picture(0)]), [[13.0, 19.0]])
    assert model.classes == ["no", "yes"]
    for name in ("my_lightning", "my_network"):
        sys.modules.pop(name, None)
