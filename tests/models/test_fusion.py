from __future__ import annotations

import torch
from torch import nn

from emap_core.models.fusion import FusedLinear


def test_it_equals_a_linear_layer_on_the_concatenation():
    torch.manual_seed(0)
    for bias in (True, False):
        linear = nn.Linear(5 + 7, 11, bias=bias)
        fused = FusedLinear.from_linear(linear, text_size=5)
        texts, images = torch.randn(4, 5), torch.randn(4, 7)
        torch.testing.assert_close(fused(texts, images), linear(torch.cat([texts, images], dim=1)))


def test_its_grid_holds_every_pair():
    torch.manual_seed(0)
    linear = nn.Linear(5 + 7, 11)
    fused = FusedLinear.from_linear(linear, text_size=5)
    texts, images = torch.randn(3, 5), torch.randn(4, 7)
    grid = fused.grid(fused.text(texts), fused.image(images))
    for u, text in enumerate(texts):
        for w, image in enumerate(images):
            torch.testing.assert_close(grid[u, w], linear(torch.cat([text, image])))


def test_a_new_layer_learns_on_both_sides():
    fused = FusedLinear(5, 7, 11)
    fused(torch.randn(3, 5), torch.randn(3, 7)).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in fused.parameters())
