"""Encoded texts and images: tensors, arrays or lists, nested in tuples and dicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Encodings = Any
"""A tensor, array or list whose first axis counts items, or a (nested) tuple or dict of them."""


def map_leaves(function: Callable[..., Any], encodings: Encodings, *others: Encodings) -> Encodings:
    """Apply `function` to every leaf of `encodings` (and the same leaves of `others`)."""
    if isinstance(encodings, dict):
        return {
            key: map_leaves(function, encodings[key], *(o[key] for o in others))
            for key in encodings
        }
    if isinstance(encodings, tuple):
        return tuple(map_leaves(function, *parts) for parts in zip(encodings, *others, strict=True))
    return function(encodings, *others)


def leaves(encodings: Encodings) -> list[Any]:
    """Return the tensors, arrays and lists of `encodings` in a fixed order."""
    found: list[Any] = []
    map_leaves(found.append, encodings)
    return found


def count(encodings: Encodings) -> int:
    """Return the number of items on the first axis."""
    return len(leaves(encodings)[0])


def take(encodings: Encodings, index: Sequence[int] | NDArray[np.intp] | slice) -> Encodings:
    """Return the items at `index` (positions or a slice)."""

    def pick(leaf: Any) -> Any:
        if isinstance(leaf, list):
            return leaf[index] if isinstance(index, slice) else [leaf[i] for i in index]
        if isinstance(index, slice):
            return leaf[index]
        if isinstance(leaf, torch.Tensor):
            return leaf.index_select(0, torch.as_tensor(index, device=leaf.device))
        return leaf[np.asarray(index)]

    return map_leaves(pick, encodings)


def concatenate(parts: Sequence[Encodings]) -> Encodings:
    """Join several encodings along their first axis; their other axes must agree."""

    def join(*same: Any) -> Any:
        if isinstance(same[0], list):
            return [item for part in same for item in part]
        return torch.cat(same) if isinstance(same[0], torch.Tensor) else np.concatenate(same)

    return parts[0] if len(parts) == 1 else map_leaves(join, *parts)


def item_shapes(encodings: Encodings) -> tuple[tuple[int, ...], ...]:
    """Return the shape of one item in every leaf; encodings of the same shapes can be joined."""
    return tuple(
        () if isinstance(leaf, list) else tuple(leaf.shape[1:]) for leaf in leaves(encodings)
    )


def n_bytes(encodings: Encodings) -> int:
    """Return the memory that the encodings take, in bytes."""
    total = 0
    for leaf in leaves(encodings):
        if isinstance(leaf, torch.Tensor):
            total += leaf.element_size() * leaf.nelement()
        elif isinstance(leaf, np.ndarray):
            total += leaf.nbytes
        else:
            total += sum(_size_of_item(item) for item in leaf)
    return total


def to_device(encodings: Encodings, device: str | torch.device) -> Encodings:
    """Move tensors to `device`; arrays and lists stay as they are."""
    return map_leaves(
        lambda leaf: leaf.to(device, non_blocking=True) if isinstance(leaf, torch.Tensor) else leaf,
        encodings,
    )


def pinned(encodings: Encodings) -> Encodings:
    """Return tensors in host memory from which a device can copy by itself."""
    return map_leaves(
        lambda leaf: leaf.cpu().pin_memory() if isinstance(leaf, torch.Tensor) else leaf, encodings
    )


def _size_of_item(item: Any) -> int:
    width, height = getattr(item, "size", (0, 0)) if not isinstance(item, str) else (len(item), 1)
    return 4 * width * height
