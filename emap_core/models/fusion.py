"""The fused head: a linear layer on [text; image] that projects each side once."""

from __future__ import annotations

import torch
from torch import nn


class FusedLinear(nn.Module):
    """A linear layer on the concatenation of a text and an image vector.

    W [t; v] + b = (W_t t + b) + W_v v. The two terms depend on one side each: compute them in
    ``encode_texts`` and ``encode_images``, and only add them on the grid.

    Parameters
    ----------
    text_size, image_size, out_size : int
        Lengths of the text, image and output vectors.

    Examples
    --------
    >>> layer = FusedLinear(4, 6, 8)
    >>> texts, images = torch.randn(3, 4), torch.randn(5, 6)
    >>> layer.grid(layer.text(texts), layer.image(images)).shape
    torch.Size([3, 5, 8])
    """

    def __init__(self, text_size: int, image_size: int, out_size: int) -> None:
        super().__init__()
        self.text = nn.Linear(text_size, out_size)
        self.image = nn.Linear(image_size, out_size, bias=False)

    @classmethod
    def from_linear(cls, linear: nn.Linear, text_size: int) -> FusedLinear:
        """Return the same layer as `linear`, whose first `text_size` inputs are the text's."""
        layer = cls(text_size, linear.in_features - text_size, linear.out_features)
        layer.to(linear.weight.device, linear.weight.dtype)
        with torch.no_grad():
            layer.text.weight.copy_(linear.weight[:, :text_size])
            layer.image.weight.copy_(linear.weight[:, text_size:])
            if linear.bias is None:
                layer.text.bias.zero_()
            else:
                layer.text.bias.copy_(linear.bias)
        return layer

    def forward(self, texts: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Return the layer's output for B aligned pairs, shape (B, out)."""
        return self.pairs(self.text(texts), self.image(images))

    @staticmethod
    def pairs(projected_texts: torch.Tensor, projected_images: torch.Tensor) -> torch.Tensor:
        """Join B projected texts with B projected images, shape (B, out)."""
        return projected_texts + projected_images

    @staticmethod
    def grid(projected_texts: torch.Tensor, projected_images: torch.Tensor) -> torch.Tensor:
        """Join A projected texts with B projected images, shape (A, B, out)."""
        return projected_texts[:, None] + projected_images[None]
