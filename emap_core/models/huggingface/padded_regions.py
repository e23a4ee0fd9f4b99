"""Regions of images as a model reads them, side by side in one tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from emap_core.datasets.regions import load_regions
from emap_core.datasets.table_values import BadValueError
from emap_core.errors import ModelError
from emap_core.option_names import option


@dataclass(frozen=True)
class PaddedRegions:
    """Regions of B images, padded with zeros to the longest.

    Attributes
    ----------
    features : Tensor of shape (B, regions, F)
    boxes : Tensor of shape (B, regions, P)
        P is 0 if the model does not read boxes.
    attention_mask : Tensor of shape (B, regions)
        1 for a region, 0 for padding.
    """

    features: torch.Tensor
    boxes: torch.Tensor
    attention_mask: torch.Tensor


def pad_regions(
    model: str, images: Sequence[Any], n_features: int, n_places: int = 0
) -> PaddedRegions:
    """Return the regions given instead of images: dicts of arrays, or paths of .npz files.

    Parameters
    ----------
    model : str
        What to call the model in messages.
    images : sequence
    n_features, n_places : int
        How many numbers the model reads for each region's features and box.

    Raises
    ------
    ModelError
        If an entry is not such regions, or its arrays have other shapes.
    """
    expected = f"features, (regions, {n_features})"
    if n_places:
        expected += f", and boxes, (regions, {n_places})"
    found = [_regions(model, image, expected) for image in images]
    longest = max(len(one["features"]) for one in found)
    features = torch.zeros(len(found), longest, n_features)
    boxes = torch.zeros(len(found), longest, n_places)
    mask = torch.zeros(len(found), longest, dtype=torch.long)
    for row, one in enumerate(found):
        n = len(one["features"])
        places = one["boxes"] if n_places and "boxes" in one else torch.zeros(n, 0)
        if one["features"].shape[1] != n_features or places.shape[1] != n_places:
            shapes = " and ".join(f"{name} {tuple(a.shape)}" for name, a in one.items())
            raise ModelError(f"regions have {shapes}, but {model} expects {expected}")
        features[row, :n], boxes[row, :n], mask[row, :n] = one["features"], places, 1
    return PaddedRegions(features, boxes, mask)


def hide_padding(attention_mask: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Return what is added to attention scores to hide padding, shape (B, 1, 1, length)."""
    return (1 - attention_mask[:, None, None].to(like.dtype)) * torch.finfo(like.dtype).min


def _regions(model: str, image: Any, expected: str) -> dict[str, torch.Tensor]:
    if isinstance(image, str):
        image = Path(image)
    if not isinstance(image, Path | Mapping):
        raise ModelError(
            f"{model} reads regions, but the data has none; expected a column of regions "
            f"({option('regions_column')}), or the dataset's image_inputs, with {expected}"
        )
    try:
        loaded = load_regions(image)
    except BadValueError as error:
        raise ModelError(f"{error}; {model} expects {expected}") from error
    return {name: torch.from_numpy(values) for name, values in loaded.items()}
